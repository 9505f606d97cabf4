package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/vmtest"
)

// openDir is a directory with files for role-files and role-unique.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plain", "sub/inside"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("plain", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inFiles are the opens of role-files, without those of its runtime.
func inFiles(g openRun) (list []openRecord) {
	for _, r := range g.of("role-files") {
		if !strings.HasPrefix(text(r.Path), "/") || text(r.Path) == "/second" {
			list = append(list, r)
		}
	}
	return list
}

// What role-files does, as the records tell it.
var filesWant = []string{
	"sub O_RDONLY|O_DIRECTORY FD",
	"plain O_RDONLY FD",
	"plain O_WRONLY|O_APPEND FD",
	"made O_RDWR|O_CREAT|O_EXCL FD",
	"missing O_RDONLY ENOENT",
	"plain/below O_RDONLY ENOTDIR",
	"../link O_RDONLY FD",
	"inside O_RDONLY|O_TRUNC FD",
	" O_RDONLY ENOENT",
	". O_WRONLY|O_TMPFILE FD",
	"/second O_WRONLY|O_CREAT FD",
}

// asWant writes records like filesWant. Descriptors differ, and must be different.
func asWant(t *testing.T, list []openRecord) (lines []string) {
	t.Helper()
	seen := map[int]bool{}
	for _, r := range list {
		line := r.String()
		if r.Errno == nil {
			if seen[r.Ret] || r.Ret < 3 {
				t.Errorf("descriptor %d: %s", r.Ret, line)
			}
			seen[r.Ret] = true
			line = line[:strings.LastIndexByte(line, ' ')] + " FD"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestKernelOpenTellsAll(t *testing.T) {
	needOpen(t)
	dir := openDir(t)
	before := time.Now()
	got := openJSONIn(t, dir, "--", as(t, "role-files"))
	after := time.Now()
	list := inFiles(got)
	if diff := cmp.Diff(filesWant, asWant(t, list)); diff != "" || got.status != 0 || got.summary.Lost != 0 {
		t.Fatalf("status %d, lost %d (-want +got):\n%s\n%s", got.status, got.summary.Lost, diff, got.stderr)
	}
	for i, want := range []struct {
		file  string // below dir; "-": none was reached
		mode  int    // -1: it means nothing
		dirfd bool   // it is a descriptor
	}{
		{"sub", -1, false}, {"plain", -1, false}, {"plain", -1, false}, {"made", 0o640, false}, {"-", -1, false}, {"-", -1, false},
		{"plain", -1, true}, {"sub/inside", -1, true}, {"-", -1, false}, {"", 0o600, false}, {"sub/second", 0o600, true},
	} {
		r := list[i]
		if want.file == "-" {
			if r.File != nil || r.Ino != nil || r.Dev != nil {
				t.Errorf("%v: file %s, ino %v", &r, text(r.File), r.Ino)
			}
		} else if want.file != "" {
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(dir, want.file), &st); err != nil {
				t.Fatal(err)
			}
			if text(r.File) != filepath.Join(dir, want.file) || r.Ino == nil || *r.Ino != st.Ino || r.Dev == nil || *r.Dev != st.Dev {
				t.Errorf("%v: file %s, dev %v, ino %v; want %s, %d, %d", &r, text(r.File), r.Dev, r.Ino, want.file, st.Dev, st.Ino)
			}
		}
		switch {
		case (r.Mode == nil) != (want.mode < 0), r.Mode != nil && *r.Mode != want.mode:
			t.Errorf("%v: mode %v, want %d", &r, r.Mode, want.mode)
		case r.DirFD == nil, want.dirfd != (*r.DirFD >= 0), !want.dirfd && *r.DirFD != unix.AT_FDCWD:
			t.Errorf("%v: dirfd %v", &r, r.DirFD)
		}
		when, err := time.Parse(time.RFC3339Nano, r.Time)
		if err != nil || when.Before(before.Add(-10*time.Millisecond)) || when.After(after) || i > 0 && r.Time < list[i-1].Time {
			t.Errorf("%v: time %s (%v)", &r, r.Time, err)
		}
		if r.DurationNS == nil || *r.DurationNS <= 0 || *r.DurationNS > after.Sub(before).Nanoseconds() {
			t.Errorf("%v: duration %v", &r, r.DurationNS)
		}
		if r.Type != "open" || r.UID == nil || *r.UID != os.Getuid() || text(r.PComm) != "sonde" || r.PID == nil || *r.PID != *list[0].PID {
			t.Errorf("%v: %+v", &r, r)
		}
	}
}

// The keys of a record are a promise to scripts, and so is their order.
func TestKernelOpenKeys(t *testing.T) {
	needOpen(t)
	out, err := exec.Command(as(t, "sonde"), "open", "-f", "json", "-c", "1", "--", "cat", "/etc/passwd").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte(`{"type":"open",`)) {
			continue
		}
		want := strings.Fields("type time pid tid uid comm pcomm path file dev ino dirfd flags mode ret errno duration_ns cgroup_id cgroup container")
		if diff := cmp.Diff(want, keysOf(line)); diff != "" {
			t.Error("keys (-want +got):\n", diff)
		}
		return
	}
	t.Errorf("no record: %s", out)
}

// keysOf are the keys of a JSON object, in their order.
func keysOf(object []byte) (keys []string) {
	dec := json.NewDecoder(bytes.NewReader(object))
	depth, key := 0, false
	for {
		tok, err := dec.Token()
		if err != nil {
			return keys
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if depth == 1 && key {
				keys = append(keys, tok.(string))
				key = false
				continue
			}
		}
		key = depth == 1
	}
}

func TestKernelOpenFilters(t *testing.T) {
	needOpen(t)
	role := as(t, "role-files")
	pick := func(words ...string) (list []string) {
		for _, line := range filesWant {
			if slices.ContainsFunc(words, func(w string) bool { return regexp.MustCompile(w).MatchString(line) }) {
				list = append(list, line)
			}
		}
		return list
	}
	for _, c := range []struct {
		flags []string
		want  []string
	}{
		{[]string{"-x"}, pick("E[A-Z]+$")},
		{[]string{"--failed"}, pick("E[A-Z]+$")},
		{[]string{"--write"}, pick("O_WRONLY", "O_RDWR", "O_TRUNC")},
		{[]string{"--created"}, pick("O_CREAT", "O_TMPFILE")},
		{[]string{"--flag-filter", "O_RDONLY"}, pick("O_RDONLY")},
		{[]string{"--flag_filter", "O_WRONLY", "--flag-filter", "o_rdwr"}, pick("O_WRONLY", "O_RDWR")},
		{[]string{"--flag-filter", "EXCL"}, pick("O_EXCL")},
		{[]string{"--flag-filter", "O_TMPFILE"}, pick("O_TMPFILE")},
		{[]string{"--flag-filter", "O_RDONLY", "-x"}, pick("O_RDONLY.* E[A-Z]+$")},
		{[]string{"--path", "plain"}, pick("^plain O", "link")},
		{[]string{"--path", "**/sub/*"}, pick("inside", "second")},
		{[]string{"--path", "**/sub/*", "--path", "!inside"}, pick("second")},
		{[]string{"--path", "missing", "-x"}, pick("missing")},
		{[]string{"-n", "^role-fil"}, filesWant},
		{[]string{"-n", "^files"}, nil},
		{[]string{"-u", "0"}, filesWant},
		{[]string{"-u", "1"}, nil},
	} {
		got := openJSONIn(t, openDir(t), append(c.flags, "--", role)...)
		if diff := cmp.Diff(c.want, asWant(t, inFiles(got))); diff != "" || got.status != 0 {
			t.Errorf("%q: status %d (-want +got):\n%s%s", c.flags, got.status, diff, got.stderr)
		}
	}
}

func TestKernelOpenUnique(t *testing.T) {
	needOpen(t)
	dir := openDir(t)
	got := openJSONIn(t, dir, "--unique", "--", as(t, "role-unique"))
	byPID := map[int][]string{}
	for _, r := range got.of("role-unique") {
		if !strings.HasPrefix(text(r.Path), "/") {
			byPID[*r.PID] = append(byPID[*r.PID], text(r.Path))
		}
	}
	if len(byPID) != 2 {
		t.Errorf("%d processes, want 2; %s", len(byPID), got.stderr)
	}
	for pid, list := range byPID {
		if diff := cmp.Diff([]string{"plain", "sub/inside", "missing"}, list); diff != "" {
			t.Errorf("process %d (-want +got):\n%s", pid, diff)
		}
	}
}

func TestKernelOpenThread(t *testing.T) {
	needOpen(t)
	file := filepath.Join(t.TempDir(), "x")
	role := begin(t, exec.Command(as(t, "role-threads"), file))
	var tids [2]int
	if _, err := fmt.Sscan(role.line(t), &tids[0], &tids[1]); err != nil {
		t.Fatal(err)
	}
	p := begin(t, exec.Command(as(t, "sonde"), "open", "-t", fmt.Sprint(tids[1]), "-d", "30", "-c", "1"))
	if head := strings.Fields(p.line(t)); head[0] != "TID" {
		t.Errorf("heading %q", head)
	}
	role.say(t, "go")
	line := strings.Fields(p.line(t))
	if line[0] != fmt.Sprint(tids[1]) || line[len(line)-1] != file+".1" {
		t.Errorf("%q, want thread %d of %d", line, tids[1], tids)
	}
	if more := p.rest(t); len(more) > 0 || p.wait(t) != 0 {
		t.Errorf("more: %q; %s", more, p.stderr(t))
	}
}

// Every open is printed or counted as lost, whatever the buffer.
func TestKernelOpenFlood(t *testing.T) {
	needOpen(t)
	n := 200_000
	if vmtest.Guest() != "" {
		n = 20_000 // emulated
	}
	file := filepath.Join(t.TempDir(), "flooded")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	role := as(t, "role-flood")
	for _, c := range []struct {
		flags []string
		may   bool // lose
	}{
		{nil, false},
		{[]string{"--buffer", "64K"}, true},
		{[]string{"-b", "16"}, true},
		{[]string{"--fields", "path"}, false},
	} {
		out := filepath.Join(t.TempDir(), "out")
		got := runAll(t, exec.Command(as(t, "sonde"), slices.Concat([]string{"open", "-o", out, "--path", file}, c.flags, []string{"--", role, file, fmt.Sprint(n)})...))
		if got.status != 0 {
			t.Fatalf("%q: status %d, %s", c.flags, got.status, got.stderr)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		shown, lost := bytes.Count(data, []byte(file+"\n")), 0
		if strings.Contains(got.stderr, "none lost") == (shown < n) {
			t.Errorf("%q: %d of %d shown; %s", c.flags, shown, n, got.stderr)
		}
		if shown < n {
			lost = number(t, got.stderr, `(\d+) lost`)
		}
		// What is lost may be one of the few other opens of the program.
		if extra := shown + lost - n; extra < 0 || extra > 100 || extra > lost || !c.may && lost > 0 && vmtest.Guest() == "" {
			t.Errorf("%q: %d shown and %d lost of %d; %s", c.flags, shown, lost, n, got.stderr)
		}
		t.Logf("%q: %d shown, %d lost: %s", c.flags, shown, lost, got.stderr)
	}
}

// The reader of a pipe goes: COMMAND runs to its end, and sonde ends with its status.
func TestKernelOpenReaderGone(t *testing.T) {
	needOpen(t)
	for _, format := range []string{"text", "json"} {
		ended := filepath.Join(t.TempDir(), "ended")
		script := `{ "$@"; echo "status $?" >&2; } | head -n 1`
		cmd := exec.Command("/bin/sh", "-c", script, "sh", as(t, "sonde"), "open", "-f", format, "--",
			"/bin/sh", "-c", `"$0" /etc/passwd 20000; echo >"$1"; exit 7`, as(t, "role-flood"), ended)
		got := runAll(t, cmd)
		if !strings.HasSuffix(got.stderr, "status 7\n") || strings.Contains(got.stderr, "events") || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%s: stdout %q, stderr %q; want one line and COMMAND's status 7", format, got.stdout, got.stderr)
		}
		if _, err := os.Stat(ended); err != nil {
			t.Errorf("%s: COMMAND did not run to its end: %v", format, err)
		}
	}
}

// The disk is full: the run goes on to its end, and says what was not written.
func TestKernelOpenDiskFull(t *testing.T) {
	needOpen(t)
	for _, format := range []string{"text", "json"} {
		got := runAll(t, exec.Command(as(t, "sonde"), "open", "-f", format, "-o", "/dev/full", "--", as(t, "role-flood"), "/etc/passwd", "3000"))
		events, unwritten := number(t, got.stderr, `(\d+) events`), number(t, got.stderr, `(\d+) records? could not be written`)
		if got.status != 1 || events < 3000 || unwritten != events || !strings.Contains(got.stderr, "writing /dev/full: ") {
			t.Errorf("%s: status %d, stderr %q", format, got.status, got.stderr)
		}
	}
}

// It says which ways to open a file it cannot show, once, and on standard error.
func TestKernelOpenSaysWhatIsMissing(t *testing.T) {
	needOpen(t)
	for hook, words := range map[string][]string{
		"raw_tp":     {"io_uring", "opens by exec"},
		"tracepoint": {"io_uring", "32-bit programs"},
	} {
		got := openJSON(t, "--hook", hook, "--", as(t, "role-exit"), "0")
		line, _, _ := strings.Cut(got.stderr, "\n")
		for _, w := range words {
			if !strings.HasPrefix(line, "sonde: not shown ") || !strings.Contains(line, w) {
				t.Errorf("%s: %q does not say %q", hook, got.stderr, w)
			}
		}
	}
}
