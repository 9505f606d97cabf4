package check

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// FuzzCheck looks for scripts that break the checker: a panic, a hang, an expression that it forgets.
func FuzzCheck(f *testing.F) {
	for _, row := range typeRows {
		f.Add("begin { " + row.script + " }")
	}
	for _, chunk := range readChunks(f, "testdata/errors.txt") {
		f.Add(chunk.script)
	}
	files, _ := filepath.Glob("testdata/*.bt")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := syntax.NewSource("fuzz", []byte(text))
		p, ds := syntax.Parse(src)
		for _, d := range ds {
			if d.Severity == syntax.Error {
				return
			}
		}
		start := time.Now()
		info, ds := Check(p, src, kernel.NewFixture(), Options{Positional: []string{"1", "x"}, Unsafe: true})
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		for _, d := range ds {
			if d.Span.Start < 0 || int(d.Span.End) > len(text) || d.Span.End < d.Span.Start {
				t.Errorf("%q stands nowhere: %v", d.Message, d.Span)
			}
			if d.Severity == syntax.Error {
				return
			}
		}
		complete(t, src, info)
		info.Dump()
	})
}
