package kernel

import (
	"bytes"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

//go:generate clang-14 -target bpfel -mcpu=v3 -O2 -g -Wall -Werror -ffile-compilation-dir=. -c testdata/core.bpf.c -o testdata/core.bpf.o
//go:generate llvm-strip-14 -g testdata/core.bpf.o
//go:generate clang-14 -target bpfel -mcpu=v3 -O2 -g -Wall -Werror -ffile-compilation-dir=. -c testdata/typeid.bpf.c -o testdata/typeid.bpf.o
//go:generate llvm-strip-14 -g testdata/typeid.bpf.o

// The tests also run in guests, which get the test binary and nothing else.
//
//go:embed testdata/core.bpf.o testdata/typeid.bpf.o testdata/vmlinux-6.18-reduced.btf
var testdata embed.FS

func loadObject(t testing.TB, name string) *ebpf.CollectionSpec {
	t.Helper()
	raw, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	object, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// needBTF skips where the kernel was built without its own types.
func needBTF(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(vmlinuxBTF); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no kernel BTF")
	}
}

func fullSpec(t testing.TB) *btf.Spec {
	t.Helper()
	needBTF(t)
	full, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// TestKernelTypesAnd asks for types that no relocation names.
func TestKernelTypesAnd(t *testing.T) {
	full := fullSpec(t)
	names := []string{"bpf_prog", "bpf_mem_alloc", "no_such_type"}
	reduced, err := TypesAnd(names, loadObject(t, "core.bpf.o"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		_, want := full.AnyTypesByName(name)
		if _, got := reduced.AnyTypesByName(name); (got == nil) != (want == nil) {
			t.Errorf("%s: %v, in the full types %v", name, got, want)
		}
	}
	if _, err := reduced.AnyTypeByName("bpf_prog"); err != nil {
		t.Errorf("every kernel with BPF has this: %v", err)
	}
}

// TestKernelTypesForOffsets compares members with what the full types say.
func TestKernelTypesForOffsets(t *testing.T) {
	full := fullSpec(t)
	reduced, err := TypesFor(loadObject(t, "core.bpf.o"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, tt := range []struct{ typ, member string }{
		{"task_struct", "pid"}, {"task_struct", "tgid"}, {"task_struct", "real_parent"}, {"task_struct", "mm"},
		{"task_struct", "cred"}, {"task_struct", "comm"}, {"task_struct", "fs"}, {"task_struct", "nsproxy"},
		{"task_struct", "signal"}, {"task_struct", "thread_pid"}, {"task_struct", "cgroups"},
		{"task_struct", "thread_info"}, {"task_struct", "in_execve"}, {"thread_info", "flags"},
		{"mm_struct", "arg_start"}, {"mm_struct", "arg_end"}, {"mm_struct", "env_end"}, {"mm_struct", "exe_file"},
		{"cred", "uid"}, {"cred", "euid"}, {"file", "f_path"}, {"file", "f_inode"}, {"file", "f_flags"},
		{"path", "mnt"}, {"path", "dentry"}, {"dentry", "d_parent"}, {"dentry", "d_name"}, {"qstr", "name"},
		{"qstr", "len"}, {"vfsmount", "mnt_root"}, {"mount", "mnt_parent"}, {"mount", "mnt"}, {"mount", "mnt_ns"},
		{"inode", "i_ino"}, {"inode", "i_nlink"}, {"inode", "i_sb"}, {"super_block", "s_dev"}, {"super_block", "s_id"},
		{"nsproxy", "mnt_ns"}, {"mnt_namespace", "ns"}, {"ns_common", "inum"}, {"pid", "level"}, {"pid", "numbers"},
		{"upid", "nr"}, {"upid", "ns"}, {"signal_struct", "live"}, {"signal_struct", "pids"}, {"signal_struct", "tty"},
		{"signal_struct", "is_child_subreaper"}, {"tty_struct", "name"}, {"linux_binprm", "filename"},
		{"linux_binprm", "interp"}, {"cgroup", "kn"}, {"cgroup", "level"}, {"kernfs_node", "id"},
		{"css_set", "dfl_cgrp"}, {"fs_struct", "pwd"}, {"fs_struct", "root"},
	} {
		t.Run(tt.typ+"."+tt.member, func(t *testing.T) {
			want, got := findMember(t, full, tt.typ, tt.member), findMember(t, reduced, tt.typ, tt.member)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-full +reduced:\n%s", diff)
			}
			if len(want) > 0 {
				found++
			}
		})
	}
	if found < 50 { // a kernel may lack some
		t.Errorf("only %d members found", found)
	}
	if got, err := reduced.AnyTypesByName("bpf_prog"); err == nil {
		t.Errorf("nobody asked for %v", got)
	}
}

type place struct {
	StructSize uint32
	Offset     btf.Bits
	Bits       btf.Bits
	Size       int
}

// findMember looks in all structs of the name, and in anonymous members too.
func findMember(t *testing.T, spec *btf.Spec, typ, member string) (places []place) {
	t.Helper()
	types, err := spec.AnyTypesByName(typ)
	if err != nil {
		t.Fatal(err)
	}
	var find func(in *btf.Struct, members []btf.Member, base btf.Bits)
	find = func(in *btf.Struct, members []btf.Member, base btf.Bits) {
		for _, m := range members {
			switch m.Name {
			case member:
				size, err := btf.Sizeof(m.Type)
				if err != nil {
					t.Fatal(err)
				}
				places = append(places, place{in.Size, base + m.Offset, m.BitfieldSize, size})
			case "":
				find(in, membersOf(btf.UnderlyingType(m.Type)), base+m.Offset)
			}
		}
	}
	for _, typ := range types {
		if in, ok := typ.(*btf.Struct); ok {
			find(in, in.Members, 0)
		}
	}
	slices.SortFunc(places, func(a, b place) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return places
}

// fixups relocates every program of object against types and gives, by program, all that the relocations say.
// What the library refuses to relocate shows as its error.
func fixups(t testing.TB, object *ebpf.CollectionSpec, types *btf.Spec) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	for name, prog := range object.Programs {
		var relos []*btf.CORERelocation
		var insns []asm.Instruction
		for i := range prog.Instructions {
			if relo := btf.CORERelocationMetadata(&prog.Instructions[i]); relo != nil {
				relos = append(relos, relo)
				insns = append(insns, prog.Instructions[i])
			}
		}
		localID := func(btf.Type) (btf.TypeID, error) { return 4711, nil }
		got, err := btf.CORERelocate(relos, []*btf.Spec{types}, binary.LittleEndian, localID)
		if err != nil {
			out[name] = []string{"error: " + err.Error()}
			continue
		}
		for i, fixup := range got {
			if err := fixup.Apply(&insns[i]); err != nil {
				t.Fatal(err)
			}
			out[name] = append(out[name], fmt.Sprintf("%v: %v: %v", relos[i], fixup.String(), insns[i]))
		}
	}
	return out
}

func TestKernelTypesForFixups(t *testing.T) {
	full := fullSpec(t)
	object := loadObject(t, "core.bpf.o")
	reduced, err := TypesFor(object)
	if err != nil {
		t.Fatal(err)
	}
	want := fixups(t, object, full)
	if len(want["fields"]) < 60 || len(want["questions"]) < 40 {
		t.Fatalf("the object has lost relocations: %d and %d", len(want["fields"]), len(want["questions"]))
	}
	if diff := cmp.Diff(want, fixups(t, object, reduced)); diff != "" {
		t.Errorf("-full +reduced:\n%s", diff)
	}
}

// TestKernelTypesForLoad loads the programs with both and compares what the kernel holds then.
func TestKernelTypesForLoad(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	full := fullSpec(t)
	// Before 5.11 BPF memory counts against this limit. Where raising it is refused, loading says whether that matters.
	const memlock, unlimited = 8, 1<<64 - 1
	_ = syscall.Setrlimit(memlock, &syscall.Rlimit{Cur: unlimited, Max: unlimited})
	object := loadObject(t, "core.bpf.o")
	reduced, err := TypesFor(object)
	if err != nil {
		t.Fatal(err)
	}
	load := func(types *btf.Spec) map[string]string {
		options := ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{KernelTypes: types}}
		loaded, err := ebpf.NewCollectionWithOptions(object, options)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		defer loaded.Close()
		out := make(map[string]string)
		for name, prog := range loaded.Programs {
			info, err := prog.Info()
			if err != nil {
				t.Fatal(err)
			}
			insns, err := info.Instructions()
			if err != nil {
				t.Fatal(err)
			}
			for i := range insns {
				if insns[i].IsLoadFromMap() { // another map, each time
					insns[i].Constant = 0
				}
			}
			out[name] = fmt.Sprint(insns)
		}
		return out
	}
	want, got := load(full), load(reduced)
	if len(want["fields"]) == 0 || len(want["questions"]) == 0 {
		t.Fatal("the kernel shows no instructions")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-full +reduced:\n%s", diff)
	}
}

// TestKernelTypesForSources gets the same result from the mapped file and from the file read in pieces.
func TestKernelTypesForSources(t *testing.T) {
	needBTF(t)
	wanted, err := wantedBy([]*ebpf.CollectionSpec{loadObject(t, "core.bpf.o")})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(vmlinuxBTF)
	if err != nil {
		t.Fatal(err)
	}
	want, err := reduce(memoryBTF(whole), wanted)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(vmlinuxBTF)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	opened, err := openBTF(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.close()
	for name, src := range map[string]*btfSource{"as opened": opened, "in pieces": fileBTF(file, len(whole))} {
		got, err := reduce(src, wanted)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s: another result", name)
		}
	}
	if len(want) > 16<<10 {
		t.Errorf("the result has %d bytes, which is not reduced", len(want))
	}
}

func TestTypesForRefusesTypeIDs(t *testing.T) {
	_, err := TypesFor(loadObject(t, "core.bpf.o"), loadObject(t, "typeid.bpf.o"))
	if !errors.Is(err, ErrNotReduced) {
		t.Errorf("got %v", err)
	}
}

func TestTypesForNothing(t *testing.T) {
	for _, objects := range [][]*ebpf.CollectionSpec{nil, {{}}} {
		spec, err := TypesFor(objects...)
		if err != nil {
			t.Fatal(err)
		}
		for typ := range spec.All() {
			if _, ok := typ.(*btf.Void); !ok {
				t.Errorf("got %v", typ)
			}
		}
	}
}
