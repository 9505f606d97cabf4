package syntax

import (
	"testing"
)

// seed adds everything that the table tests have.
func seed(f *testing.F) {
	for i := range constructs {
		f.Add(constructScript(i))
	}
	for _, c := range errorTable {
		f.Add(c.script)
	}
	for _, text := range scripts(f) {
		f.Add(string(text))
	}
	f.Add(cSample)
}

// Tokens must follow each other through the whole text.
func FuzzScan(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string) {
		s := &scanner{text: []byte(text)}
		for at := 0; ; {
			token := s.scan(at)
			if token.kind == tokEOF {
				break
			}
			if token.start < at || token.end <= token.start || token.end > len(text) {
				t.Fatalf("token %v at %d", token, at)
			}
			word := text[token.start:token.end]
			switch token.kind {
			case tokInt:
				decodeInt(word)
			case tokString:
				value, errs := decodeString(word)
				if again, _ := decodeString(quote(value)); len(errs) == 0 && again != value {
					t.Fatalf("%s is %q, quoted %s", word, value, quote(value))
				}
			}
			at = token.end
		}
	})
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string) {
		src := NewSource("fuzz", []byte(text))
		p, diags := Parse(src)
		diags = append(diags, Preprocess(src, p.C, map[string]string{"X": "1"})...)
		for _, d := range diags {
			if d.Span.Start < 0 || d.Span.End < d.Span.Start || int(d.Span.End) > len(text) {
				t.Fatalf("%q at %v of %d bytes", d.Message, d.Span, len(text))
			}
			src.Render(d, true)
		}
		Walk(p, func(n Node) bool {
			if s := n.Span(); s.Start < 0 || s.End < s.Start || int(s.End) > len(text) {
				t.Fatalf("%s at %v of %d bytes", label(n), s, len(text))
			}
			return true
		})
		Dump(p)
	})
}

func FuzzFormat(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string) { checkFormat(t, "fuzz", []byte(text)) })
}
