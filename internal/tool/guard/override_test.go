package guard

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// A number is one call, for each machine and kind of program; and it is that of the kernel's own table.
func TestCallEntries(t *testing.T) {
	for machine, want := range map[string]map[string]int{
		"amd64": {"__x64_sys_openat": 257, "__ia32_compat_sys_openat": callsMost + 295, "__ia32_sys_chown16": callsMost + 182, "__x64_sys_chown": 92, "__ia32_sys_chown": callsMost + 212},
		"arm64": {
			"__arm64_sys_openat": 56, "__arm64_compat_sys_openat": callsMost + 322, "__arm64_sys_unlink": callsMost + 10, "__arm64_sys_utimensat": 88,
			"__arm64_compat_sys_aarch32_truncate64": callsMost + 193,
		},
	} {
		taken, found := make(map[int]string), make(map[string]int)
		for _, e := range callEntries(machine) {
			for _, n := range e.numbers {
				if taken[n] != "" {
					t.Errorf("%s: %s and %s are both number %d", machine, taken[n], e.function, n)
				}
				taken[n] = e.function
				if n < 0 || n >= 2*callsMost || e.compat != (n >= callsMost) {
					t.Errorf("%s: %s is number %d", machine, e.function, n)
				}
				if !e.compat && n < 512 && kernel.SyscallNameOn(machine, n) != e.call.name {
					t.Errorf("%s: number %d is %s, not %s", machine, n, kernel.SyscallNameOn(machine, n), e.call.name)
				}
				if _, known := found[e.function]; !known {
					found[e.function] = n
				}
			}
			for _, p := range []callPath{e.call.first, e.call.second} {
				if p.arg > 4 || p.dirfd > 4 || p.arg != 0 && p.arg == p.dirfd {
					t.Errorf("%s: %+v", e.function, p)
				}
			}
		}
		for function, n := range want {
			if found[function] != n {
				t.Errorf("%s: %s is number %d, want %d", machine, function, found[function], n)
			}
		}
	}
}

// The functions are those of this kernel, for what it has.
func TestKernelCallFunctions(t *testing.T) {
	types, err := kernel.RunningTypes()
	if err != nil {
		t.Skip(err)
	}
	// The newest, and those of old programs only some kernels have.
	newest := []string{"fchmodat2", "setxattrat", "removexattrat", "file_setattr"}
	n := 0
	for _, e := range hereEntries() {
		if _, there := parameters(types, e.function); there {
			n++
		} else if !e.compat && len(e.numbers) > 0 && !strings.Contains(fmt.Sprint(newest), e.call.name) {
			t.Errorf("this kernel has no %s among its types", e.function)
		}
	}
	if n == 0 {
		t.Error("none of them is there")
	}
}

// By kprobes it is one program on all functions; else one on each, and those are left out that the kernel does not let be modified.
func TestOverrideProbes(t *testing.T) {
	types, err := kernel.RunningTypes()
	if err != nil {
		t.Skip(err)
	}
	refused := Openat32()
	for name, modifies := range map[string]func(string) bool{"kprobes": nil, "fmod_ret": func(f string) bool { return f != refused }} {
		spec, err := Spec(Options{Mechanism: Override, Types: types, Modifies: modifies})
		if err != nil {
			t.Fatal(err)
		}
		on := make(map[string]bool)
		for _, p := range spec.Probes {
			program := spec.Collection.Programs[p.Program]
			if program == nil {
				t.Fatalf("%s: %s has no program", name, p.Name)
			}
			switch p.Kind {
			case prog.RawTracepoint:
				continue
			case prog.Kprobe:
				if modifies != nil || program.Type != ebpf.Kprobe {
					t.Errorf("%s: %+v by a program of type %s", name, p, program.Type)
				}
			case prog.FmodRet:
				if modifies == nil || program.AttachTo != p.Name || program.AttachType != ebpf.AttachModifyReturn {
					t.Errorf("%s: %+v by a program for %s", name, p, program.AttachTo)
				}
			}
			if on[p.Name] {
				t.Errorf("%s: two probes on %s", name, p.Name)
			}
			on[p.Name] = true
		}
		if len(on) < 20 || modifies != nil && on[refused] {
			t.Errorf("%s: on %v", name, on)
		}
	}
	if _, err := Spec(Options{Mechanism: Override, Types: types, Modifies: func(string) bool { return false }}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("where nothing can be modified: %v", err)
	}
}

// The steps that a rule's path leads through, as it is written and as it is without links, and back.
func TestSteps(t *testing.T) {
	root := grow(t, "real/in/file", "real/in/sub/", "link -> real/in", "real/in/up -> ../../link")
	at := func(name string) Object { return objectAt(t, filepath.Join(root, name)) }
	a, err := Arm(parse(t, "deny /link/up/file /real/*/sub"), Env{Root: root, IKnow: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		from, name, to string
		link           bool
	}{
		{".", "real", "real", false}, {".", "link", "real/in", true}, {"real", "in", "real/in", false}, {"real/in", "up", "real/in", true},
		{"real/in", "file", "real/in/file", false}, {"real/in", "..", "real", false}, {"real", "..", ".", false},
	} {
		entry := Entry{at(want.from), want.name}
		if got, there := a.Steps[entry]; !there || got != (Step{at(want.to), want.link}) {
			t.Errorf("%s of %s leads to %+v (%v), want %s", want.name, want.from, got, there, want.to)
		}
	}
	if _, there := a.Steps[Entry{at("."), ".."}]; there {
		t.Error("something is above the root")
	}

	f := newFakeTables()
	if _, err := Load(f, a, 1); err != nil || len(f.entries[bpfMapGuardSteps]) > 0 {
		t.Errorf("a mechanism that goes by no paths: %v, %v", f.entries[bpfMapGuardSteps], err)
	}
	f.words[bpfVarGuardStepsRoom] = 100
	loaded, err := Load(f, a, 2)
	if err != nil {
		t.Fatal(err)
	}
	steps := f.entries[bpfMapGuardSteps]
	if len(steps) != len(a.Steps) {
		t.Errorf("%d steps are loaded of %d", len(steps), len(a.Steps))
	}
	back, link := tableEntry{2, at("real/in"), 0}, tableEntry{2, at("."), nameHash(5, "link")}
	if got, want := steps[fmt.Sprint(back)], (tableStep{Ino: at("real").Ino, Dev: at("real").Dev}); got != want {
		t.Errorf("back: %+v, want %+v", got, want)
	}
	if got, want := steps[fmt.Sprint(link)], (tableStep{Ino: at("real/in").Ino, Dev: at("real/in").Dev, Link: 1}); got != want {
		t.Errorf("the link: %+v, want %+v", got, want)
	}
	if _, err := loaded.Drop(f); err != nil || len(steps) > 0 {
		t.Errorf("what stays: %v, %v", steps, err)
	}
}

// What override tells of is a path that somebody wrote; no file was reached.
func TestRowOfWhatIsWritten(t *testing.T) {
	b := body(sampleOwn, "../secrettmp\x00")
	b[fileevent.Fixed+atMechanism] = uint8(Override.number())
	binary.NativeEndian.PutUint64(b[24:], 0)
	binary.NativeEndian.PutUint32(b[68:], uint32(fileevent.Untimed|fileevent.Based))
	for at, n := range map[int]uint16{76: 9, 78: 0, 80: 4} { // path, file, base
		binary.NativeEndian.PutUint16(b[at:], n)
	}
	var e Event
	if err := e.Decode(b); err != nil {
		t.Fatal(err)
	}
	row := newRowMaker(0).make(&e, "rule")
	if v := row.Values[fFile]; v.Null || string(v.Bytes) != "/tmp/../secret" {
		t.Errorf("file %q", v.Bytes)
	}
	if v := row.Values[RowType.Index("path")]; v.Null || string(v.Bytes) != "../secret" {
		t.Errorf("path %q", v.Bytes)
	}
	if !row.Values[RowType.Index("ino")].Null || !row.Values[RowType.Index("dev")].Null {
		t.Error("a file was reached")
	}
}
