package codegen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sonde/internal/compile/ir"
)

// Whatever keeps the rules of ir has code, or an error: no panic, with and without the passes.
func FuzzGenerate(f *testing.F) {
	files, err := filepath.Glob("../ir/testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no programs: ", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(data), "=== ")[1:] {
			_, text, _ := strings.Cut(part, "\n")
			before, _, _ := strings.Cut(text, "---\n")
			f.Add(before)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			t.Skip()
		}
		p, err := ir.Parse(text)
		if err != nil || ir.Verify(p) != nil {
			return
		}
		if again, err := ir.Parse(p.String()); err != nil || again.String() != p.String() {
			t.Fatalf("the text form is not read back: %v\n%s", err, p)
		}
		for _, optimize := range []bool{false, true} {
			if optimize {
				ir.Optimize(p, nil)
				if err := ir.Verify(p); err != nil {
					t.Fatalf("%v\n%s\n%s", err, text, p)
				}
			}
			if code, err := Generate(p); err == nil && len(code.Instructions) == 0 {
				t.Fatalf("no code\n%s", p)
			}
		}
	})
}
