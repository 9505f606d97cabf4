package rule

import (
	"path"
	"strings"
	"testing"
)

var matchTests = []struct {
	pattern, name string
	want          bool
}{
	{"", "", true}, {"", "a", false}, {"a", "", false}, {"abc", "abc", true}, {"abc", "abd", false}, {"ABC", "abc", false},
	{"*", "", true}, {"*", "anything", true}, {"*.c", "a.c", true}, {"*.c", ".c", true}, {"*.c", "a.cc", false},
	{"a*b*c", "aXbYc", true}, {"a*b*c", "abcbc", true}, {"a*b*c", "acb", false}, {"***a", "a", true},
	{"?", "a", true}, {"?", "", false}, {"??", "é", true}, {"?", "é", false},
	{"[abc]", "b", true}, {"[abc]", "d", false}, {"[a-c]x", "cx", true}, {"[!a-c]", "d", true}, {"[^a-c]", "b", false},
	{"[]]", "]", true}, {"[!]]", "a", true}, {"[!]]", "]", false}, {"[a-]", "-", true}, {"[-a]", "-", true}, {`[\]]`, "]", true},
	{`[a\-c]`, "b", false}, {`[a\-c]`, "-", true}, {"[z-a]", "m", false},
	{`\*`, "*", true}, {`\*`, "a", false}, {`\\`, `\`, true}, {`\`, `\`, false}, {"[", "[", false}, {"[a", "a", false},
	{"*[0-9]", "a1", true}, {"*[0-9]", "1a", false}, {"*a*a*a*a*a*b", strings.Repeat("a", 255), false},
}

func TestMatchName(t *testing.T) {
	for _, tt := range matchTests {
		if got := MatchName(tt.pattern, tt.name); got != tt.want {
			t.Errorf("MatchName(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, name := range []string{"", "a", `a*b?c[d]\e`, `\`, `\\`} {
		p := Escape(name)
		if HasMeta(p) || Unescape(p) != name || !MatchName(p, name) {
			t.Errorf("%q: %q, back %q", name, p, Unescape(p))
		}
	}
}

func FuzzMatchName(f *testing.F) {
	for _, tt := range matchTests {
		f.Add(tt.pattern, tt.name)
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := MatchName(pattern, name)
		if !MatchName(Escape(name), name) {
			t.Errorf("%q does not match itself", name)
		}
		// Where the two have the same rules, the standard library is of the same opinion.
		ascii := !strings.ContainsFunc(pattern+name, func(r rune) bool { return r >= 0x80 })
		if !ascii || strings.ContainsAny(pattern, `[]/\`) || strings.Contains(name, "/") {
			return
		}
		if want, err := path.Match(pattern, name); err == nil && got != want {
			t.Errorf("MatchName(%q, %q) = %v", pattern, name, got)
		}
	})
}
