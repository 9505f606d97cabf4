package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	local  = elf.STB_LOCAL
	global = elf.STB_GLOBAL
	weak   = elf.STB_WEAK
	fun    = elf.STT_FUNC
	none   = elf.STT_NOTYPE
)

var someSymbols = []testSymbol{
	{"", none, local, 0, 0, 0},
	{"first", fun, local, 1, 0x2000, 0x10},
	{"__libc_second", fun, global, 1, 0x2020, 0x20},
	{"second", fun, global, 1, 0x2020, 0x20},
	{"weak_second", fun, weak, 1, 0x2020, 0x20},
	{"label_in_second", none, local, 1, 0x2028, 0},
	{"outer", fun, local, 1, 0x2100, 0x100},
	{"inner", fun, local, 1, 0x2140, 0x10},
	{"start", none, global, 1, 0x2300, 0},
	{"$x", none, local, 1, 0x2301, 0},
	{".Lhere", none, local, 1, 0x2302, 0},
	{"data", elf.STT_OBJECT, global, 1, 0x2400, 8},
	{"elsewhere", fun, global, 0, 0x2410, 8}, // undefined
	{"versioned@@GLIBC_2.14", elf.STT_GNU_IFUNC, global, 1, 0x2420, 8},
	{"short", fun, global, 1, 0x2440, 4},
	{"long", fun, global, 1, 0x2440, 8},
	{"typed", fun, local, 1, 0x2460, 4},
	{"untyped", none, global, 1, 0x2460, 4},
	{"_ZN3foo3barEi", fun, global, 1, 0x2480, 0x10},
	{"section.sym", elf.STT_SECTION, local, 1, 0x2490, 0},
	{"behind", fun, global, 1, 0x9000, 0x10}, // not in any segment
}

func TestELFTable(t *testing.T) {
	for _, e := range []testELF{
		{class: elf.ELFCLASS64, order: binary.LittleEndian},
		{class: elf.ELFCLASS64, order: binary.BigEndian},
		{class: elf.ELFCLASS32, order: binary.LittleEndian},
		{class: elf.ELFCLASS32, order: binary.BigEndian},
	} {
		e.textAddr, e.symtab, e.buildID = 0x2000, someSymbols, []byte("0123456789abcdefghij")
		data := e.bytes()
		img, err := openImage(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if string(img.buildID) != string(e.buildID) {
			t.Errorf("build ID %q", img.buildID)
		}
		if addr, found := img.address(0x1020); !found || addr != 0x2020 {
			t.Errorf("address %#x", addr)
		}
		if offset, found := img.offset(0x2020); !found || offset != 0x1020 {
			t.Errorf("offset %#x", offset)
		}
		for _, outside := range []uint64{0, 0xfff, 0x2000} {
			if addr, found := img.address(outside); found {
				t.Errorf("%#x is mapped to %#x", outside, addr)
			}
		}
		functions, err := img.functions(nil, "")
		if err != nil {
			t.Fatal(err)
		}
		for addr, want := range map[uint64]string{
			0x1fff: "", 0x2000: "first", 0x200f: "first", 0x2010: "", 0x2020: "second", 0x2028: "second", 0x203f: "second",
			0x2040: "", 0x2100: "outer", 0x2140: "inner", 0x2150: "outer", 0x21ff: "outer", 0x2200: "", 0x2300: "start",
			0x2310: "start", 0x2400: "start", 0x2420: "versioned", 0x2440: "long", 0x2460: "typed", 0x2485: "foo::bar(int)",
			0xffffffffffffffff: "",
		} {
			frame, found := functions.frame(addr)
			if frame.Name != want || found != (want != "") {
				t.Errorf("%v %v: %#x is %q, want %q", e.class, e.order, addr, frame.Name, want)
			}
		}
	}
}

// lookup names addresses of text in an ELF file.
func lookup(t *testing.T, path string, debug debugDirs, addr uint64) string {
	t.Helper()
	f, info, err := openRegular(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := openImage(f, info.Size)
	if err != nil {
		t.Fatal(err)
	}
	functions, err := img.functions(debug, path)
	if err != nil {
		t.Fatal(err)
	}
	frame, _ := functions.frame(addr)
	return frame.Name
}

func TestSeparateDebugFile(t *testing.T) {
	id, other := []byte("\x01\x0223456789abcdefghij"), []byte("\x01\x03another build......")
	debug := testELF{textAddr: 0x2000, symtab: someSymbols}
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	link := func(name string, file []byte) []testSection {
		text := append([]byte(name), 0)
		for len(text)%4 != 0 {
			text = append(text, 0)
		}
		return []testSection{{".gnu_debuglink", append(text, sum(file)...)}}
	}
	withID := func(e testELF, id []byte) []byte { e.buildID = id; return e.bytes() }
	tests := []struct {
		name  string
		main  testELF
		at    string // where the debug file is put
		debug []byte
		found bool
	}{
		{"build ID", testELF{buildID: id}, "debug/.build-id/01/0232333435363738396162636465666768696a.debug", withID(debug, id), true},
		{"build ID of another", testELF{buildID: id}, "debug/.build-id/01/0232333435363738396162636465666768696a.debug", withID(debug, other), false},
		{"link", testELF{extra: link("x.debug", debug.bytes())}, "bin/x.debug", debug.bytes(), true},
		{"link to .debug", testELF{extra: link("x.debug", debug.bytes())}, "bin/.debug/x.debug", debug.bytes(), true},
		{"link of another", testELF{extra: link("x.debug", nil)}, "bin/x.debug", debug.bytes(), false},
		{"link and build ID", testELF{buildID: id, extra: link("x.debug", nil)}, "bin/x.debug", withID(debug, id), true},
		{"link and build ID of another", testELF{buildID: id, extra: link("x.debug", nil)}, "bin/x.debug", withID(debug, other), false},
		{"link upwards", testELF{extra: link("../x.debug", debug.bytes())}, "x.debug", debug.bytes(), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"bin/.debug", filepath.Dir(tt.at)} {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			tt.main.textAddr = 0x2000
			tt.main.dynsym = []testSymbol{{"exported", fun, global, 1, 0x2500, 8}}
			write(t, dir, tt.at, string(tt.debug))
			path := write(t, dir, "bin/x", string(tt.main.bytes()))
			want := ""
			if tt.found {
				want = "first"
			}
			if got := lookup(t, path, debugDirs{filepath.Join(dir, "debug")}, 0x2008); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := lookup(t, path, debugDirs{filepath.Join(dir, "debug")}, 0x2500); got != "exported" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// What a distribution does: strip, and put a compressed symbol table into the file.
func TestMiniDebug(t *testing.T) {
	xz, err := exec.LookPath("xz")
	if err != nil {
		t.Skip("no xz to compress with")
	}
	for _, options := range [][]string{{"-9"}, {"--check=none", "-0"}, {"--check=sha256", "--block-size=1000"}} {
		command := exec.Command(xz, append(options, "-c")...)
		command.Stdin = bytes.NewReader(testELF{textAddr: 0x2000, symtab: someSymbols}.bytes())
		packed, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		e := testELF{textAddr: 0x2000, extra: []testSection{{".gnu_debugdata", packed}}}
		path := write(t, t.TempDir(), "x", string(e.bytes()))
		if got := lookup(t, path, nil, 0x2008); got != "first" {
			t.Errorf("%v: got %q", options, got)
		}
		if _, err := expandXZ(packed, 100); err == nil {
			t.Error("more than the limit is expanded")
		}
	}
}

// Go programs without a symbol table still have their names.
func TestStrippedGoProgram(t *testing.T) {
	for _, mode := range []string{"exe", "pie"} {
		dir := t.TempDir()
		source := write(t, dir, "main.go", "package main\n\n//go:noinline\nfunc named() int { return len(\"x\") }\n\nfunc main() { println(named()) }\n")
		var path [2]string
		for i, flags := range []string{"", "-s -w"} {
			path[i] = filepath.Join(dir, "x"+flags[:min(2, len(flags))])
			command := exec.Command("go", "build", "-buildmode="+mode, "-ldflags="+flags, "-o", path[i], source)
			command.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		full, err := Functions(path[0], "main.named", false)
		if err != nil || len(full) != 1 {
			t.Fatalf("%s: %v %v", mode, full, err)
		}
		stripped, err := Functions(path[1], "main.named", false)
		if err != nil || len(stripped) != 1 {
			t.Fatalf("%s: %v %v", mode, stripped, err)
		}
		if stripped[0].Offset != full[0].Offset || stripped[0].Address != full[0].Address {
			t.Errorf("%s: stripped %+v, else %+v", mode, stripped[0], full[0])
		}
		if got := lookup(t, path[1], nil, stripped[0].Address+1); got != "main.named" {
			t.Errorf("%s: got %q", mode, got)
		}
	}
}

func TestFunctions(t *testing.T) {
	e := testELF{textAddr: 0x2000, symtab: append([]testSymbol{
		{"_ZN3foo3barEd", fun, global, 1, 0x2600, 0x10},
		{"_ZN3foo3bazEv", fun, global, 1, 0x2620, 0x10},
		{"_ZN4demo4main17h0123456789abcdefE", fun, global, 1, 0x2640, 0x10},
	}, someSymbols...), dynsym: someSymbols}
	path := write(t, t.TempDir(), "x", string(e.bytes()))
	tests := []struct {
		pattern string
		cpp     bool
		want    string
	}{
		{"first", false, "first@0x1000"},
		{"*second", false, "__libc_second@0x1020 label_in_second@0x1028 second@0x1020 weak_second@0x1020"},
		{"f*st", false, "first@0x1000"},
		{"firs", false, ""},
		{"behind", false, ""},
		{"data", false, ""},
		{"foo::bar", false, ""},
		{"foo::bar", true, "foo::bar(double)@0x1600 foo::bar(int)@0x1480"},
		{"foo::ba*", true, "foo::bar(double)@0x1600 foo::bar(int)@0x1480 foo::baz()@0x1620"},
		{"foo::bar(int)", true, "foo::bar(int)@0x1480"},
		{"demo::main", true, "demo::main@0x1640"},
		{"first", true, "first@0x1000"},
	}
	for _, tt := range tests {
		found, err := Functions(path, tt.pattern, tt.cpp)
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, s := range found {
			got = append(got, s.Demangled+fmt.Sprintf("@%#x", s.Offset))
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", tt.pattern, diff)
		}
	}
	for name, want := range map[string]uint64{"data": 0x2400, "second": 0x2020, "nothing": 0} {
		if s, found, err := Address(path, name); err != nil || s.Address != want || found != (want != 0) {
			t.Errorf("%s: %+v %v %v", name, s, found, err)
		}
	}
	for _, bad := range []string{"/dev/zero", filepath.Dir(path), path + "x", write(t, t.TempDir(), "text", "hello\n")} {
		if _, err := Functions(bad, "*", false); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzELF(f *testing.F) {
	id := []byte("0123456789abcdefghij")
	for _, class := range []elf.Class{elf.ELFCLASS32, elf.ELFCLASS64} {
		e := testELF{class: class, textAddr: 0x2000, symtab: someSymbols, buildID: id}
		f.Add(e.bytes(), uint64(0x2008))
		e.symtab, e.extra = nil, []testSection{
			{".gnu_debuglink", []byte("x.debug\x00\x00\x00\x00\x00")},
			{".gopclntab", append([]byte("\xf1\xff\xff\xff\x00\x00\x01\x08\x01"), make([]byte, 100)...)},
			{".gnu_debugdata", []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3")},
		}
		f.Add(e.bytes(), uint64(0x2008))
	}
	f.Fuzz(func(t *testing.T, data []byte, addr uint64) {
		img, err := openImage(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		img.address(addr)
		img.offset(addr)
		functions, _ := img.functions(nil, "/nowhere/x")
		if frame, found := functions.frame(addr); found && frame.Mangled == "" {
			t.Error("found a function without a name")
		}
		for i := 1; i < len(functions.functions); i++ {
			if functions.functions[i-1].addr >= functions.functions[i].addr {
				t.Fatal("not sorted")
			}
		}
	})
}

func FuzzXZ(f *testing.F) {
	if xz, err := exec.LookPath("xz"); err == nil {
		command := exec.Command(xz, "-c")
		command.Stdin = strings.NewReader(strings.Repeat("abc", 100))
		if packed, err := command.Output(); err == nil {
			f.Add(packed)
		}
	}
	f.Add([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if out, err := expandXZ(data, 1<<20); err == nil && len(out) > 1<<20 {
			t.Error(len(out))
		}
	})
}
