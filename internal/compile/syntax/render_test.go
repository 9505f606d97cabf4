package syntax

import (
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	long := strings.Repeat("a", 100) + " here " + strings.Repeat("b", 100)
	for _, c := range []struct {
		name, text string
		d          Diagnostic
		want       string
	}{
		{"plain", "begin { f(1 2) }", Diagnostic{Span: Span{12, 13}, Message: "expected ','", Hint: "write one"},
			"x:1:13: error: expected ','\nbegin { f(1 2) }\n            ~\nhint: write one\n"},
		{"warning", "a\nbcd\ne", Diagnostic{Severity: Warning, Span: Span{3, 5}, Message: "odd"}, "x:2:2: warning: odd\nbcd\n ~~\n"},
		{"no place", "a", Diagnostic{Span: Span{NoPos, NoPos}, Message: "nothing"}, "x: error: nothing\n"},
		{"end of text", "abc", Diagnostic{Span: Span{3, 3}, Message: "end"}, "x:1:4: error: end\nabc\n   ~\n"},
		{"end of line", "abc\ndef", Diagnostic{Span: Span{3, 3}, Message: "end"}, "x:1:4: error: end\nabc\n   ~\n"},
		{"several lines", "ab(\nc)", Diagnostic{Span: Span{1, 6}, Message: "long"}, "x:1:2: error: long\nab(\n ~~\n"},
		{"tabs", "\ta\tb", Diagnostic{Span: Span{3, 4}, Message: "tab"}, "x:1:4: error: tab\n        a       b\n                ~\n"},
		{"control", "a\x1b[31mb\r\n", Diagnostic{Span: Span{6, 7}, Message: "bad \x07"}, "x:1:7: error: bad \\x07\na\\x1b[31mb\n         ~\n"},
		{"not UTF-8", "\xff é b", Diagnostic{Span: Span{5, 6}, Message: "m"}, "x:1:6: error: m\n\\xff é b\n       ~\n"},
		{"inside a rune", "é", Diagnostic{Span: Span{1, 2}, Message: "m"}, "x:1:2: error: m\né\n~\n"},
		{"cut", long, Diagnostic{Span: Span{101, 105}, Message: "m"},
			"x:1:102: error: m\n..." + strings.Repeat("a", 39) + " here " + strings.Repeat("b", 75) + "...\n" + strings.Repeat(" ", 43) + "~~~~\n"},
		{"cut span", long, Diagnostic{Span: Span{0, 200}, Message: "m"},
			"x:1:1: error: m\n" + strings.Repeat("a", 100) + " here " + strings.Repeat("b", 14) + "...\n" + strings.Repeat("~", 120) + "\n"},
		{"empty", "", Diagnostic{Span: Span{0, 0}, Message: "m"}, "x:1:1: error: m\n\n~\n"},
		{"outside", "ab", Diagnostic{Span: Span{1, 900}, Message: "m"}, "x:1:2: error: m\nab\n ~\n"},
	} {
		src := NewSource("x", []byte(c.text))
		if got := src.Render(c.d, false); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
		if got := src.Render(c.d, true); !strings.Contains(got, "\x1b[") || stripColour(got) != c.want {
			t.Errorf("%s: with colours %q", c.name, got)
		}
	}
}

func stripColour(s string) string {
	return strings.NewReplacer("\x1b[0m", "", "\x1b[1m", "", "\x1b[1;31m", "", "\x1b[1;35m", "").Replace(s)
}
