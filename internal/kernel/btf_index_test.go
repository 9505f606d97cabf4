package kernel

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf/btf"
)

func BenchmarkIndex(b *testing.B) {
	needBTF(b)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := OpenBTF(VmlinuxBTF); err != nil {
				b.Fatal(err)
			}
		}
	})
	types, err := OpenBTF(VmlinuxBTF)
	if err != nil {
		b.Fatal(err)
	}
	for _, tt := range []struct {
		kind BTFKind
		name string
	}{{BTFStruct, "task_struct"}, {BTFStruct, "sonde_none"}, {BTFFunc, "vfs_read"}, {BTFFunc, "sonde_none"}} {
		b.Run("find "+tt.name, func(b *testing.B) {
			for b.Loop() {
				types.search(tt.kind, tt.name)
			}
		})
	}
	b.Run("enum", func(b *testing.B) {
		for b.Loop() {
			types.EnumValue("SONDE_NONE")
		}
	})
	b.Run("functions", func(b *testing.B) {
		for b.Loop() {
			types.FunctionNames("tcp_*")
		}
	})
}

// TestKernelIndexComplete finds every named type of the running kernel that the library knows, under the same ID.
func TestKernelIndexComplete(t *testing.T) {
	full := fullSpec(t)
	types, err := OpenBTF(VmlinuxBTF)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for typ, err := range full.All() {
		if err != nil {
			t.Fatal(err)
		}
		n++
		_ = typ
	}
	tags := 0 // the library makes them part of what they tag
	for _, kind := range types.kinds {
		if kind == kindDeclTag {
			tags++
		}
	}
	if types.Count() < 1000 || n != types.Count()-tags {
		t.Errorf("%d types, the library has %d", types.Count(), n)
	}
	for _, name := range []string{"task_struct", "file", "dentry", "sock", "a"} {
		var want *btf.Struct
		id, ok := types.Find(BTFStruct, name)
		if err := full.TypeByName(name, &want); err != nil {
			if ok {
				t.Errorf("struct %s: got %d, the library %v", name, id, err)
			}
			continue
		}
		wantID, err := full.TypeID(want)
		if err != nil || uint32(wantID) != id || !ok {
			t.Errorf("struct %s: got %d, %v, want %d, %v", name, id, ok, wantID, err)
		}
		got := types.Type(id)
		if got == nil || got.Size != int(want.Size) || len(got.Members) != len(want.Members) {
			t.Fatalf("struct %s: %v", name, got)
		}
		for i, m := range want.Members {
			g := got.Members[i]
			if g.Name != m.Name || g.BitOffset != int(m.Offset) || g.Bits != int(m.BitfieldSize) {
				t.Errorf("%s.%s: got %+v, want %v %v", name, m.Name, g, m.Offset, m.BitfieldSize)
			}
		}
	}
	if enum, value, ok := types.EnumValue("PIDTYPE_TGID"); !ok || value != 1 || types.Type(enum).Name != "pid_type" {
		t.Errorf("PIDTYPE_TGID: %d %d %v", enum, value, ok)
	}
	if got := types.FunctionNames("vfs_rea*"); !slices.Contains(got, "vfs_read") || !slices.IsSorted(got) {
		t.Errorf("vfs_rea*: %v", got)
	}
}
