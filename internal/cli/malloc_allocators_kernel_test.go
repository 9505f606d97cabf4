package cli

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asksTenTimes asks for memory in all common ways, if an argument is given not before a byte, or the end, of its input came.
const asksTenTimes = `
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) void ask(void)
{
	void *p = malloc(11), *q = 0;
	p = realloc(p, 22);
	free(p);
	p = calloc(5, 11);
	free(p);
	posix_memalign(&q, 64, 66);
	free(q);
	q = aligned_alloc(64, 64 * 7);
	free(q);
	p = malloc(1 << 20);
	free(p);
}
int main(int argc, char **argv)
{
	char c;
	if (argc > 1)
		read(0, &c, 1);
	for (int i = 0; i < 10; i++)
		ask();
	malloc(88);
	return 0;
}
`

// askedTenTimes are its rows; the two functions for aligned memory may be one.
func askedTenTimes(aligned string) []string {
	return []string{
		"10485760 in 10 malloc<ask<main", "4480 in 10 " + aligned + "<ask<main", "660 in 10 posix_memalign<ask<main", "550 in 10 calloc<ask<main",
		"220 in 10 realloc<ask<main", "110 in 10 malloc<ask<main", "88 in 1 malloc<main",
	}
}

// library is where a library is that programs can be linked with.
func library(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("gcc", "-print-file-name="+name).Output()
	path := strings.TrimSpace(string(out))
	if err != nil || !filepath.IsAbs(path) {
		t.Skipf("there is no %s here", name)
	}
	return path
}

// fromMain are the rows whose stack comes to main, as far as that: what is above belongs to the C library.
func fromMain(rows []string) (found []string) {
	for _, row := range rows {
		if before, _, ok := strings.Cut(row+"<", "<main<"); ok {
			found = append(found, before+"<main")
		} else if before, _, ok = strings.Cut(row, "<main "); ok {
			found = append(found, before+"<main")
		}
	}
	return found
}

// Every allocator is recognised, before the program runs by the files that the loader will take, and while it runs by those that it has; each
// call is counted once, whatever the allocator does for it inside.
func TestKernelMallocAllocators(t *testing.T) {
	needMalloc(t)
	const jemalloc, tcmalloc, mimalloc = "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2.0"
	for _, c := range []struct {
		name, compiler  string
		flags           []string
		linked, preload string
		want            string // who gives the memory; * is anything
		aligned         string
	}{
		{name: "glibc", compiler: "gcc", want: "glibc's malloc (*/libc.so.6)", aligned: "memalign"},
		{name: "glibc, static", compiler: "gcc", flags: []string{"-static"}, want: "glibc's malloc (program)", aligned: "memalign"},
		{name: "musl", compiler: "musl-gcc", want: "musl's malloc (*musl*)", aligned: "aligned_alloc"},
		{name: "musl, static", compiler: "musl-gcc", flags: []string{"-static"}, want: "musl's malloc (program)", aligned: "aligned_alloc"},
		{name: "jemalloc, linked", compiler: "gcc", linked: jemalloc, want: "jemalloc's malloc (*/libjemalloc.so.2)", aligned: "aligned_alloc"},
		{name: "jemalloc, preloaded", compiler: "gcc", preload: jemalloc, want: "jemalloc's malloc (*/libjemalloc.so.2)", aligned: "aligned_alloc"},
		{name: "tcmalloc, linked", compiler: "gcc", linked: tcmalloc, want: "tcmalloc's malloc (*/libtcmalloc_minimal.so.4*)", aligned: "memalign"},
		{name: "tcmalloc, preloaded", compiler: "gcc", preload: tcmalloc, want: "tcmalloc's malloc (*/libtcmalloc_minimal.so.4*)", aligned: "memalign"},
		{name: "mimalloc, linked", compiler: "gcc", linked: mimalloc, want: "mimalloc's malloc (*/libmimalloc.so.2*)", aligned: "aligned_alloc"},
		{name: "mimalloc, preloaded", compiler: "gcc", preload: mimalloc, want: "mimalloc's malloc (*/libmimalloc.so.2*)", aligned: "aligned_alloc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.compiler); err != nil {
				t.Skipf("there is no %s here", c.compiler)
			}
			flags := c.flags
			if c.linked != "" {
				flags = append(flags, "-Wl,--no-as-needed", library(t, c.linked))
			}
			program := compileAsker(t, c.compiler, "asks.c", asksTenTimes, flags...)
			if c.preload != "" {
				t.Setenv("LD_PRELOAD", library(t, c.preload))
			}
			check := func(t *testing.T, rows []string, stderr string) {
				got := fromMain(rows)
				if diff := cmp.Diff(askedTenTimes(c.aligned), got); diff != "" {
					t.Errorf("(-want +got)\n%s%s", diff, stderr)
				}
				// It is how the allocator comes by what malloc gives. What has no name is the process before it became the program: a test that is
				// linked with the C library.
				for _, row := range rows {
					if strings.Contains(row, " mmap<") && !strings.Contains(row, " mmap<0x") {
						t.Errorf("counted besides: %s", row)
					}
				}
				_, said, _ := strings.Cut(stderr, ": ")
				_, said, _ = strings.Cut(said, ": ")
				said, _, _ = strings.Cut(said, "\n")
				want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(strings.ReplaceAll(c.want, "(program)", "("+program+")")), `\*`, ".*") + "$")
				if !want.MatchString(said) {
					t.Errorf("it says %q, want %s", said, want)
				}
			}
			t.Run("begun", func(t *testing.T) {
				rows, stderr := mallocRows(t, 0, "--", program)
				check(t, rows, stderr)
			})
			t.Run("running", func(t *testing.T) {
				rows, stderr := mallocRowsOf(t, begin(t, exec.Command(program, "waits")))
				check(t, rows, stderr)
			})
		})
	}
}

// loadsLater loads a library when its input ends, waits, and asks it for memory.
const loadsLater = `
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char c;
	void *(*ask)(unsigned long);
	read(0, &c, 1);
	void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return 3;
	ask = (void *(*)(unsigned long))dlsym(library, "je_malloc");
	usleep(700000);
	for (int i = 0; i < 10; i++)
		ask(50);
	return 0;
}
`

// An allocator that a process loads while it is traced is traced from then on, and said; where there is no room for its functions, that is said.
func TestKernelMallocLoadedLater(t *testing.T) {
	needMalloc(t)
	library := compileAsker(t, "gcc", "library.c", `
static char memory[1000];
void *je_malloc(unsigned long n) { static unsigned long used; used += n; return memory + used - n; }
void *je_calloc(unsigned long a, unsigned long b) { return je_malloc(a * b); }
`, "-shared", "-fPIC")
	program := compileAsker(t, "gcc", "loads.c", loadsLater, "-ldl")
	check := func(t *testing.T, lines []string, stderr string) {
		var rows, notes []string
		for _, line := range lines {
			var r struct {
				mallocRow
				Notes []string `json:"notes"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				continue
			}
			switch r.Type {
			case "malloc":
				rows = append(rows, r.brief())
			case "summary":
				notes = r.Notes
			}
		}
		if want := []string{"500 in 10 je_malloc<main"}; !cmp.Equal(want, slices.DeleteFunc(fromMain(rows), func(row string) bool { return !strings.Contains(row, "je_") })) {
			t.Errorf("%q, want %q: %s", rows, want, stderr)
		}
		if said := "has loaded malloc (" + library + ")"; !strings.Contains(stderr, said) {
			t.Errorf("it does not say %q: %s", said, stderr)
		}
		if said := "1 allocators were loaded by processes that ran"; !strings.Contains(strings.Join(notes, "|"), said) || !strings.Contains(stderr, said) {
			t.Errorf("notes %q, %s: not %q", notes, stderr, said)
		}
	}
	t.Run("begun", func(t *testing.T) {
		got := runScriptFor(t, "sonde", "malloc", "-f", "json", "--", program, library)
		if got.status != 0 {
			t.Errorf("status %d", got.status)
		}
		check(t, strings.Split(got.stdout, "\n"), got.stderr)
	})
	t.Run("running", func(t *testing.T) {
		lines, stderr := mallocOf(t, begin(t, exec.Command(program, library)))
		check(t, lines, stderr)
	})
}

// mallocRowsOf runs sonde malloc with a process that waits for the end of its input, until that process has ended.
func mallocRowsOf(t *testing.T, p *process, flags ...string) (rows []string, stderr string) {
	t.Helper()
	lines, stderr := mallocOf(t, p, flags...)
	for _, line := range lines {
		var r mallocRow
		if err := json.Unmarshal([]byte(line), &r); err == nil && r.Type == "malloc" {
			rows = append(rows, r.brief())
		}
	}
	return rows, stderr
}

// mallocOf is mallocRowsOf with the lines as they are.
func mallocOf(t *testing.T, p *process, flags ...string) (lines []string, stderr string) {
	t.Helper()
	self := begin(t, exec.Command(as(t, "sonde"), append([]string{"malloc", "-f", "json", "-p", strconv.Itoa(p.cmd.Process.Pid)}, flags...)...))
	said := "sonde: process " + strconv.Itoa(p.cmd.Process.Pid) + ": "
	for end := time.Now().Add(time.Minute); !strings.Contains(self.stderr(t), said); time.Sleep(time.Millisecond) {
		if time.Now().After(end) || self.ended() {
			t.Fatalf("the probes are not on: %s", self.stderr(t))
		}
	}
	p.stdin.Close()
	lines = self.rest(t)
	if status := self.wait(t); status != 0 {
		t.Errorf("status %d, %s", status, self.stderr(t))
	}
	return lines, self.stderr(t)
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
