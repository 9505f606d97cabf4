package cli

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sonde/internal/vmtest"
)

// untouched is a COMMAND that leaves a file behind if it runs, and a check that it did not.
func untouched(t *testing.T) (command []string, check func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ran")
	return []string{"--", "/bin/sh", "-c", ": >" + file}, func() {
		t.Helper()
		if _, err := os.Stat(file); err == nil {
			t.Error("COMMAND ran although nothing could be traced")
		}
	}
}

func TestKernelWeatherCapabilities(t *testing.T) {
	needRoot(t)
	list := func(caps ...int) string {
		return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(caps)), ","), "[]")
	}
	for _, c := range []struct {
		name string
		cmd  func(*exec.Cmd)
		drop string
		want []string
	}{
		{"nobody", func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}, "", []string{"needs CAP_BPF and CAP_PERFMON", "root"}},
		{"user namespace", func(cmd *exec.Cmd) {
			ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
		}, "", []string{"user namespace"}},
		{"root without any", nil, list(unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE),
			[]string{"needs CAP_BPF and CAP_PERFMON", "root"}},
		{"root without CAP_PERFMON", nil, list(unix.CAP_PERFMON, unix.CAP_SYS_ADMIN), []string{"needs CAP_PERFMON", "root"}},
		{"root without CAP_BPF", nil, list(unix.CAP_BPF, unix.CAP_SYS_ADMIN), []string{"needs CAP_BPF", "root"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			command, check := untouched(t)
			defer check()
			sonde := as(t, "sonde")
			// The name it is called by; the folders of the test are not for everybody.
			cmd := exec.Command("/proc/self/exe", append([]string{"exec"}, command...)...)
			cmd.Args[0] = sonde
			if c.drop != "" {
				cmd = exec.Command(as(t, "role-without"), append([]string{c.drop, sonde, "exec"}, command...)...)
			}
			cmd.Dir = "/"
			if c.cmd != nil {
				c.cmd(cmd)
			}
			runAll(t, cmd).refusal(t, 1, c.want...)
		})
	}
}

// CAP_BPF and CAP_PERFMON are all that it takes, and before 5.11 the right to lock memory.
func TestKernelWeatherFewCapabilities(t *testing.T) {
	needExec(t)
	drop := fmt.Sprintf("%d,%d", unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE)
	args := []string{drop, as(t, "sonde"), "exec", "--", truePath(t)}
	if got := runAll(t, exec.Command(as(t, "role-without"), append([]string{fmt.Sprint(unix.CAP_SYS_ADMIN)}, args[1:]...)...)); got.status != 0 ||
		!strings.Contains(got.stdout, truePath(t)) {
		t.Errorf("without CAP_SYS_ADMIN: %+v", got)
	}
	limited := append([]string{fmt.Sprint(unix.RLIMIT_MEMLOCK), "65536", as(t, "role-without")}, args...)
	got := runAll(t, exec.Command(as(t, "role-limit"), limited...))
	if vmtest.Guest() == "5.10" {
		got.refusal(t, 1, "locked memory", "CAP_SYS_RESOURCE", "ulimit -l")
	} else if got.status != 0 || !strings.Contains(got.stdout, truePath(t)) {
		t.Errorf("without CAP_SYS_RESOURCE: %+v", got)
	}
}

// With too few descriptors it says so, whatever the step at which they run out.
func TestKernelWeatherFewDescriptors(t *testing.T) {
	needExec(t)
	sonde, limit := as(t, "sonde"), as(t, "role-limit")
	worked, step := false, 1
	if vmtest.Guest() != "" {
		step = 7
	}
	// Below 8 the Go runtime itself cannot begin.
	for n := 8; n <= 64 && !worked; n += step {
		got := runAll(t, exec.Command(limit, fmt.Sprint(unix.RLIMIT_NOFILE), fmt.Sprint(n), sonde, "exec", "--", truePath(t)))
		if worked = got.status == 0; !worked {
			got.refusal(t, 1, "ulimit -n")
		}
		if t.Failed() {
			t.Fatalf("with %d descriptors", n)
		}
	}
	if !worked {
		t.Error("64 descriptors are not enough")
	}
}

// bpffs mounts a BPF file system for this test.
func bpffs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// pin makes a map, with keys in it, at path.
func pin(t *testing.T, path string, spec ebpf.MapSpec, keys ...uint64) {
	t.Helper()
	spec.MaxEntries = 16
	m, err := ebpf.NewMap(&spec)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, k := range keys {
		if err := m.Put(binary.NativeEndian.AppendUint64(nil, k), make([]byte, spec.ValueSize)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Pin(path); err != nil {
		t.Fatal(err)
	}
}

// returnsZero is the smallest program there is.
func returnsZero() *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Type:         ebpf.RawTracepoint,
		License:      "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	}
}

func TestKernelWeatherWrongPins(t *testing.T) {
	needExec(t)
	dir := bpffs(t)
	pin(t, dir+"/array", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8})
	pin(t, dir+"/short", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8})
	pin(t, dir+"/percpu", ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 8, ValueSize: 8})
	p, err := ebpf.NewProgram(returnsZero())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Pin(dir + "/program"); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--cgroupmap", "--mntnsmap"} {
		for name, want := range map[string]string{
			"array":   "a map of type Array with 4-byte keys; a hash map with 8-byte keys is needed",
			"short":   "a map of type Hash with 4-byte keys; a hash map with 8-byte keys is needed",
			"percpu":  "a map of type PerCPUHash with 8-byte keys; a hash map with 8-byte keys is needed",
			"program": "is not a Map",
		} {
			command, check := untouched(t)
			args := append([]string{"exec", flag, filepath.Join(dir, name)}, command...)
			runAll(t, exec.Command(as(t, "sonde"), args...)).refusal(t, 1, flag+" "+filepath.Join(dir, name)+": ", want)
			check()
		}
	}
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestKernelWeatherPins(t *testing.T) {
	needExec(t)
	dir := bpffs(t)
	own := traceJSON(t, "--", truePath(t)).records[0]
	hash := ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8}
	pin(t, dir+"/mine", hash, 17, own.Mntns)
	pin(t, dir+"/other", hash, own.Mntns+1)
	pin(t, dir+"/empty", hash)
	// A map made by others may be of another kind, and sonde must not need to write to it.
	pin(t, dir+"/lru", ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 1}, own.Mntns)
	pin(t, dir+"/nothing", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 4, Flags: unix.BPF_F_NO_PREALLOC}, own.Mntns)
	cases := []struct {
		flag, name string
		seen       bool
	}{
		{"--mntnsmap", "mine", true},
		{"--mntnsmap", "lru", true},
		{"--mntnsmap", "nothing", true},
		{"--mntnsmap", "other", false},
		{"--mntnsmap", "empty", false},
	}
	if own.CgroupID != nil {
		pin(t, dir+"/mygroup", hash, *own.CgroupID)
		pin(t, dir+"/othergroup", hash, *own.CgroupID+1)
		cases = append(cases, []struct {
			flag, name string
			seen       bool
		}{{"--cgroupmap", "mygroup", true}, {"--cgroupmap", "othergroup", false}}...)
	}
	for _, c := range cases {
		got := traceJSON(t, c.flag, filepath.Join(dir, c.name), "--", truePath(t))
		if got.status != 0 || (len(got.records) == 1) != c.seen {
			t.Errorf("%s %s: status %d, %d records, seen should be %v; %s", c.flag, c.name, got.status, len(got.records), c.seen, got.stderr)
		}
	}
	if own.Mntns != inodeOf(t, "/proc/self/ns/mnt") {
		t.Errorf("mntns %d", own.Mntns)
	}
}

// The reader of a pipe goes: sonde ends as quietly as the others in a pipeline, and COMMAND runs to its end.
func TestKernelWeatherReaderGone(t *testing.T) {
	needExec(t)
	for _, format := range []string{"text", "json"} {
		ended := filepath.Join(t.TempDir(), "ended")
		script := `{ "$@"; echo "status $?" >&2; } | head -n 1`
		cmd := exec.Command("/bin/sh", "-c", script, "sh", as(t, "sonde"), "exec", "-f", format, "--",
			"/bin/sh", "-c", `"$0" "$1" 100; echo >"$2"; exit 7`, as(t, "role-storm"), truePath(t), ended)
		got := runAll(t, cmd)
		if got.stderr != "status 7\n" || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%s: stdout %q, stderr %q; want one line and COMMAND's status 7", format, got.stdout, got.stderr)
		}
		if _, err := os.Stat(ended); err != nil {
			t.Errorf("%s: COMMAND did not run to its end: %v", format, err)
		}
	}
}

// A reader that goes before the first line: without a COMMAND nothing is left to do, and a COMMAND runs.
func TestKernelWeatherReaderNeverThere(t *testing.T) {
	needExec(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"-p", fmt.Sprint(idle(t).cmd.Process.Pid)}, 0},
		{[]string{"--", as(t, "role-exit"), "7"}, 7},
		{[]string{"-f", "json", "--", as(t, "role-exit"), "7"}, 7},
	} {
		cmd := exec.Command(as(t, "sonde"), append([]string{"exec"}, c.args...)...)
		cmd.Stdout = w
		var stderr strings.Builder
		cmd.Stderr = &stderr
		_ = cmd.Run()
		if got := status(cmd.ProcessState); got != c.want || stderr.Len() > 0 {
			t.Errorf("%q: status %d, stderr %q; want a quiet end and %d", c.args, got, &stderr, c.want)
		}
	}
}
