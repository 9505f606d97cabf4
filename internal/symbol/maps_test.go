package symbol

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someMaps = `00400000-00452000 r-xp 00000000 08:02 173521                             /usr/bin/dbus-daemon
00651000-00652000 r--p 00051000 08:02 173521                             /usr/bin/dbus-daemon
7f0000001000-7f0000002000 rwxp 00000000 00:00 0 
7f0000002000-7f0000003000 r-xp 00001000 fe:00 42                         /tmp/with space\012and line (deleted)
7f0000003000-7f0000004000 r-xs 00000000 00:01 1043                       /memfd:doublemapper (deleted)
7ffc3a1d5000-7ffc3a1d7000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`

var wrongMaps = []string{
	"", "\n", "x\n", "1000\n", "1000-\n", "1000-2000\n", "2000-1000 r-xp 0 0:0 0\n", "1000-2000 r-x", "1000-2000 r-xp zz 0:0 0\n",
	"1000-2000 r-xp 0\n", "1000-2000 r-xp 0 0:0\n", "1000-2000 r-xp 0 0:0 x\n", strings.Repeat("1", 100<<10) + "\n",
}

func TestReadMaps(t *testing.T) {
	got, err := readMaps(strings.NewReader(someMaps))
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{
		{start: 0x400000, end: 0x452000, device: "08:02", inode: 173521, path: "/usr/bin/dbus-daemon"},
		{start: 0x7f0000001000, end: 0x7f0000002000, device: "00:00"},
		{start: 0x7f0000002000, end: 0x7f0000003000, offset: 0x1000, device: "fe:00", inode: 42, path: "/tmp/with space\nand line", deleted: true},
		{start: 0x7f0000003000, end: 0x7f0000004000, device: "00:01", inode: 1043, path: "/memfd:doublemapper", deleted: true},
		{start: 0x7ffc3a1d5000, end: 0x7ffc3a1d7000, device: "00:00", path: "[vdso]"},
		{start: 0xffffffffff600000, end: 0xffffffffff601000, device: "00:00", path: "[vsyscall]"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mapping{})); diff != "" {
		t.Error(diff)
	}
	anonymous := []bool{false, true, false, true, false, false}
	for i := range got {
		if got[i].anonymous() != anonymous[i] {
			t.Errorf("%s: anonymous is %v", got[i].path, !anonymous[i])
		}
	}
	for _, text := range wrongMaps {
		if found, _ := readMaps(strings.NewReader(text)); len(found) != 0 {
			t.Errorf("%.40q: %v", text, found)
		}
	}
}

func TestReadPerfMap(t *testing.T) {
	functions := readPerfMap(strings.NewReader("1000 100 old one\n0x2000 0x10 Builtin:x y\nnonsense\n3000 0 empty\n3000 10\n" +
		"4000 10 " + strings.Repeat("x", 100<<10) + "\n1000 40 new\n5000 10 _ZN3foo3barEi\n6000 10 unfinish"))
	for addr, want := range map[uint64]string{
		0x1000: "new", 0x1050: "", 0x2001: "Builtin:x y", 0x3000: "", 0x4000: "", 0x5000: "foo::bar(int)", 0x6000: "",
	} {
		if frame, _ := functions.frame(addr); frame.Name != want {
			t.Errorf("%#x is %q, want %q", addr, frame.Name, want)
		}
	}
}

func TestDemangle(t *testing.T) {
	for name, want := range map[string]string{
		"":                                  "",
		"main":                              "main",
		"_Znwm":                             "operator new(unsigned long)",
		"_ZN3foo3barEi":                     "foo::bar(int)",
		"_ZN3foo3barEi.cold":                "foo::bar(int) [clone .cold]",
		"_ZN4demo4main17h0123456789abcdefE": "demo::main",
		"_RNvC6_123foo3bar":                 "123foo::bar",
		"_Z":                                "_Z",
		"_ZN":                               "_ZN",
		"_RC0":                              "_RC0",
		"main.(*T).Method":                  "main.(*T).Method",
		"_Z" + strings.Repeat("N", 10000):   "_Z" + strings.Repeat("N", 10000),
	} {
		for range 2 {
			if got := Demangle(name); got != want {
				t.Errorf("%.40q: got %.80q, want %.80q", name, got, want)
			}
		}
	}
	// A hundred bytes that stand for a great many.
	bomb := "_Z1fI1AIiES0_IS1_S1_ES0_IS2_S2_ES0_IS3_S3_ES0_IS4_S4_ES0_IS5_S5_ES0_IS6_S6_ES0_IS7_S7_ES0_IS8_S8_EEvv"
	if got := Demangle(bomb); len(got) > 1<<maxDemangledLog+100 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestGlobMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"*", "x", true}, {"a*", "ab", true}, {"a*a", "a", false},
		{"a*a", "aa", true}, {"*b*", "abc", true}, {"*b*b*", "abc", false}, {"a*b*c", "axxbyyc", true}, {"a?", "ab", false}, {"**", "x", true},
	} {
		if got := globMatch(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q %q: %v", tt.pattern, tt.name, got)
		}
	}
}

func FuzzMaps(f *testing.F) {
	f.Add([]byte(someMaps))
	for _, text := range wrongMaps {
		f.Add([]byte(text[:min(len(text), 200)]))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found, _ := readMaps(bytes.NewReader(text))
		for _, m := range found {
			if m.start >= m.end {
				t.Errorf("%+v", m)
			}
		}
	})
}

func FuzzPerfMap(f *testing.F) {
	f.Add([]byte("1000 100 old one\n0x2000 0x10 Builtin:x y\n1000 40 new\n"), uint64(0x1001))
	f.Fuzz(func(t *testing.T, text []byte, addr uint64) {
		if frame, found := readPerfMap(bytes.NewReader(text)).frame(addr); found && frame.Mangled == "" {
			t.Error("found a function without a name")
		}
	})
}

func FuzzDemangle(f *testing.F) {
	f.Add("_ZN3foo3barEi")
	f.Add("_RNvC6_123foo3bar")
	f.Fuzz(func(t *testing.T, name string) {
		if got := Demangle(name); name != "" && got == "" {
			t.Errorf("%q has become nothing", name)
		}
	})
}
