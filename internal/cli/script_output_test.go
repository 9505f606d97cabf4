package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sonde/internal/print"
)

// writes is what was written, each write by itself.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestBuffering(t *testing.T) {
	for _, c := range []struct {
		mode  string
		want  string // the writes before the end
		eager bool
	}{
		{"", "", true},
		{bufferLine, "ab\n|c\nd\n", false},
		{bufferFull, "", false},
		{bufferNone, "a|b\n|c\nd\n|e", false},
	} {
		var got writes
		o := &scriptOutput{print.NewOutput(&got), c.mode}
		for _, text := range []string{"a", "b\n", "c\nd\n", "e"} {
			if _, err := o.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if all := strings.Join(got, "|"); all != c.want || o.eager() != c.eager {
			t.Errorf("%q: %q, eager %v", c.mode, all, o.eager())
		}
		if err := o.Flush(); err != nil || strings.Join(got, "") != "ab\nc\nd\ne" {
			t.Errorf("%q: %q, %v", c.mode, got, err)
		}
	}
}

func TestProgress(t *testing.T) {
	var none *progress // what there is where there is no terminal
	none.attaching(1, 1000)
	none.slowly("x")()
	none.clear()

	to, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	p := &progress{to: to}
	p.attaching(10, 20) // few
	p.clear()
	p.attaching(500, 1000)
	p.attaching(501, 1000) // too soon
	p.last = time.Time{}
	p.attaching(900, 1000)
	p.clear()
	p.clear()
	p.slowly("never shown")()
	got, err := os.ReadFile(to.Name())
	want := "\rattaching: 500 of 1000 probes\x1b[K\rattaching: 900 of 1000 probes\x1b[K\r\x1b[K"
	if err != nil || string(got) != want {
		t.Errorf("%v, %q", err, got)
	}
}

func TestSplitWords(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"ls", "ls"},
		{"  ls  -l\t/ ", "ls|-l|/"},
		{`sh -c "a b"`, "sh|-c|a b"},
		{`sh -c 'a "b" $c'`, `sh|-c|a "b" $c`},
		{`a\ b "c\"d" "e\nf" ""`, `a b|c"d|e\nf|`},
		{`x'y'"z"`, "xyz"},
	} {
		got, err := splitWords(c.in)
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%q: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "  ", "'a", `"a`, `a\`} {
		if got, err := splitWords(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}
