package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

// fixture is what TestFixture wrote from the BTF of a 6.18 kernel.
const fixture = "testdata/vmlinux-6.18-reduced.btf"

// kernels are made-up kernels, for what the one at hand does not have.
func kernels() map[string][]btf.Type {
	u8 := &btf.Int{Name: "unsigned char", Size: 1}
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	s32 := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	u64 := &btf.Int{Name: "long unsigned int", Size: 8}
	toVoid := &btf.Pointer{Target: (*btf.Void)(nil)}
	constant := func(typ btf.Type) btf.Type { return &btf.Const{Type: &btf.Volatile{Type: typ}} }
	structOf := func(name string, size uint32, members ...btf.Member) *btf.Struct {
		return &btf.Struct{Name: name, Size: size, Members: members}
	}
	unionOf := func(name string, size uint32, members ...btf.Member) *btf.Union {
		return &btf.Union{Name: name, Size: size, Members: members}
	}
	at := func(offset btf.Bits, name string, typ btf.Type) btf.Member {
		return btf.Member{Name: name, Type: typ, Offset: offset}
	}
	bits := func(offset, size btf.Bits, name string, typ btf.Type) btf.Member {
		return btf.Member{Name: name, Type: typ, Offset: offset, BitfieldSize: size}
	}
	array := func(typ btf.Type, n uint32) btf.Type { return &btf.Array{Index: u32, Type: typ, Nelems: n} }
	task := structOf("task_struct", 64, at(64, "pid", s32), at(96, "tgid", s32), at(128, "comm", array(u8, 16)))
	task.Members = append(task.Members, at(256, "real_parent", &btf.Pointer{Target: task}))
	callback := func(params ...btf.FuncParam) *btf.Typedef {
		return &btf.Typedef{Name: "rcu_callback_t", Type: &btf.Pointer{
			Target: &btf.FuncProto{Return: (*btf.Void)(nil), Params: params}}}
	}

	return map[string][]btf.Type{
		"nothing": {u32},
		"plain":   {task},
		"a flavour in the kernel": {
			structOf("task_struct___rt", 128, at(512, "pid", s32)),
		},
		"two that agree": {
			structOf("upid", 16, at(0, "nr", s32), at(64, "ns", toVoid)),
			structOf("upid", 16, at(0, "nr", s32), at(64, "ns", toVoid), at(96, "more", u32)),
		},
		"two that differ": {
			structOf("upid", 16, at(0, "nr", s32)),
			structOf("upid", 24, at(64, "nr", s32)),
		},
		"the better of two": {
			structOf("cred", 8, at(0, "usage", s32)),
			structOf("cred", 32, at(64, "uid", &btf.Typedef{Name: "kuid_t", Type: structOf("", 4, at(0, "val", u32))})),
		},
		"nested without names": {
			structOf("inode", 64,
				at(0, "i_mode", u32),
				at(64, "", unionOf("", 16,
					at(0, "other", u64),
					at(32, "", &btf.Typedef{Name: "hidden", Type: structOf("", 8,
						at(0, "x", u32), at(32, "i_nlink", constant(u32)))}))),
				at(256, "", unionOf("", 8, at(0, "i_ino", u64), at(0, "y", u32)))),
		},
		"a name twice": {
			structOf("inode", 64,
				at(0, "", unionOf("", 8, at(32, "i_ino", u32))),
				at(256, "i_ino", u64)),
		},
		"an unnamed integer": {
			structOf("inode", 64, at(0, "", u32), at(64, "i_ino", u64)),
		},
		"bitfields": {
			structOf("task_struct", 16, bits(3, 1, "in_execve", u32), bits(69, 2, "sched_reset_on_fork", u8)),
			structOf("file", 8, bits(33, 9, "f_flags", constant(u32))),
			structOf("signal_struct", 8, at(32, "is_child_subreaper", u32)),
		},
		"other kinds": {
			unionOf("task_struct", 16, at(0, "pid", s32)),
			structOf("pid", 16, at(32, "level", u32), at(64, "numbers", array(structOf("upid", 16, at(32, "nr", s32)), 0))),
			&btf.Fwd{Name: "file", Kind: btf.FwdStruct},
			&btf.Fwd{Name: "sonde_no_such_struct", Kind: btf.FwdStruct},
			&btf.Enum{Name: "cred", Size: 4},
			&btf.Func{Name: "dentry", Type: &btf.FuncProto{Return: s32}},
			&btf.Var{Name: "inode", Type: u32},
			&btf.Float{Name: "qstr", Size: 8},
		},
		"typedefs of the same name": {
			structOf("file", 32, at(64, "f_flags", u32)),
			&btf.Typedef{Name: "upid", Type: structOf("", 16, at(96, "nr", s32))},
			&btf.Typedef{Name: "qstr", Type: &btf.FuncProto{Return: s32}},
			&btf.Typedef{Name: "kuid_t", Type: u32},
		},
		"arrays": {
			structOf("task_struct", 64, at(0, "comm", &btf.Typedef{Name: "name_t", Type: array(constant(u8), 24)})),
			structOf("tty_struct", 64, at(0, "name", array(u8, 3))),
			structOf("super_block", 64, at(0, "s_id", toVoid)),
			structOf("signal_struct", 64, at(64, "pids", array(array(toVoid, 2), 4))),
		},
		"enums": {
			&btf.Enum{Name: "pid_type", Size: 4, Signed: true, Values: []btf.EnumValue{
				{Name: "PIDTYPE_PID", Value: 0}, {Name: "PIDTYPE_SID", Value: 7}, {Name: "PIDTYPE_MAX", Value: ^uint64(0)}}},
			&btf.Enum{Name: "bpf_map_type", Size: 8, Values: []btf.EnumValue{
				{Name: "BPF_MAP_TYPE_HASH", Value: 1 << 20}, {Name: "BPF_MAP_TYPE_RINGBUF___x", Value: 77}}},
		},
		"a callback":             {callback(btf.FuncParam{Name: "head", Type: &btf.Pointer{Target: constant(task)}})},
		"a callback of integers": {callback(btf.FuncParam{Type: s32})},
		"a callback of two":      {callback(btf.FuncParam{Type: toVoid}, btf.FuncParam{Type: toVoid})},
		"a callback that is none": {
			&btf.Typedef{Name: "rcu_callback_t", Type: toVoid},
		},
		"tags": {
			structOf("task_struct", 64, at(64, "real_parent", &btf.Pointer{Target: &btf.TypeTag{Type: task, Value: "rcu"}}),
				at(128, "pid", &btf.TypeTag{Type: s32, Value: "task_struct"})),
			&btf.Typedef{Name: "kuid_t", Type: structOf("", 4, at(0, "val", u32)), Tags: []string{"kuid_t"}},
		},
	}
}

func encodeTypes(t testing.TB, types []btf.Type) []byte {
	t.Helper()
	builder, err := btf.NewBuilder(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := builder.Marshal(nil, &btf.MarshalOptions{Order: binary.LittleEndian})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func wantedByTests(t testing.TB) (*ebpf.CollectionSpec, *wants) {
	t.Helper()
	object := loadObject(t, "core.bpf.o")
	wanted, err := wantedBy([]*ebpf.CollectionSpec{object})
	if err != nil {
		t.Fatal(err)
	}
	return object, wanted
}

// compareFixups reduces raw and compares how object relocates against both.
func compareFixups(t *testing.T, raw []byte) (reduced []byte) {
	t.Helper()
	object, wanted := wantedByTests(t)
	full, err := loadRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	reduced, err = reduce(memoryBTF(raw), wanted)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := loadRaw(reduced)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fixups(t, object, full), fixups(t, object, spec)); diff != "" {
		t.Errorf("-full +reduced:\n%s", diff)
	}
	return reduced
}

func TestReduceMadeUpKernels(t *testing.T) {
	for name, types := range kernels() {
		t.Run(name, func(t *testing.T) { compareFixups(t, encodeTypes(t, types)) })
	}
}

// TestFixture works on a piece of a real kernel, where the kernel at hand shows no types. It writes that piece, of the kernel
// at hand, when SONDE_UPDATE_FIXTURES is set.
func TestFixture(t *testing.T) {
	if os.Getenv("SONDE_UPDATE_FIXTURES") != "" {
		raw, err := os.ReadFile(vmlinuxBTF)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fixture, compareFixups(t, raw), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	raw, err := testdata.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	object, _ := wantedByTests(t)
	spec, err := loadRaw(compareFixups(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	got := fixups(t, object, spec)["fields"]
	if len(got) < 60 {
		t.Errorf("only %d relocations", len(got))
	}
	for _, fixup := range got {
		if strings.Contains(fixup, "poison") || strings.HasPrefix(fixup, "error") {
			t.Error(fixup)
		}
	}
}

func TestReduceRefuses(t *testing.T) {
	_, wanted := wantedByTests(t)
	good := encodeTypes(t, kernels()["plain"])
	change := func(at int, with ...byte) []byte {
		raw := bytes.Clone(good)
		copy(raw[at:], with)
		return raw
	}
	for name, tt := range map[string]struct {
		raw        []byte
		notReduced bool
	}{
		"empty":                   {raw: nil},
		"cut header":              {raw: good[:20]},
		"another format":          {raw: change(0, 0x7f, 'E')},
		"another byte order":      {raw: change(0, 0xeb, 0x9f), notReduced: true},
		"another version":         {raw: change(2, 2), notReduced: true},
		"flags":                   {raw: change(3, 1), notReduced: true},
		"short header":            {raw: change(4, 23)},
		"long header":             {raw: change(4, 0, 0, 0, 1)},
		"types far away":          {raw: change(8, 0xff, 0xff, 0xff, 0xff)},
		"too many types":          {raw: change(12, 0xff, 0xff, 0xff, 0xff)},
		"types cut off":           {raw: change(12, 40)},
		"names far away":          {raw: change(16, 0xff, 0xff, 0xff, 0xff)},
		"too many names":          {raw: change(20, 0xff, 0xff, 0xff, 0x7f)},
		"no names":                {raw: change(20, 0, 0, 0, 0)},
		"a name without end":      {raw: change(len(good)-1, 'x')},
		"a name far away":         {raw: change(btfHeaderLen, 0xff, 0xff, 0xff, 0x7f)},
		"kind 0":                  {raw: change(btfHeaderLen+4, 0, 0, 0, 0), notReduced: true},
		"kind 20":                 {raw: change(btfHeaderLen+4, 0, 0, 0, 20), notReduced: true},
		"kind 36, with more bits": {raw: change(btfHeaderLen+4, 0, 0, 0, 36), notReduced: true},
		"a count of 24 bits":      {raw: change(btfHeaderLen+4, 4, 0, 1, kindStruct), notReduced: true},
		"too many members":        {raw: change(btfHeaderLen+4, 0xff, 0xff, 0, kindStruct)},
		"a member of no type":     {raw: change(btfHeaderLen+btfRecordLen+4, 0xff, 0xff, 0xff, 0xff)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, src := range []*btfSource{memoryBTF(tt.raw), fileBTF(bytes.NewReader(tt.raw), len(tt.raw))} {
				_, err := reduce(src, wanted)
				if err == nil {
					t.Fatal("no error")
				}
				if errors.Is(err, ErrNotReduced) != tt.notReduced || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// FuzzReduce holds that no BTF makes reduce panic or hang, that both ways of reading give the same, and that what comes out
// can be read again.
func FuzzReduce(f *testing.F) {
	_, wanted := wantedByTests(f)
	for _, types := range kernels() {
		f.Add(encodeTypes(f, types))
	}
	raw, err := testdata.ReadFile(fixture)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := reduce(memoryBTF(raw), wanted)
		again, errAgain := reduce(fileBTF(bytes.NewReader(raw), len(raw)), wanted)
		if (err == nil) != (errAgain == nil) || !bytes.Equal(got, again) {
			t.Fatalf("in memory: %x, %v\nin pieces: %x, %v", got, err, again, errAgain)
		}
		if err != nil {
			return
		}
		spec, err := loadRaw(got)
		if err != nil {
			t.Fatalf("%v: %x", err, got)
		}
		for typ, err := range spec.All() {
			if err != nil {
				t.Fatalf("%v: %v: %x", typ, err, got)
			}
		}
	})
}
