package peers

import (
	"path/filepath"
	"testing"
)

func TestUpstream(t *testing.T) {
	for in, want := range map[string]string{
		"0.27.1-1":      "0.27.1",
		"0.37.0+ds-8":   "0.37.0",
		"1:2.3-4.1+b2":  "2.3",
		"0.31.0+ds-1-2": "0.31.0",
		"7":             "7",
		"":              "",
	} {
		if got := upstream(in); got != want {
			t.Errorf("upstream(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLastLines(t *testing.T) {
	for _, test := range []struct {
		in   string
		want string
	}{
		{"", ""}, {"a\n", "a"}, {"a\nb\nc\nd\n", "c | d"},
	} {
		if got := lastLines([]byte(test.in), 2); got != test.want {
			t.Errorf("lastLines(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("SONDE_CACHE", "/some/where")
	if got, err := CacheDir(); err != nil || got != "/some/where" {
		t.Errorf("got %q, %v", got, err)
	}
	t.Setenv("SONDE_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/home/x/.cache")
	if got, err := CacheDir(); err != nil || got != filepath.Join("/home/x/.cache", "sonde") {
		t.Errorf("got %q, %v", got, err)
	}
}
