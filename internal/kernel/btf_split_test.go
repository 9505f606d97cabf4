package kernel

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// typesOf encodes records; each is a name, the info, the size or type, and what follows.
type typeRecord struct {
	name string
	info uint32
	word uint32
	tail []uint32
}

func encodeRecords(records []typeRecord, namesBefore int) []byte {
	e := newEncoder()
	if namesBefore > 0 { // of a module, whose offsets go on where those of the kernel end
		e.names, e.offsets = nil, map[string]uint32{}
	}
	for _, r := range records {
		if r.name == "" {
			e.word(0)
		} else {
			e.word(e.name([]byte(r.name)) + uint32(namesBefore))
		}
		e.word(r.info)
		e.word(r.word)
		for _, w := range r.tail {
			e.word(w)
		}
	}
	return e.blob()
}

func TestSplit(t *testing.T) {
	base := encodeRecords([]typeRecord{
		{"int", kindInt << 24, 4, []uint32{intSigned<<24 | 32}},
		{"file", kindStruct << 24, 16, nil},
		{"", kindFuncProto << 24, 1, nil},
		{"vfs_read", kindFunc << 24, 3, nil},
	}, 0)
	kernelTypes, err := ParseBTF(base)
	if err != nil {
		t.Fatal(err)
	}
	module := encodeRecords([]typeRecord{
		{"xfs_inode", kindStruct<<24 | 1, 8, []uint32{uint32(len(kernelTypes.names)), 6, 0}}, // 5; the member is named as the struct is
		{"", kindPointer << 24, 2, nil},                   // 6
		{"xfs_file_open", kindFunc << 24, 3, nil},         // 7
		{"btf_trace_xfs_read", kindTypedef << 24, 6, nil}, // 8
	}, len(kernelTypes.names))
	dir := t.TempDir()
	for name, raw := range map[string][]byte{"vmlinux": base, "xfs": module, "damaged": module[:40]} {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := OpenBTF(filepath.Join(dir, "vmlinux"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Module("xfs")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := b.Module("xfs"); again != m {
		t.Error("a module is read twice")
	}
	for _, tt := range []struct {
		kind BTFKind
		name string
		want uint32
	}{{BTFStruct, "file", 2}, {BTFStruct, "xfs_inode", 5}, {BTFFunc, "xfs_file_open", 7}, {BTFFunc, "vfs_read", 4}, {BTFFunc, "none", 0}} {
		if id, ok := m.Find(tt.kind, tt.name); id != tt.want || ok != (tt.want != 0) {
			t.Errorf("%s: got %d, %v", tt.name, id, ok)
		}
	}
	if id, ok := b.Find(BTFStruct, "xfs_inode"); ok {
		t.Errorf("the kernel itself has a module's type, %d", id)
	}
	if b.Type(5) != nil || m.Type(5) == nil || m.Type(9) != nil || m.Count() != 9 {
		t.Error("IDs do not continue")
	}
	if got := m.Signature(5); got != "struct xfs_inode {\n\tstruct file *xfs_inode;\n};" {
		t.Errorf("got %s", got)
	}
	if got := m.FunctionNames("*"); !slices.Equal(got, []string{"xfs_file_open"}) {
		t.Errorf("functions of the module: %v", got)
	}
	if _, err := b.Module("damaged"); err == nil {
		t.Error("a damaged module")
	}
	for _, name := range []string{"none", "", "../vmlinux", "."} {
		if _, err := b.Module(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("module %q: %v", name, err)
		}
	}
	for _, tt := range []struct {
		kind          BTFKind
		prefix, match string
		want          []string
	}{
		{BTFFunc, "", "*", []string{"vmlinux:vfs_read", "xfs:xfs_file_open"}},
		{BTFFunc, "", "vfs_read", []string{"vmlinux:vfs_read"}},
		{BTFFunc, "", "xfs_file_open", []string{"xfs:xfs_file_open"}},
		{BTFFunc, "", "xfs:*", []string{"xfs:xfs_file_open"}},
		{BTFFunc, "", "vmlinux:*", []string{"vmlinux:vfs_read"}},
		{BTFFunc, "", "x*:*open", []string{"xfs:xfs_file_open"}},
		{BTFFunc, "", "xfs:vfs_read", nil},
		{BTFFunc, "", "xfs:", nil},
		{BTFTypedef, rawTypedef, "xfs_read", []string{"xfs:xfs_read"}},
		{BTFTypedef, rawTypedef, "*", []string{"xfs:xfs_read"}},
	} {
		if got := matchModules(b, tt.kind, tt.prefix, tt.match); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.match, got, tt.want)
		}
	}
}

func TestNoTypes(t *testing.T) {
	var b *BTFTypes
	if _, ok := b.Find(BTFStruct, "file"); ok || b.Type(1) != nil || b.Names(BTFFunc, "*") != nil || b.Modules() != nil || b.Signature(1) != "" {
		t.Error("types where there are none")
	}
	if _, _, ok := b.EnumValue("A"); ok {
		t.Error("an enumerator where there are no types")
	}
	if _, err := b.Module("xfs"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a module: %v", err)
	}
	if _, ok := kfunc(b, "bpf_rdonly_cast"); ok {
		t.Error("a kfunc where there are no types")
	}
}

func TestEnumValues(t *testing.T) {
	e := newEncoder()
	word := func(words ...uint32) {
		for _, w := range words {
			e.word(w)
		}
	}
	name := func(s string) uint32 { return e.name([]byte(s)) }
	word(name("signed"), 1<<31|kindEnum<<24|2, 4, name("MINUS"), ^uint32(0), name("ONE"), 1)
	word(name("unsigned"), kindEnum<<24|1, 4, name("BIG"), ^uint32(0))
	word(name("wide"), kindEnum64<<24|1, 8, name("WIDE"), 5, 7)
	b, err := ParseBTF(e.blob())
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]struct {
		enum  uint32
		value int64
	}{"MINUS": {1, -1}, "ONE": {1, 1}, "BIG": {2, 1<<32 - 1}, "WIDE": {3, 7<<32 | 5}} {
		if enum, value, ok := b.EnumValue(text); !ok || enum != want.enum || value != want.value {
			t.Errorf("%s: got %d, %d, %v", text, enum, value, ok)
		}
	}
	for _, text := range []string{"", "ON", "ONEE", "signed"} {
		if _, _, ok := b.EnumValue(text); ok {
			t.Errorf("%q is an enumerator", text)
		}
	}
	if wide := b.Type(3); wide.Values[0].Value != 7<<32|5 {
		t.Errorf("%+v", wide)
	}
}

// FuzzTypes holds that no BTF makes any question panic or take long.
func FuzzTypes(f *testing.F) {
	for _, types := range kernels() {
		f.Add(encodeTypes(f, types), []byte{})
	}
	raw, err := testdata.ReadFile(fixture)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, encodeRecords([]typeRecord{{"m", kindStruct<<24 | 1, 8, []uint32{1, 2, 0}}}, 100))
	f.Fuzz(func(t *testing.T, raw, split []byte) {
		b, err := ParseBTF(raw)
		if err != nil {
			return
		}
		ask := func(b *BTFTypes) {
			for id := range uint32(min(b.Count()+1, 200)) {
				typ := b.Type(id)
				if typ == nil {
					continue
				}
				if typ.Name != "" && id >= b.firstID {
					if _, ok := b.Find(typ.Kind, typ.Name); !ok && typ.Kind != BTFVoid && len(typ.Name) < maxNameLen {
						t.Errorf("type %d, %q, is not found", id, typ.Name)
					}
				}
				b.Signature(id)
				b.TypeName(id)
				b.Sizeof(id)
				b.Field(id, "none")
			}
			b.Names(BTFFunc, "*")
			b.EnumValue("NONE")
			b.markedKfuncs()
		}
		ask(b)
		if m, err := b.ParseSplit(split); err == nil {
			ask(m)
		}
	})
}
