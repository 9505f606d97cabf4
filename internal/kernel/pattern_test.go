package kernel

import (
	"regexp"
	"strings"
	"testing"
)

var patternRows = []struct {
	pattern, name string
	want          bool
}{
	{"vfs_read", "vfs_read", true},
	{"vfs_read", "vfs_readv", false},
	{"vfs_*", "vfs_read", true},
	{"vfs_*", "xvfs_read", false},
	{"*_read", "vfs_read", true},
	{"*_read", "vfs_readv", false},
	{"*", "", true},
	{"", "", true},
	{"", "a", false},
	{"a*a", "a", false},
	{"a*a", "aa", true},
	{"*sched*switch*", "x_sched_process_switch", true},
	{"*b*b", "ab", false},
	{"ab*bc*cd", "abccd", false},
	{"ab*bc*cd", "abbccd", true},
	{"a.c", "abc", false},
	{"**", "anything", true},
	{"lookup_fast.constprop.*", "lookup_fast.constprop.0", true},
}

func TestPattern(t *testing.T) {
	for _, tt := range patternRows {
		p := newPattern(tt.pattern)
		if p.match(tt.name) != tt.want || p.bytes([]byte(tt.name)) != tt.want {
			t.Errorf("%q of %q: got %v", tt.pattern, tt.name, !tt.want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, tt := range patternRows {
		f.Add(tt.pattern, tt.name)
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.Count(pattern, "*") > 20 || len(name) > 1000 {
			return
		}
		// Latin-1, so that the regular expression compares bytes.
		latin := func(s string) string {
			var out []rune
			for _, b := range []byte(s) {
				out = append(out, rune(b))
			}
			return string(out)
		}
		re, err := regexp.Compile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(latin(pattern)), `\*`, `.*`) + `\z`)
		if err != nil {
			return
		}
		want := re.MatchString(latin(name))
		p := newPattern(pattern)
		if p.match(name) != want || p.bytes([]byte(name)) != want {
			t.Errorf("%q of %q: want %v", pattern, name, want)
		}
	})
}
