package profile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pprof "github.com/google/pprof/profile"
)

// frames of a program that takes memory.
var (
	malloc = Frame{Name: "malloc", Module: "/usr/lib/libc.so.6", BuildID: "aa11", Address: 0x7f0000001234, Base: 0x7f0000000000}
	grow   = Frame{Name: "ns::grow<int>(int)", Mangled: "_ZN2ns4growIiEEvi", File: "/src/a.cc", Line: 10, Module: "/bin/prog", BuildID: "bb22", Address: 0x55001100, Base: 0x55000000, Inlined: true}
	load   = Frame{Name: "load", File: "/src/a.cc", Line: 20, Module: "/bin/prog", BuildID: "bb22", Address: 0x55001100, Base: 0x55000000}
	start  = Frame{Name: "main", File: "/src/main.cc", Line: 3, Module: "/bin/prog", BuildID: "bb22", Address: 0x55002000, Base: 0x55000000}
	nobody = Frame{Module: "/bin/prog", BuildID: "bb22", Address: 0x55003000, Base: 0x55000000}
	lost   = Frame{Address: 0x1234}
	kernel = Frame{Name: "do_syscall_64", Module: "vmlinux", Address: 0xffffffff81000010, Kernel: true}
	jit    = Frame{Name: "LazyCompile:~f a.js:1", Module: "/tmp/perf-12.map", Address: 0x7000}
)

func example() *Profile {
	return &Profile{
		Title: "bytes asked of malloc", Types: []ValueType{{"alloc_objects", "count"}, {"alloc_space", "bytes"}}, Shown: 1,
		Samples: []Sample{
			{Stack: []Frame{malloc, grow, load, start}, Values: []int64{3, 3000}, Labels: []Label{{"comm", "prog"}, {"pid", "12"}}},
			{Stack: []Frame{malloc, nobody}, Values: []int64{2, 500}, End: NoFramePointer, Labels: []Label{{"comm", "prog"}, {"pid", "12"}}},
			{Stack: []Frame{kernel, malloc, lost}, Values: []int64{1, 100}, End: Cut},
			{Values: []int64{1, 50}, End: Missing},
			{Stack: []Frame{jit, start}, Values: []int64{1, 7}},
			{Stack: []Frame{jit, start}, Values: []int64{1, 8}},
			{Stack: []Frame{load, start}, Values: []int64{1, -5}},
			{Stack: []Frame{load, start}, Values: []int64{4, 0}},
		},
		Time: 1700000000e9, Duration: 2500e6,
		Notes: []string{"3 samples were lost", "the map was full 12"},
	}
}

const exampleFolded = `# 3 samples were lost.
# the map was full 12.
# 1 stacks have a value below zero and are not shown.
[more frames];[unknown];malloc;do_syscall_64 100
[no stack] 50
main;LazyCompile:~f a.js:1 15
prog;pid=12;[no frame pointer];[prog];malloc 500
prog;pid=12;main;load;ns::grow<int>(int);malloc 3000
`

func TestFolded(t *testing.T) {
	if diff := cmp.Diff(exampleFolded, folded(t, example())); diff != "" {
		t.Error(diff)
	}
	if got := folded(t, &Profile{}); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func folded(t testing.TB, p *Profile) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteFolded(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What parts frames, begins a note or commands a terminal is not in names; the line stays one.
func TestFoldedNames(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"<[u8; 4] as T>::f", "<[u8: 4] as T>::f"},
		{"#x", `\x23x`},
		{"a\nb", `a\x0ab`},
		{"a\xffb", `a\xffb`},
		{"a\x1b[2J", `a\x1b[2J`},
		{"\u202eevil", `\u202eevil`},
		{"größe 日本", "größe 日本"},
		{"\ufffd", "\ufffd"},
	} {
		p := &Profile{Types: []ValueType{{"n", "count"}}, Samples: []Sample{{Stack: []Frame{{Name: c.name}}, Values: []int64{1}}}}
		if got := folded(t, p); got != c.want+" 1\n" {
			t.Errorf("%q: got %q", c.name, got)
		}
	}
}

func packed(t testing.TB, p *Profile) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WritePprof(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The library that go tool pprof is made of reads what was meant.
func TestPprof(t *testing.T) {
	p, err := pprof.ParseData(packed(t, example()))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	want := `PeriodType:  
Period: 0
Time: 2023-11-14 22:13:20 +0000 UTC
Duration: 2.5s
Samples:
alloc_objects/count alloc_space/bytes[dflt]
          3       3000: 1 2 3 
                comm:[prog] pid:[12]
          2        500: 1 4 5 
                comm:[prog] pid:[12]
          1        100: 6 1 7 8 
          1         50: 9 
          1          7: 10 3 
          1          8: 10 3 
          1         -5: 11 3 
          4          0: 11 3 
Locations
     1: 0x1234 M=2 malloc :0:0 s=0
     2: 0x1100 M=1 ns::grow<int>(int) /src/a.cc:10:0 s=0(_ZN2ns4growIiEEvi)
             load /src/a.cc:20:0 s=0
     3: 0x2000 M=1 main /src/main.cc:3:0 s=0
     4: 0x3000 M=1 
     5: 0x0 [no frame pointer] :0:0 s=0
     6: 0xffffffff81000010 M=3 do_syscall_64 :0:0 s=0
     7: 0x1234 
     8: 0x0 [more frames] :0:0 s=0
     9: 0x0 [no stack] :0:0 s=0
    10: 0x7000 M=4 LazyCompile:~f a.js:1 :0:0 s=0
    11: 0x1100 M=1 load /src/a.cc:20:0 s=0
Mappings
1: 0x0/0x0/0x0 /bin/prog bb22 [FN][FL][LN][IN]
2: 0x0/0x0/0x0 /tmp/perf-12.map  [FN]
3: 0x0/0x0/0x0 /usr/lib/libc.so.6 aa11 [FN]
4: 0x0/0x0/0x0 vmlinux  [FN]
`
	got := p.String()
	got = got[strings.Index(got, "PeriodType"):] // behind the comments
	if diff := cmp.Diff(fields(want), fields(got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"bytes asked of malloc", "3 samples were lost", "the map was full 12"}, p.Comments); diff != "" {
		t.Error(diff)
	}
}

// fields leaves out how a text is laid out, and the numbers of mappings, which the reader gives.
func fields(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			for i, w := range words {
				if strings.HasPrefix(w, "M=") {
					words[i] = "M"
				}
			}
			if len(words) > 1 && words[1] == "0x0/0x0/0x0" {
				words = words[1:]
			}
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return lines
}

// What Go's own tool makes of the file.
func TestGoToolPprof(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pb.gz")
	if err := os.WriteFile(path, packed(t, example()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags string
		want  []string
	}{
		{"-top", []string{"File: prog", "Build ID: bb22", "Type: alloc_space", "Duration: 2.50s", "3500B 95.37%", "malloc", "ns::grow<int>(int) (inline)", "[no frame pointer]", "[more frames]", "[no stack]"}},
		{"-traces -sample_index=alloc_objects", []string{"comm:  prog", "pid:  12", "3   malloc", "load", "main"}},
		{"-comments", []string{"3 samples were lost", "the map was full 12"}},
		{"-tags", []string{"comm", "prog", "12"}},
		{"-peek load", []string{"ns::grow"}},
	} {
		cmd := exec.Command("go", append(append([]string{"tool", "pprof"}, strings.Fields(c.flags)...), path)...)
		cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir(), "PPROF_BINARY_PATH=/nonexistent")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", c.flags, err, out)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in\n%s", c.flags, want, out)
			}
		}
	}
}

func TestEndOf(t *testing.T) {
	libc, prog := "/usr/lib/x86_64-linux-gnu/libc.so.6", "/bin/prog"
	for _, c := range []struct {
		frames string // MODULE:NAME, the innermost first
		want   End
	}{
		{"l:malloc p:load p:main p:_start", Complete},
		{"l:malloc p:main l:__libc_start_call_main", Complete},
		{"l:malloc p:main l:", Complete},
		{"l:malloc p:worker l:start_thread l:clone3", Complete},
		{"l:malloc p:main.f p:runtime.main p:runtime.goexit.abi0", Complete},
		{"k:do_syscall_64", Complete},
		{"l:malloc", NoFramePointer},
		{"l:malloc l:", NoFramePointer},
		{"l:malloc p:load", NoFramePointer},
		{"l:malloc p:", NoFramePointer},
		{"l:malloc :", NoFramePointer}, // into nowhere
		{": : :", Complete},
		{"", Missing},
	} {
		var frames []Frame
		for _, word := range strings.Fields(c.frames) {
			module, name, _ := strings.Cut(word, ":")
			frames = append(frames, Frame{Name: name, Module: map[string]string{"l": libc, "p": prog, "k": "vmlinux"}[module], Kernel: module == "k"})
		}
		if got := EndOf(frames, len(frames), 127); got != c.want {
			t.Errorf("%q: got %d, want %d", c.frames, got, c.want)
		}
	}
	if got := EndOf([]Frame{start}, 127, 127); got != Cut {
		t.Errorf("got %d", got)
	}
}

// A profile whose every name is the same hostile text.
func hostile(name string) *Profile {
	f := Frame{Name: name, Mangled: name, File: name, Module: name, BuildID: name}
	return &Profile{
		Title: name, Types: []ValueType{{name, name}}, Notes: []string{name},
		Samples: []Sample{
			{Stack: []Frame{f, {Name: name, Inlined: true}, f}, Values: []int64{5}, Labels: []Label{{name, name}, {"comm", name}}},
			{Stack: []Frame{{Module: name}}, Values: []int64{5}, End: NoFramePointer},
		},
	}
}

var hostileNames = []string{
	"<script>alert(1)</script>", "]]></style><script>alert(1)</script>", `" onload="alert(1)`, "' onclick='alert(1)", "&amp;&#0;&unknown;",
	"\x00\x01\x1b[31m\x7f", "\xff\xfe\xc0\x80", "\u202e\u2066\u200b\ufeff\ufffe\uffff", "a;b;c 12", "# note", "\r\n\t ", "]]>", "<!--", "<?xml?>",
	"javascript:alert(1)", strings.Repeat("x", 5000), "%s%d%n", "日本語のとても長い名前", "\U0010ffff\ud7ff",
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostileNames {
		checkForms(t, hostile(name))
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) { checkForms(t, hostile(name)) })
}

// checkForms holds each form to what its readers ask for.
func checkForms(t *testing.T, p *Profile) {
	t.Helper()
	for line := range strings.Lines(folded(t, p)) {
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "# ") && strings.HasSuffix(line, ".\n") {
			continue
		}
		if at < 0 || line[at+1:] != "5\n" || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), hidden) {
			t.Fatalf("%q", line)
		}
	}
	read, err := pprof.ParseData(packed(t, p))
	if err == nil {
		err = read.CheckValid()
	}
	if err != nil {
		t.Fatal(err)
	}
	picture := picture(t, p)
	if want := fmt.Sprintf(`data-total="%d"`, 10); !strings.Contains(picture, want) {
		t.Fatalf("no %s", want)
	}
	checkSVG(t, picture)
}
