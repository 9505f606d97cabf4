package check

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// chunk is a script of testdata/errors.txt and what is to be said about it.
type chunk struct {
	line   int
	script string
	want   []string
}

// readChunks reads scripts that are separated by lines of "---". Lines that begin with "# " at a chunk's end are what is
// expected: "LINE:COL: message (hint)", with "warning: " in front of the message of a warning.
func readChunks(t testing.TB, file string) []chunk {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var chunks []chunk
	now := chunk{line: 1}
	for i, line := range strings.Split(string(text)+"\n---", "\n") {
		switch {
		case line == "---":
			if strings.TrimSpace(now.script) != "" {
				chunks = append(chunks, now)
			}
			now = chunk{line: i + 2}
		case strings.HasPrefix(line, "# "):
			now.want = append(now.want, line[2:])
		default:
			now.script += line + "\n"
		}
	}
	return chunks
}

// told is a diagnostic as testdata/errors.txt has it.
func told(src *syntax.Source, d syntax.Diagnostic) string {
	line, col := src.Position(d.Span.Start)
	text := fmt.Sprintf("%d:%d: ", line, col)
	if d.Severity == syntax.Warning {
		text += "warning: "
	}
	text += d.Message
	if d.Hint != "" {
		text += " (" + d.Hint + ")"
	}
	return text
}

// TestErrors checks what is said about scripts that are wrong, and where. With SONDE_UPDATE it writes what is said now.
func TestErrors(t *testing.T) {
	const file = "testdata/errors.txt"
	var out []string
	for _, ch := range readChunks(t, file) {
		src := syntax.NewSource("test", []byte(ch.script))
		p, ds := syntax.Parse(src)
		_, more := Check(p, src, kernel.NewFixture(), Options{})
		var got []string
		for _, d := range append(ds, more...) {
			got = append(got, told(src, d))
		}
		out = append(out, strings.TrimRight(ch.script, "\n")+"\n# "+strings.Join(got, "\n# ")+"\n")
		if len(got) == 0 {
			t.Errorf("%s:%d: nothing is said about\n%s", file, ch.line, ch.script)
		}
		if g, w := strings.Join(got, "\n"), strings.Join(ch.want, "\n"); g != w && os.Getenv("SONDE_UPDATE") == "" {
			t.Errorf("%s:%d:\n%s\ngot\n%s\nwant\n%s", file, ch.line, ch.script, g, w)
		}
	}
	if os.Getenv("SONDE_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(strings.Join(out, "---\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
