//go:build guest

package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// A kprobe on the function that all opens come to sees what sonde open sees by the same hook, which is that of the classic tools.
func TestGuestObjectKprobe(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe, kernel.RingBuffer, kernel.BTF)
	me := os.Getpid()
	peer := begin(t, exec.Command(as(t, "sonde"), "open", "--hook", "kprobe", "-p", strconv.Itoa(me), "--fields", "path"))
	peer.line(t) // the heading: it is attached
	r := runObjectFor(t, vmtest.Object(t, "kprobe_openat2"))
	dir, err := os.MkdirTemp("", "") // the object keeps 63 bytes of a path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var names []string
	for i := range 20 {
		names = append(names, filepath.Join(dir, fmt.Sprintf("file-%02d", i)))
		if i%2 == 0 {
			if err := os.WriteFile(names[i], nil, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		_, _ = os.ReadFile(names[i]) // it is not there
	}
	var seen []string
	for len(seen) < len(names) {
		var e struct {
			PID      int    `json:"pid"`
			Filename string `json:"filename"`
		}
		l := r.next(t, "record")
		if err := json.Unmarshal(l.Data, &e); err != nil || l.Struct != "open_event" {
			t.Fatalf("%+v: %v", l, err)
		}
		if e.PID == me && strings.HasPrefix(e.Filename, dir+"/") {
			seen = append(seen, e.Filename)
		}
	}
	r.end(t)
	peer.signal(t, os.Interrupt)
	var theirs []string
	for _, line := range peer.rest(t) {
		if strings.HasPrefix(line, dir+"/") {
			theirs = append(theirs, line)
		}
	}
	slices.Sort(theirs) // of several CPUs
	if diff := cmp.Diff(names, seen); diff != "" {
		t.Errorf("the object (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(names, theirs); diff != "" {
		t.Errorf("sonde open (-want +got)\n%s", diff)
	}
}

// goebpf's dump of execs: what it tells of arguments is what sonde exec tells, up to its twenty.
func TestGuestObjectExecDump(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe)
	path := truePath(t)
	words := []string{path}
	for i := 1; i < 25; i++ {
		words = append(words, fmt.Sprintf("argument-%d", i))
	}
	r := runObjectFor(t, vmtest.Object(t, "goebpf_exec"))
	got := runAll(t, exec.Command(as(t, "sonde"), append([]string{"exec", "-f", "json", "--"}, words...)...))
	var theirs []string
	pid := 0
	for line := range strings.Lines(got.stdout) {
		var rec record
		if err := json.Unmarshal([]byte(line), &rec); err == nil && rec.Type == "exec" && len(rec.Argv) == len(words) {
			theirs, pid = rec.argv(), rec.PID
		}
	}
	if theirs == nil {
		t.Fatalf("sonde exec did not see it: %+v", got)
	}
	var seen []string
	// The process that becomes the command was one of sonde's own before: what it was started with is not looked at.
	for len(seen) < 20 || seen[0] != path {
		var e struct {
			PID    int    `json:"pid"`
			Number int    `json:"number"`
			Text   string `json:"text"`
		}
		l := r.next(t, "record")
		if err := json.Unmarshal(l.Data, &e); err != nil || l.Struct != "exec_arg" {
			t.Fatalf("%+v: %v", l, err)
		}
		if e.PID == pid && e.Number == 0 {
			seen = nil
		}
		if e.PID == pid && e.Number == len(seen) {
			seen = append(seen, e.Text)
		}
	}
	if diff := cmp.Diff(theirs[:20], seen); diff != "" {
		t.Error(diff)
	}
	r.end(t)
}

// A blocker kills who opens the file, and nobody else.
func TestGuestObjectKiller(t *testing.T) {
	vmtest.Need(t, kernel.Tracepoint, kernel.RingBuffer)
	killedByObject(t, "/tmp/forbidden-by-object")
}

// What the blocker does is what sonde guard does by a rule about the same file.
func TestGuestEndsObjectKillerAndGuard(t *testing.T) {
	vmtest.Need(t, kernel.Tracepoint)
	const name = "/tmp/forbidden-by-both"
	object := killedByObject(t, name)
	p := guarding(t, "--fields", "rule,pid,comm,file", "kill", name)
	c, other := openedBy(t, name)
	var guard killed
	var rule string
	if _, err := fmt.Sscan(p.line(t), &rule, &guard.PID, &guard.Comm, &guard.Filename); err != nil {
		t.Error(err)
	}
	if guard.PID != c.Process.Pid {
		t.Errorf("sonde guard killed %d, and the process was %d", guard.PID, c.Process.Pid)
	}
	p.stop(t)
	object.PID, guard.PID = 0, 0
	if diff := cmp.Diff(object, guard); diff != "" || other != 1 || status(c.ProcessState) != wasKilled {
		t.Errorf("who opened it ended with %d, who opened another with %d; (-object +guard)\n%s", status(c.ProcessState), other, diff)
	}
}

// killed is what is told of who was killed.
type killed struct {
	PID      int    `json:"pid"`
	Comm     string `json:"comm"`
	Filename string `json:"filename"`
}

// killedByObject makes a file, has the object forbid it, and opens it.
func killedByObject(t *testing.T, name string) (k killed) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(name) })
	r := runObjectFor(t, vmtest.Object(t, "killer"), "--unsafe", "--set=forbidden="+name)
	c, other := openedBy(t, name)
	if status(c.ProcessState) != wasKilled || other != 1 {
		t.Errorf("who opened it ended with %d, who opened another with %d", status(c.ProcessState), other)
	}
	l := r.next(t, "record")
	if err := json.Unmarshal(l.Data, &k); err != nil {
		t.Fatalf("%v: %s", err, l.Data)
	}
	if want := (killed{c.Process.Pid, "cat", name}); k != want {
		t.Errorf("%+v, want %+v", k, want)
	}
	r.end(t)
	return k
}

// openedBy has a process open another name, which is not there, and one open the file.
func openedBy(t *testing.T, name string) (c *exec.Cmd, other int) {
	t.Helper()
	other = runAll(t, exec.Command("cat", name+"-not")).status
	c = exec.Command("cat", name)
	_ = c.Run() // ProcessState tells
	return c, other
}

// Programs of the sections that this machine's own kernel has no probes for.
func TestGuestObjectSections(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe, kernel.Fentry, kernel.Uprobe)
	// Not a Go program: a probe of a function's return changes where it returns to, which Go does not bear.
	program := filepath.Join(t.TempDir(), "program")
	writeProgram(t, program, userFunction{name: "alpha", text: "a"}, userFunction{name: "beta", number: 17})
	const calls = 5
	call := func() {
		for range calls {
			os.Getppid()
			if err := exec.Command(program).Run(); err != nil {
				t.Fatal(err)
			}
			if f, err := os.Open("/dev/null"); err == nil {
				f.Close()
			}
		}
	}
	for _, tt := range []struct {
		place string
		need  kernel.Feature
	}{
		{"kprobe/security_file_open", kernel.Kprobe},
		{"kretprobe/security_file_open", kernel.Kprobe},
		{"ksyscall/getppid", kernel.Kprobe},
		{"kprobe.multi/security_file_op*", kernel.KprobeMulti},
		{"kretprobe.multi/security_file_open", kernel.KprobeMulti},
		{"fentry/security_file_open", kernel.Fentry},
		{"fmod_ret/security_file_open", kernel.FmodRet},
		{"lsm/file_open", kernel.LSM},
		{"uretprobe/" + program + ":beta", kernel.Uprobe},
		{"uprobe.multi/" + program + ":*a", kernel.UprobeMulti},
		{"uretprobe.multi/" + program + ":*a", kernel.UprobeMulti},
	} {
		t.Run(strings.ReplaceAll(tt.place, "/", ":"), func(t *testing.T) {
			vmtest.Need(t, tt.need)
			if n := attachedRuns(t, tt.place, call, "--unsafe"); n < calls {
				t.Errorf("%d runs, want %d and more", n, calls)
			}
		})
	}
}

// A kernel either runs a program on entry and return, or says that it cannot.
func TestGuestObjectUprobeSession(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	writeProgram(t, program, userFunction{name: "beta", number: 17})
	sonde, object := as(t, "sonde"), vmtest.Object(t, "section")
	got := runAll(t, exec.Command(sonde, "run", "--only", "unknown", "--attach", "unknown=uprobe.session/"+program+":beta", object, "--", program))
	if vmtest.Guest() != "7.2" {
		got.refusal(t, exitFailure, "program unknown (section uprobe.session/")
		return
	}
	if m := runsOfPrograms.FindStringSubmatch(got.stderr); m == nil || m[1] != "2" {
		t.Errorf("%+v, want 2 runs", got)
	}
}

// Of what loaders left behind, that of ended processes goes; that of living ones, what is in use, and what nobody knows stays.
func TestGuestCleanStale(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe, kernel.Tracefs)
	dir, err := kernel.TracefsDir()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(truePath(t))
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	gone, lives := c.Process.Pid, os.Getpid()
	events := filepath.Join(dir, "kprobe_events")
	define := func(line string) {
		f, err := os.OpenFile(events, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(line + "\n"); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	stale := []string{
		fmt.Sprintf("kprobes/libbpf_%d_vfs_read_0x0_0", gone), fmt.Sprintf("kprobes/guess_execve_goebpf_%d", gone),
		fmt.Sprintf("kprobes/p_vfs_read_bcc_%d", gone), "ebpf_0123456789abcdef/vfs_read",
	}
	kept := []string{fmt.Sprintf("kprobes/libbpf_%d_vfs_read_0x0_1", lives), "kprobes/mine"}
	for _, e := range append(append([]string{}, stale...), kept...) {
		define("p:" + e + " vfs_read")
		defer func() { _ = exec.Command("sh", "-c", "echo -:"+e+" >>"+events).Run() }()
	}
	// goebpf switches its events on besides.
	enable := filepath.Join(dir, "events", stale[1], "enable")
	if err := os.WriteFile(enable, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	there := func() string {
		list, err := os.ReadFile(events)
		if err != nil {
			t.Fatal(err)
		}
		return string(list)
	}
	sonde := as(t, "sonde")
	before := there()
	got := runAll(t, exec.Command(sonde, "run", "--clean-stale", "--dry-run"))
	if got.status != 0 || !strings.Contains(got.stderr, "4 of 5 would be removed") || there() != before {
		t.Errorf("%+v; there was %q, is %q", got, before, there())
	}
	got = runAll(t, exec.Command(sonde, "run", "--clean-stale"))
	if got.status != 0 || !strings.Contains(got.stderr, "4 removed, 0 in use, 1 of living processes") {
		t.Errorf("%+v", got)
	}
	for _, e := range stale {
		if !strings.Contains(got.stdout, e) || strings.Contains(there(), e+" ") {
			t.Errorf("%s: listed %v, still there %v", e, strings.Contains(got.stdout, e), strings.Contains(there(), e+" "))
		}
	}
	for _, e := range kept {
		if !strings.Contains(there(), e+" ") {
			t.Errorf("%s is gone", e)
		}
	}
}
