package open

import (
	"bytes"
	"strings"
	"testing"
)

// passes is what the programs do with a path: wanted.bpf.h.
func (t *pathTest) passes(path string) bool {
	names := strings.Split(path, "/")[1:]
	last := names[len(names)-1]
	name := string(t.Name[:t.NameLen])
	switch t.How {
	case nameIs:
		if last != name {
			return false
		}
	case nameEnds:
		if !strings.HasSuffix(last, name) {
			return false
		}
	case nameBegins:
		if !strings.HasPrefix(last, name) {
			return false
		}
	}
	var inwards string
	for _, name := range names {
		inwards = name + "\x00" + inwards
	}
	tail := string(t.Tail[:t.TailLen])
	return strings.HasSuffix("\x00"+inwards, tail) && (tail == "" || strings.HasSuffix("\x00"+inwards, "\x00"+tail))
}

func TestPathTests(t *testing.T) {
	for _, tt := range []struct {
		pattern, name, tail string
		how                 uint32
	}{
		{"passwd", "passwd", "", nameIs},
		{"/etc/passwd", "passwd", "etc\x00", nameIs},
		{"/passwd", "passwd", "", nameIs},
		{"*.conf", ".conf", "", nameEnds},
		{"/etc/ssh/**/*.conf", ".conf", "ssh\x00etc\x00", nameEnds},
		{"/etc/**.conf", ".conf", "etc\x00", nameEnds},
		{"/usr/*/lib*", "lib", "usr\x00", nameBegins},
		{"/usr/lib/lib*.so.?", "lib", "lib\x00usr\x00", nameBegins},
		{"lib**", "", "", nameAny},
		{"/etc/**", "", "etc\x00", nameAny},
		{"/**", "", "", nameAny},
		{"*", "", "", nameAny},
		{"/etc/", "", "etc\x00", nameAny},
		{"//etc/x", "x", "", nameIs},
		{"/a/*/b/x", "x", "a\x00", nameIs},
		{`\*.conf`, "", "", nameAny},
		{"/etc/[a/b]", "", "", nameAny},
		{strings.Repeat("n", 40), strings.Repeat("n", 32), "", nameEnds},
		{strings.Repeat("n", 40) + "*", strings.Repeat("n", 32), "", nameBegins},
		{strings.Repeat("n", 256), "", "", nameAny},
		{"/" + strings.Repeat("d", 40) + "/x", "x", "", nameIs},
		{"/etc/" + strings.Repeat("d", 28) + "/x", "x", "etc\x00", nameIs},
		{"/etc/" + strings.Repeat("d", 27) + "/x", "x", strings.Repeat("d", 27) + "\x00etc\x00", nameIs},
	} {
		got, ok := testOf(tt.pattern)
		name, tail := string(got.Name[:got.NameLen]), string(got.Tail[:got.TailLen])
		if name != tt.name || tail != tt.tail || got.How != tt.how || ok != (tt.how != nameAny || tt.tail != "") {
			t.Errorf("%q: %d %q %q %v", tt.pattern, got.How, name, tail, ok)
		}
	}
	for _, tt := range []struct {
		patterns string
		want     int
	}{
		{"a b", 2}, {"a !b", 1}, {"!b", 0}, {"a *", 0}, {"a b c d", 4}, {"a b c d e", 0},
	} {
		g, err := ParseGlobs(strings.Fields(tt.patterns))
		if err != nil {
			t.Fatal(err)
		}
		if got := g.tests(); len(got) != tt.want {
			t.Errorf("%s: %d tests, want %d", tt.patterns, len(got), tt.want)
		}
	}
}

// Whatever a pattern matches passes its test.
func FuzzPathTests(f *testing.F) {
	for _, s := range []struct{ pattern, path string }{
		{"*.conf", "/etc/x.conf"}, {"/etc/**/p?sswd", "/etc/passwd"}, {"/etc/**.conf", "/etc/a/.conf"}, {"/usr/lib*", "/usr/lib/"}, {"/a/*/b**c", "/a/x/b/c"},
		{"**", "/"}, {"/a//b", "/a//b"}, {"/a/**/", "/a/"}, {"x**", "/y/x"}, {"/" + strings.Repeat("d", 33) + "/*", "/" + strings.Repeat("d", 33) + "/x"},
	} {
		f.Add(s.pattern, s.path)
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if checkGlob(pattern) != nil || !strings.HasPrefix(path, "/") || strings.Contains(path, "\x00") || bytes.Contains([]byte(path), []byte("//")) {
			return // no path of a file
		}
		if test, ok := testOf(pattern); ok && matchPath(pattern, []byte(path)) && !test.passes(path) {
			t.Errorf("%q matches %q, which does not pass %+v", pattern, path, test)
		}
	})
}
