package bypass

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var writeDocs = flag.Bool("docs", false, "write the table of ways in docs/guard-verify.md")

const docsFile = "../../../../docs/guard-verify.md"

// docsTable is the list of ways as the documentation has it.
func docsTable() string {
	var b strings.Builder
	for _, g := range groups {
		b.WriteString("\n### " + strings.ToUpper(headings[g][:1]) + headings[g][1:] + "\n\n| way | how | access |\n|---|---|---|\n")
		for _, w := range Ways() {
			if w.Group == g {
				access := w.Access
				if access == "" {
					access = "–"
				}
				b.WriteString("| " + w.Name + " | " + w.Does + " | " + access + " |\n")
			}
		}
	}
	return b.String()
}

// The documentation has the ways that there are.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "\n## The ways\n"
	before, got, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no %q", docsFile, mark)
	}
	if want := docsTable(); got != want {
		if !*writeDocs {
			t.Fatalf("%s: the table of ways is not that of the program; go test ./internal/tool/guard/bypass -run TestDocs -docs writes it", docsFile)
		}
		if err := os.WriteFile(docsFile, []byte(before+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
