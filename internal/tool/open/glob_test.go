package open

import (
	"strings"
	"testing"
)

var globCases = []struct {
	patterns string // separated by spaces
	yes, no  string
}{
	{"/etc/passwd", "/etc/passwd", "/etc/passwd- /etc /x/etc/passwd"},
	{"/etc/*", "/etc/passwd /etc/", "/etc/ssl/x /etc"},
	{"/etc/**", "/etc/passwd /etc/ssl/x /etc/", "/etc /etcx"},
	{"/a/**/z", "/a/z /a/b/z /a/b/c/z", "/a/bz /az /a/z/b"},
	{"**/z", "/z /a/z", "/az"},
	{"*.so.*", "/lib/libc.so.6 libc.so.6", "/lib/libc.so /lib.so.d/x"},
	{"/a?c", "/abc", "/a/c /ac"},
	{"/[a-c]x", "/ax /cx", "/dx /-x"},
	{"/[!a-c]x", "/dx", "/ax //x"},
	{"/[]x]", "/] /x", "/y"},
	{"/[\\]]", "/]", "/\\"},
	{`/a\*b`, "/a*b", "/axb"},
	{"!/proc/**", "/etc/x", "/proc/self/maps"},
	{"/etc/** !*.conf", "/etc/x", "/etc/x.conf /usr/x"},
	{"/a /b", "/a /b", "/c"},
	{"/**a**b**c", "/xaybzc /a/b/c", "/acb"},
	{"***", "/x/y", ""},
	{"*a*a*a*a*a*a*a*a*b", "", "/" + strings.Repeat("a", 200)},
}

func TestGlobs(t *testing.T) {
	for _, c := range globCases {
		g, err := ParseGlobs(strings.Fields(c.patterns))
		if err != nil {
			t.Errorf("%s: %v", c.patterns, err)
			continue
		}
		for path := range strings.FieldsSeq(c.yes) {
			if !g.Match([]byte(path)) {
				t.Errorf("%s does not match %s", c.patterns, path)
			}
		}
		for path := range strings.FieldsSeq(c.no) {
			if g.Match([]byte(path)) {
				t.Errorf("%s matches %s", c.patterns, path)
			}
		}
	}
}

func TestGlobsRefused(t *testing.T) {
	for _, p := range []string{"", "!", `a\`, "[", "[a", "[]", "[!]", `[a\]`, strings.Repeat("x", maxGlob+1)} {
		if _, err := ParseGlobs([]string{p}); err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "--path ") {
			t.Errorf("%.20q: error %v", p, err)
		}
	}
}

func FuzzGlobs(f *testing.F) {
	for _, c := range globCases {
		f.Add(c.patterns, []byte(c.yes))
	}
	f.Add("[", []byte{0xff})
	f.Fuzz(func(t *testing.T, pattern string, path []byte) {
		g, err := ParseGlobs([]string{pattern})
		if err != nil || len(pattern) > 200 || len(path) > 200 {
			return
		}
		g.Match(path)
		if all, err := ParseGlobs([]string{"**"}); err != nil || !all.Match(path) && !strings.Contains(string(path), "/") {
			t.Errorf("** does not match %q (%v)", path, err)
		}
	})
}
