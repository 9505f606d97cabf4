package guard

import (
	"strings"
	"testing"

	"sonde/internal/tool/guard/rule"
)

var globSeeds = []struct{ pattern, name string }{
	{"*", "anything"}, {"*.key", "a.key"}, {"*.key", "a.keys"}, {"a*b*c", "axxbxxc"}, {"a*b*c", "axxcxxb"}, {"?", "a"}, {"?", "ab"},
	{"[a-c]x", "bx"}, {"[!a-c]x", "bx"}, {"[^a-c]x", "dx"}, {"[]]", "]"}, {"[a-]", "-"}, {`\*`, "*"}, {`\*`, "a"}, {"", ""}, {"**", "x"},
	{"a", "a"}, {"aa*aa", "aaa"}, {"*a*a*a*a*b", strings.Repeat("a", 255)}, {strings.Repeat("?", 63), strings.Repeat("x", 63)},
	{`[\]]`, "]"}, {"\xff*", "\xff\xfe"},
}

// The machine that the programs run agrees with rule.MatchName, by which rules are explained.
func FuzzGlob(f *testing.F) {
	for _, s := range globSeeds {
		f.Add(s.pattern, s.name)
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(name) > 255 || len(pattern) > 64 || strings.ContainsAny(name, "/\x00") || strings.ContainsAny(pattern, "/\x00") {
			return
		}
		g, err := compileGlob(pattern)
		if err != nil {
			return
		}
		if got, want := g.matches(name), rule.MatchName(pattern, name); got != want {
			t.Errorf("%q and %q: %v, rule.MatchName says %v", pattern, name, got, want)
		}
	})
}

func TestGlobRefused(t *testing.T) {
	for _, pattern := range []string{"[a", "[", "[!", "[]", `a\`, strings.Repeat("?", 64)} {
		if _, err := compileGlob(pattern); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
