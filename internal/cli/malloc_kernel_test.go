package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// mallocRow is a line of sonde malloc -f json.
type mallocRow struct {
	Type  string   `json:"type"`
	Comm  string   `json:"comm"`
	Bytes uint64   `json:"bytes"`
	Calls uint64   `json:"calls"`
	Kept  *uint64  `json:"outstanding_bytes"`
	Left  *uint64  `json:"outstanding_calls"`
	Old   *uint64  `json:"oldest_ns"`
	Stack []string `json:"stack"`
	End   string   `json:"end"`
}

// brief is a row without offsets: "malloc<outer<_start".
func (r mallocRow) brief() string {
	var names []string
	for _, f := range r.Stack {
		name, _, _ := strings.Cut(f, "+0x")
		names = append(names, name)
	}
	text := fmt.Sprintf("%d in %d %s %s", r.Bytes, r.Calls, strings.Join(names, "<"), r.End)
	if r.Kept != nil {
		text += fmt.Sprintf(" kept %d in %d", *r.Kept, *r.Left)
	}
	return text
}

// mallocRows runs sonde malloc, which must end with that status, and returns its rows in the order shown.
func mallocRows(t *testing.T, status int, argv ...string) (rows []string, stderr string) {
	t.Helper()
	got := runScriptFor(t, append([]string{"sonde", "malloc", "-f", "json"}, argv...)...)
	if got.status != status {
		t.Fatalf("status %d, %s", got.status, got.stderr)
	}
	summary := false
	for line := range strings.Lines(got.stdout) {
		var r mallocRow
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			continue // what COMMAND writes
		}
		switch r.Type {
		case "malloc":
			rows = append(rows, r.brief())
		case "summary":
			summary = true
		}
	}
	if !summary {
		t.Errorf("no summary in %q", got.stdout)
	}
	return rows, got.stderr
}

func needMalloc(t *testing.T) {
	t.Helper()
	vmtest.Need(t, kernel.BTF, kernel.RawTracepoint, kernel.RingBuffer, kernel.Uprobe)
}

// What is asked for, by stack, in a program that has its own allocator; a stack that ends for want of a frame pointer is marked.
func TestKernelMallocByStack(t *testing.T) {
	needMalloc(t)
	program := filepath.Join(t.TempDir(), "asks")
	writeAllocator(t, program, 50, allocation{"malloc", 100, true}, allocation{"calloc", 30, false})
	got, stderr := mallocRows(t, 0, "--", program)
	want := []string{
		"5000 in 50 malloc<outer<_start complete",
		"4000 in 1 malloc<hidden no_frame_pointer",
		"1500 in 50 calloc<outer<_start complete",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s%s", diff, stderr)
	}
	if !strings.Contains(stderr, "malloc ("+program+")") {
		t.Errorf("it is not said which allocator was taken: %s", stderr)
	}
}

// What was not given back; what realloc and free give back does not count.
func TestKernelMallocOutstanding(t *testing.T) {
	needMalloc(t)
	program := filepath.Join(t.TempDir(), "keeps")
	writeAllocator(t, program, 1, allocation{"malloc", 100, true}, allocation{"malloc", 200, false}, allocation{"malloc", 64, false}, allocation{"realloc", 300, false})
	got, stderr := mallocRows(t, 0, "--outstanding", "--min-size", "100", "--", program)
	want := []string{
		"4000 in 1 malloc<hidden no_frame_pointer kept 4000 in 1",
		"300 in 1 realloc<outer<_start complete kept 300 in 1",
		"200 in 1 malloc<outer<_start complete kept 200 in 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s%s", diff, stderr)
	}
}

// Processes that are not given one by one: the probes are in their file, the kernel decides whose calls count.
func TestKernelMallocByName(t *testing.T) {
	needMalloc(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "asksbyname")
	writeAllocator(t, program, 20, allocation{"malloc", 100, false})
	traced := begin(t, exec.Command(program))
	shown := begin(t, exec.Command(as(t, "sonde"), "malloc", "-n", "^asksbyname$", "--interval", "100ms"))
	for begun := false; !begun; {
		line, more := <-shown.lines // the time, again and again
		if !more {
			text, _ := os.ReadFile(shown.err.Name())
			t.Fatalf("it ended: %s", text)
		}
		begun = regexp.MustCompile(`^\d\d:\d\d:\d\d$`).MatchString(line)
	}
	traced.stdin.Close()
	for line := range shown.lines {
		if strings.HasPrefix(line, "2000 bytes in 20 calls; asksbyname (") {
			break
		}
	}
	if err := shown.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-shown.done
	text, err := os.ReadFile(shown.err.Name())
	if err != nil || !strings.Contains(string(text), "sonde: 1 processes: malloc ("+program+")") {
		t.Errorf("%v: %s", err, text)
	}
}

// compileAsker makes a program of C or C++ with frame pointers.
func compileAsker(t *testing.T, compiler, name, source string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("there is no %s here", compiler)
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, name), filepath.Join(dir, "program")
	if err := os.WriteFile(from, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-fno-builtin", "-w", from, "-o", to}, flags...)
	if text, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return to
}

const everyFunction = `
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
int main(void)
{
	void *p = malloc(11), *q;
	p = realloc(p, 22);
	q = realloc(0, 33);
	q = reallocarray(q, 4, 11);
	q = calloc(5, 11);
	posix_memalign(&q, 64, 66);
	q = aligned_alloc(64, 64 * 7);
	q = aligned_alloc(8, 88);
	q = memalign(4096, 99);
	q = valloc(110);
	q = pvalloc(121);
	q = malloc(1 << 20);
	q = mmap(0, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return 5;
}
`

// Each call of each function is counted once, whatever the C library does for it inside.
func TestKernelMallocEveryFunction(t *testing.T) {
	needMalloc(t)
	for _, c := range []struct {
		name  string
		flags []string
	}{{"dynamic", nil}, {"static", []string{"-static"}}} {
		t.Run(c.name, func(t *testing.T) {
			program := compileAsker(t, "gcc", "all.c", everyFunction, c.flags...)
			for _, how := range [][]string{nil, {"--outstanding"}} {
				rows, stderr := mallocRows(t, 5, append(how, "--", program)...)
				got := map[string]bool{}
				for _, row := range rows {
					if words := strings.Fields(row); strings.Contains(row, "<main<") {
						got[words[0]+" "+strings.Split(words[3], "<")[0]] = true
					}
				}
				want := []string{
					"11 malloc", "22 realloc", "33 realloc", "44 realloc", "55 calloc", "66 posix_memalign", "448 memalign", "88 memalign", "99 memalign",
					"110 valloc", "121 pvalloc", "1048576 malloc", "65536 mmap",
				}
				if how != nil { // given back by the next
					want = slices.DeleteFunc(want, func(s string) bool { return s == "11 malloc" || s == "33 realloc" })
				} else {
					// Without old memory the C library goes on in malloc.
					want[2] = "33 malloc"
				}
				for _, w := range want {
					if !got[w] {
						t.Errorf("%v: no %q", how, w)
					}
					delete(got, w)
				}
				if len(got) > 0 {
					t.Errorf("%v: counted besides: %v\n%s", how, got, stderr)
				}
			}
		})
	}
}

const plusplus = `
#include <new>
namespace app {
template <class T> __attribute__((noinline)) T *make(int n) { T *p = new T[n]; asm volatile("" ::"r"(p)); return p; }
__attribute__((noinline)) char *quiet() { char *p = new (std::nothrow) char[77]; asm volatile("" ::"r"(p)); return p; }
}
int main()
{
	for (int i = 0; i < 10; i++)
		app::make<long>(5);
	app::quiet();
}
`

// The caller of C++'s operator new is in the stack, though operator new has no frame; names are demangled, and outlive the
// process.
func TestKernelMallocOfCPlusPlus(t *testing.T) {
	needMalloc(t)
	got, stderr := mallocRows(t, 0, "--", compileAsker(t, "g++", "a.cc", plusplus))
	for _, want := range []string{
		"400 in 10 malloc<operator new(unsigned long)<long* app::make<long>(int)<main<",
		"77 in 1 malloc<operator new(unsigned long)<operator new[](unsigned long, std::nothrow_t const&)<app::quiet()<main<",
	} {
		if !slices.ContainsFunc(got, func(row string) bool { return strings.HasPrefix(row, want) && strings.HasSuffix(row, " complete") }) {
			t.Errorf("no %q in %q; %s", want, got, stderr)
		}
	}
}

// Many threads, attached to while they run, by the classic name; the run ends with the process.
func TestKernelMallocstacks(t *testing.T) {
	needMalloc(t)
	program := compileAsker(t, "gcc", "t.c", `
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) void ask(void) { free(malloc(64)); }
void *work(void *a) { for (int i = 0; i < 10000; i++) ask(); return 0; }
int main(void)
{
	pthread_t t[4];
	char c;
	read(0, &c, 1);
	for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, work, 0);
	for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
}`, "-lpthread")
	traced := begin(t, exec.Command(program))
	classic := begin(t, exec.Command(as(t, "mallocstacks"), fmt.Sprint(traced.cmd.Process.Pid), "100"))
	first, ok := <-classic.lines
	if want := fmt.Sprintf("Attaching to malloc in pid %d, Ctrl+C to quit.", traced.cmd.Process.Pid); !ok || first != want {
		text, _ := os.ReadFile(classic.err.Name())
		t.Fatalf("%q, want %q: %s", first, want, text)
	}
	traced.stdin.Close()
	var all strings.Builder
	for line := range classic.lines {
		all.WriteString(line + "\n")
	}
	if !regexp.MustCompile(`2560000 bytes allocated at:\n\tmalloc\+0x0\n\task\+0x[0-9a-f]+\n\twork\+0x[0-9a-f]+\n\tstart_thread\+0x[0-9a-f]+\n$`).MatchString(all.String()) {
		t.Errorf("%s", all.String())
	}
}

// Descendants are followed; what is written besides opens with the tools it is for.
func TestKernelMallocOfTree(t *testing.T) {
	needMalloc(t)
	program := compileAsker(t, "gcc", "f.c", `
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline)) void ask(int n) { for (int i = 0; i < 100; i++) free(malloc(n)); }
int main(void)
{
	int go[2];
	char c;
	pipe(go);
	ask(8);
	if (!fork()) {
		usleep(500000); /* what it does in its first moments is not promised to be seen */
		ask(16);
		_exit(0);
	}
	wait(0);
}`)
	dir := t.TempDir()
	flame, folded, pprof := filepath.Join(dir, "a.svg"), filepath.Join(dir, "a.folded"), filepath.Join(dir, "a.pb.gz")
	got := runScriptFor(t, "sonde", "malloc", "--flame", flame, "--folded", folded, "--pprof", pprof, "--", program)
	if got.status != 0 || got.stdout != "" || !strings.Contains(got.stderr, "1 processes were found as they began") {
		t.Errorf("status %d, %q, %s", got.status, got.stdout, got.stderr)
	}
	text, err := os.ReadFile(folded)
	if err != nil || !strings.Contains(string(text), "program;__libc_start_call_main;main;ask;malloc 2400\n") {
		t.Errorf("%v: %s", err, text)
	}
	if text, err = os.ReadFile(flame); err != nil || !strings.HasPrefix(string(text), "<?xml") {
		t.Errorf("%v: %.100s", err, text)
	}
	out, err := exec.Command("go", "tool", "pprof", "-raw", pprof).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "alloc_space/bytes") {
		t.Errorf("%v: %s", err, out)
	}
}

// A thousand different stacks are a thousand; where there is no room for them, it is said.
func TestKernelMallocStacksApart(t *testing.T) {
	needMalloc(t)
	var c strings.Builder
	c.WriteString("#include <stdlib.h>\n__attribute__((noinline)) void ask(void) { free(malloc(8)); }\n")
	for i := range 10 {
		fmt.Fprintf(&c, "__attribute__((noinline)) void a%d(void) { ask(); asm volatile(\"# %d\"); }\n", i, i)
	}
	for level, below := range []string{"a", "b"} {
		for i := range 10 {
			name := string(rune('b' + level))
			fmt.Fprintf(&c, "__attribute__((noinline)) void %s%d(int x) { asm volatile(\"# %d\");", name, i, i)
			for j := range 10 {
				arg := ""
				if below != "a" {
					arg = "x / 10"
				}
				fmt.Fprintf(&c, " if (x %% 10 == %d) %s%d(%s);", j, below, j, arg)
			}
			c.WriteString(" }\n")
		}
	}
	c.WriteString("int main(void) {\nfor (int i = 0; i < 100; i++) {\n")
	for i := range 10 {
		fmt.Fprintf(&c, "c%d(i);\n", i)
	}
	c.WriteString("} }\n")
	program := compileAsker(t, "gcc", "s.c", c.String())
	rows, stderr := mallocRows(t, 0, "--", program)
	apart := 0
	for _, row := range rows {
		if strings.HasPrefix(row, "8 in 1 malloc<ask<a") {
			apart++
		}
	}
	if apart != 1000 {
		t.Errorf("%d stacks, want 1000: %q...; %s", apart, rows[:min(3, len(rows))], stderr)
	}
	rows, stderr = mallocRows(t, 0, "--stacks", "64", "--", program)
	if len(rows) > 64 || !strings.Contains(stderr, "are in no stack: the table of stacks is full (--stacks)") {
		t.Errorf("%d rows, %s", len(rows), stderr)
	}
}

// What cannot be done is said in one sentence.
func TestKernelMallocRefused(t *testing.T) {
	needMalloc(t)
	plain := filepath.Join(t.TempDir(), "plain")
	writeProgram(t, plain, userFunction{"alpha", "a", 0})
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"--", plain}, plain + ": none of its files has malloc, or its like, among its symbols"},
		{[]string{"-p", "2"}, "process 2: it has no memory of its own: a kernel thread, or it is ending"},
	} {
		got := runScriptFor(t, append([]string{"sonde", "malloc"}, c.argv...)...)
		if got.status != 1 || strings.TrimSpace(got.stderr) != "sonde: "+c.want {
			t.Errorf("%v: status %d, %q", c.argv, got.status, got.stderr)
		}
	}
}
