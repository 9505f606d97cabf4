package attach_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

// countingSpec has one program that counts execs in the value of an array map.
func countingSpec() *prog.Spec {
	return &prog.Spec{
		Name: "counting",
		Collection: &ebpf.CollectionSpec{
			Programs: map[string]*ebpf.ProgramSpec{"count": {
				Name: "count", Type: ebpf.RawTracepoint, License: "Dual BSD/GPL",
				Instructions: asm.Instructions{
					asm.LoadMapValue(asm.R2, 0, 8).WithReference("seen"),
					asm.Mov.Imm(asm.R3, 1),
					asm.AddAtomic.Mem(asm.R2, asm.R3, asm.DWord, 0),
					asm.Mov.Imm(asm.R0, 0),
					asm.Return(),
				},
			}},
			Maps: map[string]*ebpf.MapSpec{"seen": {
				Name: "seen", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
			}},
			Variables: map[string]*ebpf.VariableSpec{},
		},
		Probes: []prog.Probe{{Program: "count", Kind: prog.RawTracepoint, Name: "sched_process_exec"}},
	}
}

// What is pinned goes on without the session, until its directory is removed.
func TestKernelPin(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	vmtest.Need(t, kernel.RawTracepoint)
	root := fmt.Sprintf("sonde_test_%d", os.Getpid())
	if _, err := attach.OpenPinRoot(root, false); !errors.Is(err, attach.ErrNoPins) {
		t.Fatalf("before anything is pinned: %v", err)
	}
	top, err := attach.OpenPinRoot(root, true)
	if err != nil && strings.Contains(err.Error(), "no bpf file system") {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	defer os.Remove(top.Path())
	s, err := attach.Open(countingSpec())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Attach(); err != nil {
		t.Fatal(err)
	}
	dir, err := top.Make("one")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := top.Make("one"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second of the same name: %v", err)
	}
	if err := s.Pin(dir, "seen"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"x", "12345678", strings.Repeat("long ", 100_000)} {
		if err := dir.PinBytes("t"+fmt.Sprint(len(text)), []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := dir.Bytes("t" + fmt.Sprint(len(text)))
		if err != nil || strings.TrimRight(string(got), "\x00") != text {
			t.Errorf("%d bytes come back as %d: %v", len(text), len(got), err)
		}
	}
	if err := dir.PinBytes("t1", []byte("another")); err != nil {
		t.Fatal(err)
	}
	if got, err := dir.Bytes("t1"); err != nil || strings.TrimRight(string(got), "\x00") != "another" {
		t.Errorf("replaced by %q: %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	at := attach.Place{Map: "seen", Offset: 8, Size: 8}
	count := func() uint64 {
		t.Helper()
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
		n, err := dir.Word(at)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if first, second := count(), count(); first == 0 || second <= first {
		t.Errorf("without the session it counted %d, then %d execs", first, second)
	}
	const other = 1 << 40
	if err := dir.SetWord(at, other); err != nil {
		t.Fatal(err)
	}
	if n := count(); n <= other {
		t.Errorf("%d after the count was set to %d", n, uint64(other))
	}
	for _, bad := range []attach.Place{{Map: "seen", Offset: 16, Size: 8}, {Map: "seen", Offset: 4, Size: 8}, {Map: "seen"}, {Map: "none", Size: 8}} {
		if _, err := dir.Word(bad); err == nil {
			t.Errorf("a word at %v", bad)
		}
	}
	if names, err := top.Names(); err != nil || len(names) != 1 || names[0] != "one" || dir.Gone() {
		t.Errorf("%q, %v", names, err)
	}

	seen, err := dir.Map("seen")
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Close()
	if err := top.RemoveAll("one"); err != nil {
		t.Fatal(err)
	}
	if !dir.Gone() {
		t.Error("the directory is not gone")
	}
	stopped := func() bool {
		var before, after [2]uint64
		if err := seen.Lookup(uint32(0), &before); err != nil {
			t.Fatal(err)
		}
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
		if err := seen.Lookup(uint32(0), &after); err != nil {
			t.Fatal(err)
		}
		return before == after
	}
	for until := time.Now().Add(10 * time.Second); !stopped(); { // other processes of the machine execute too
		if time.Now().After(until) {
			t.Fatal("it still counts")
		}
	}
}

// A directory that others made, or a link in its place, is not used.
func TestKernelPinHostile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := fmt.Sprintf("sonde_evil_%d", os.Getpid())
	top, err := attach.OpenPinRoot(root, true)
	if err != nil && strings.Contains(err.Error(), "no bpf file system") {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(top.Path())
	defer top.Close()
	for name, make := range map[string]func(path string) error{
		"others": func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o755)) },
		"nobody": func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 65534, 65534)) },
		"link":   func(path string) error { return os.Symlink("/tmp", path) },
	} {
		path := top.Path() + "/" + name
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if d, err := top.Open(name); err == nil {
			d.Close()
			t.Errorf("%s is used", name)
		}
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
