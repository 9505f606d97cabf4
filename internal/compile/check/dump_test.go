package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"

	"github.com/google/go-cmp/cmp"
)

// TestDump compares what is found in whole scripts with testdata/*.types. With SONDE_UPDATE it writes them.
func TestDump(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts in testdata")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			src := syntax.NewSource(file, text)
			p, ds := syntax.Parse(src)
			info, more := Check(p, src, kernel.NewFixture(), Options{Positional: []string{"42"}})
			var b strings.Builder
			for _, d := range append(ds, more...) {
				if d.Severity == syntax.Error {
					t.Error(told(src, d))
				}
				b.WriteString("# " + told(src, d) + "\n")
			}
			complete(t, src, info)
			b.WriteString(info.Dump())
			golden := strings.TrimSuffix(file, ".bt") + ".types"
			if os.Getenv("SONDE_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
