package ir_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sonde/internal/compile/ir"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// Each file in testdata is about one pass: cases, each with a title, the program before and after it.
func TestPassGoldens(t *testing.T) {
	covered := map[string]bool{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		pass := strings.TrimSuffix(filepath.Base(file), ".txt")
		covered[pass] = true
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, part := range strings.Split(string(data), "=== ")[1:] {
			title, text, _ := strings.Cut(part, "\n")
			before, want, _ := strings.Cut(text, "---\n")
			t.Run(pass+"/"+title, func(t *testing.T) {
				p, err := ir.Parse(before)
				if err != nil {
					t.Fatal(err)
				}
				if err := ir.Verify(p); err != nil {
					t.Fatal(err)
				}
				ir.Optimize(p, func(name string) bool { return name == pass || pass == "all" })
				if err := ir.Verify(p); err != nil {
					t.Fatalf("after: %v\n%s", err, p)
				}
				got := p.String()
				out.WriteString("=== " + title + "\n" + before + "---\n" + got + "\n")
				if strings.TrimSpace(got) != strings.TrimSpace(want) && !*update {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, pass := range ir.Passes {
		if !covered[pass.Name] {
			t.Errorf("no file for the pass %s", pass.Name)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"used where it may not have been assigned": `
func f(v1)
b0:
	branch.eq v1, 0, b1, b2
b1:
	v2 = const 1
	jump b2
b2:
	ret v2
`,
		"is used where it may not have been": `
func f(v1)
	var v2
b0:
	branch.eq v1, 0, b1, b2
b1:
	v3 = const 1
	v2 = set v3
	jump b2
b2:
	ret v2
`,
		"one terminator":           "func f(v1)\nb0:\n\tret 0\n\tret 0\n",
		"has no end":               "func f(v1)\nb0:\n\tjump b1\nb1:\n",
		"a second time":            "func f(v1)\nb0:\n\tv2 = const 1\n\tv2 = const 1\n\tret 0\n",
		"no variable":              "func f(v1)\nb0:\n\tv2 = set v1\n\tret 0\n",
		"only set":                 "func f(v1)\n\tvar v2\nb0:\n\tv2 = const 1\n\tret 0\n",
		"of slot key, which has 4": "func f(v1)\n\tframe s0 4 align 4 key\nb0:\n\tv2 = slot s0\n\tstore.8 [v2], 1\n\tret 0\n",
		"outside of the slot":      "func f(v1)\n\tframe s0 4 align 4 key\nb0:\n\tv2 = slot s0 +8\n\tret 0\n",
		"a width of 3":             "func f(v1)\nb0:\n\tv2 = load.3 [v1]\n\tret 0\n",
		"no such function":         "func f(v1)\nb0:\n\tv2 = callfunc g(v1)\n\tret 0\n",
		"has 1 parameters":         "func f(v1)\nb0:\n\tv2 = callfunc g()\n\tret 0\n\nfunc g(v1)\nb0:\n\tret 0\n",
		"to the entry":             "func f(v1)\nb0:\n\tjump b0\n",
		"a clamp of no argument":   "func f(v1)\nb0:\n\tcall 5() clamp 0 0..1\n\tret 0\n",
		"negative bound":           "func f(v1)\nb0:\n\tv2 = min v1, -1\n\tret v2\n",
		"4 or 8 bytes":             "func f(v1)\nb0:\n\tatomicadd.2 [v1], 1\n\tret 0\n",
	} {
		p, err := ir.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := ir.Verify(p); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q where %q should be", err, name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "x", "func", "func f(v1", "func f(v1)\n\tv2 = const 1", "func f(v1)\nb0:\n\tnothing v1\n", "func f(v1)\nb0:\n\tjump b7\n",
		"func f(v1)\nb0:\n\tv2 = const\n", "func f(v1)\nb0:\n\tv2 = const 1 2\n", "func f(v1)\nb0:\n\tv2 = slot s0\n",
		"func f(v1)\nb0:\n\tv2 = load.x [v1]\n", "func f(v99999999999)\n",
	} {
		if p, err := ir.Parse(text); err == nil {
			t.Errorf("%q is read as\n%s", text, p)
		}
	}
}
