//go:build guest

package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// A kprobe on the function that all opens come to.
func TestGuestObjectKprobe(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe, kernel.RingBuffer)
	r := runObjectFor(t, vmtest.Object(t, "kprobe_openat2"))
	name := filepath.Join(t.TempDir(), "wanted")
	_, _ = os.ReadFile(name)
	for {
		var e struct {
			PID      int    `json:"pid"`
			Filename string `json:"filename"`
		}
		l := r.next(t, "record")
		if err := json.Unmarshal(l.Data, &e); err != nil || l.Struct != "open_event" {
			t.Fatalf("%+v: %v", l, err)
		}
		if e.PID == os.Getpid() && strings.HasSuffix(e.Filename, name[len(name)-20:]) || e.Filename == name[:min(len(name), 63)] {
			break
		}
	}
	r.end(t)
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
	const name = "/tmp/forbidden-by-object"
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(name)
	r := runObjectFor(t, vmtest.Object(t, "killer"), "--unsafe", "--set=forbidden="+name)
	if err := exec.Command("cat", name+"-not").Run(); err == nil || err.(*exec.ExitError).Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("another file: %v", err)
	}
	c := exec.Command("cat", name)
	err := c.Run()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the file: %v", err)
	}
	l := r.next(t, "record")
	if want := `{"pid":` + strconv.Itoa(c.Process.Pid) + `,"comm":"cat","filename":"` + name + `"}`; string(l.Data) != want {
		t.Errorf("%s, want %s", l.Data, want)
	}
	r.end(t)
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
