package syntax

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// golden compares got with testdata/NAME.golden.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		for i := range g {
			if i >= len(w) || g[i] != w[i] {
				t.Fatalf("%s:%d differs (-update rewrites it):\ngot  %s\nwant %s", path, i+1, g[i], w[min(i, len(w)-1)])
			}
		}
		t.Fatalf("%s: it is shorter than the file", path)
	}
}

// mustParse parses a script that has no errors.
func mustParse(t *testing.T, name string, text []byte) (*Program, *Source) {
	t.Helper()
	src := NewSource(name, text)
	p, diags := Parse(src)
	for _, d := range diags {
		t.Errorf("%s", src.Render(d, false))
	}
	if len(diags) > 0 {
		t.FailNow()
	}
	return p, src
}

func TestConstructs(t *testing.T) {
	var b strings.Builder
	for i, c := range constructs {
		text := constructScript(i)
		p, src := mustParse(t, c.name, []byte(text))
		b.WriteString("==== " + c.name + "\n" + strings.TrimRight(text, "\n") + "\n---- tree\n" + Dump(p) + "---- format\n")
		b.Write(Format(p, src))
	}
	golden(t, "constructs", []byte(b.String()))
}

// scripts returns the test scripts, and those of the directory in SONDE_TEST_SCRIPTS: any collection of tools.
func scripts(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	dirs := []string{"testdata/scripts"}
	if dir := os.Getenv("SONDE_TEST_SCRIPTS"); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.bt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no scripts (%v)", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out[file] = text
		}
	}
	return out
}

func TestScripts(t *testing.T) {
	for name, text := range scripts(t) {
		p, src := mustParse(t, name, text)
		for _, d := range Preprocess(src, p.C, map[string]string{"BPFTRACE_HAVE_BTF": ""}) {
			t.Error(src.Render(d, false))
		}
	}
}

// Every tree of a script without errors has spans that lie in the script and in their parents.
func TestSpans(t *testing.T) {
	check := func(name string, text []byte) {
		p, _ := mustParse(t, name, text)
		var outer []Span
		Walk(p, func(n Node) bool {
			s := n.Span()
			if s.Start < 0 || s.End < s.Start || int(s.End) > len(text) {
				t.Errorf("%s: %s has the span %v of %d bytes", name, label(n), s, len(text))
			}
			outer = append(outer, s)
			return true
		})
	}
	for i, c := range constructs {
		check(c.name, []byte(constructScript(i)))
	}
	for name, text := range scripts(t) {
		check(name, text)
	}
}

func TestSpanOf(t *testing.T) {
	text := `begin { $x = (1 + 2) * f(@m[3], "s").y; if ($x) { return } }`
	p, _ := mustParse(t, "spans", []byte(text))
	want := map[string]string{
		"Probe":    text,
		"Assign =": `$x = (1 + 2) * f(@m[3], "s").y`,
		"Call f":   `f(@m[3], "s")`,
		"Map @m":   `@m[3]`,
		"Field y":  `f(@m[3], "s").y`,
		"String":   `"s"`,
		"If":       `if ($x) { return }`,
		"Return":   `return`,
	}
	Walk(p, func(n Node) bool {
		for kind, w := range want {
			if label(n) == kind || strings.HasPrefix(label(n), kind+" \"") {
				if got := text[n.Span().Start:n.Span().End]; got != w {
					t.Errorf("%s stands at %q, want %q", kind, got, w)
				}
				delete(want, kind)
			}
		}
		return true
	})
	for kind := range want {
		t.Errorf("no %s", kind)
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		text, name string
		parts      []string
	}{
		{`kprobe:vfs_*`, "", []string{"kprobe", "vfs_*"}},
		{`a=kprobe:f`, "a", []string{"kprobe", "f"}},
		{`uprobe:"/a b:c":"f\"g"`, "", []string{"uprobe", "/a b:c", `f"g`}},
		{`uprobe:/a:cpp:b::c`, "", []string{"uprobe", "/a", "cpp", "b", "", "c"}},
		{`begin`, "", []string{"begin"}},
		{`kprobe:$1`, "", []string{"kprobe", "$1"}},
		{`kprobe:`, "", []string{"kprobe", ""}},
	} {
		p, _ := mustParse(t, c.text, []byte(c.text+" { }"))
		a := p.Decls[0].(*Probe).Points[0]
		if a.Name != c.name || strings.Join(a.Parts, "|") != strings.Join(c.parts, "|") || len(a.Parts) != len(c.parts) {
			t.Errorf("%s: name %q, parts %q", c.text, a.Name, a.Parts)
		}
	}
}

func TestParseExpr(t *testing.T) {
	src := NewSource("defines", []byte("#define X (1 << 4) | FLAG"))
	x, diags := ParseExpr(src, 10, "(1 << 4) | FLAG")
	if len(diags) > 0 || ExprString(x) != "(1 << 4) | FLAG" || x.Span() != (Span{11, 25}) {
		t.Errorf("%s %v %v", ExprString(x), x.Span(), diags)
	}
	for _, text := range []string{"", "1 +", "1 2", "do { } while (0)", `"a" "b"`, "{"} {
		if _, diags := ParseExpr(src, 10, text); len(diags) != 1 || diags[0].Span.Start < 10 {
			t.Errorf("%q: %v", text, diags)
		}
	}
}

// What is nested or repeated without end gets an error, quickly.
func TestHostile(t *testing.T) {
	n := 50000
	for _, unit := range []string{
		"(", "{", "[", "!", "-", "*", "&", "(uint8)", "f(", "@x[", "$a[", "if 1 {", "1 + (", "1 ? ", "1 ?: ", "{ {", "++",
		"if (1) {} else ", "sizeof(", "typeof(", "(typeof(", "(x*", "x.", "x.y + ", "1 + ", "(1,", "(x=", "comptime ", "/*", "//", "\"", "\\", "/ ", "x * ",
		"while ", "for ($i : ", "struct ", "unroll ", "let ", "} ", "begin {", "kprobe:f /", "a,", "#if 1\n", "#define X X\n", "struct x {", "macro m(", "config = {",
		"int8[", "(int8[1]", "@", "$", "0", "e", ";", ",", ":", "..", "\n", "\x00", "\xff", "(struct x *",
	} {
		for _, before := range []string{"", "begin { ", "begin { $x = "} {
			start := time.Now()
			src := NewSource("hostile", []byte(before+strings.Repeat(unit, n)))
			p, diags := Parse(src)
			Preprocess(src, p.C, nil)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%q after %q took %v", unit, before, took)
			}
			if len(diags) > maxErrors {
				t.Errorf("%q after %q: %d errors", unit, before, len(diags))
			}
			if len(diags) == 0 {
				Format(p, src)
			}
		}
	}
}
