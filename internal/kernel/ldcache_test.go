package kernel

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// ldCache writes a cache as ldconfig does.
func ldCache(flags uint32, libraries ...library) []byte {
	head := make([]byte, ldCacheHeader+len(libraries)*ldCacheEntry)
	copy(head, ldCacheMagic)
	binary.LittleEndian.PutUint32(head[20:], uint32(len(libraries)))
	head[28] = 2
	var names []byte
	at := func(s string) uint32 {
		offset := len(head) + len(names)
		names = append(append(names, s...), 0)
		return uint32(offset)
	}
	for i, lib := range libraries {
		entry := head[ldCacheHeader+i*ldCacheEntry:]
		binary.LittleEndian.PutUint32(entry, flags)
		binary.LittleEndian.PutUint32(entry[4:], at(lib.name))
		binary.LittleEndian.PutUint32(entry[8:], at(lib.path))
	}
	binary.LittleEndian.PutUint32(head[24:], uint32(len(names)))
	return append(head, names...)
}

var someLibraries = []library{
	{"libssl.so.3", "/usr/lib/libssl.so.3"}, {"libssl.so.1.1", "/usr/lib/libssl.so.1.1"}, {"libssl.so", "/usr/lib/libssl.so"},
	{"libc.so.6", "/lib/libc.so.6"}, {"libcrypto.so.3", "/usr/lib/libcrypto.so.3"},
}

func TestParseLdCache(t *testing.T) {
	raw := ldCache(ldFlagsAMD64, someLibraries...)
	old := append([]byte("ld.so-1.7.0\x00\x01\x00\x00\x00............\x00\x00\x00\x00"), raw...)
	for name, raw := range map[string][]byte{"new": raw, "behind an old one": old} {
		got, err := parseLdCache(raw, "amd64")
		if err != nil || !slices.Equal(got, someLibraries) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := parseLdCache(raw, "arm64"); err != nil || len(got) != 0 {
		t.Errorf("another machine: %v, %v", got, err)
	}
	for name, raw := range map[string][]byte{"empty": nil, "cut": raw[:60], "cut header": raw[:30], "text": []byte("libc.so.6")} {
		if got, err := parseLdCache(raw, "amd64"); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got, err := parseLdCache(raw[:len(raw)-30], "amd64"); err != nil || len(got) != len(someLibraries)-1 {
		t.Errorf("cut names: %v, %v", got, err)
	}
}

func TestIsLibrary(t *testing.T) {
	for _, tt := range []struct {
		file, name string
		want       bool
	}{
		{"libc.so.6", "libc", true}, {"libc.so", "libc", true}, {"libcrypto.so.3", "libc", false}, {"libc.a", "libc", false},
		{"libc.so.6", "libc.so.6", true}, {"libc.so.6", "libc.so", true}, {"libc.so.61", "libc.so.6", false}, {"libc.sol", "libc", false},
	} {
		if got := isLibrary(tt.file, tt.name); got != tt.want {
			t.Errorf("%s, %s: %v", tt.file, tt.name, got)
		}
	}
}

func FuzzLdCache(f *testing.F) {
	f.Add(ldCache(ldFlagsAMD64, someLibraries...))
	f.Add([]byte(ldCacheMagic + strings.Repeat("\xff", 60)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		libraries, _ := parseLdCache(raw, "amd64")
		for _, lib := range libraries {
			if lib.name == "" || !strings.HasPrefix(lib.path, "/") {
				t.Errorf("%+v", lib)
			}
		}
	})
}

func TestFindFile(t *testing.T) {
	flags := uint32(ldFlagsAMD64)
	if runtime.GOARCH == "arm64" {
		flags = ldFlagsARM64
	}
	dir := root(t, map[string]string{
		"usr/lib/libssl.so.3":   "3",
		"usr/lib/libssl.so.1.1": "1.1",
		"lib/libc.so.6":         "c",
		"usr/local/bin/tool":    "tool",
		"opt/a/prog":            "a",
		"opt/b/prog":            "b",
		"opt/[x]/prog":          "x",
		"etc/ld.so.cache":       string(ldCache(flags, someLibraries...)),
		"nocache/lib/libz.so.1": "z",
	})
	links := map[string]string{
		"usr/lib/libssl.so": "libssl.so.3", // found by two names
		"usr/bin/tool":      "/usr/local/bin/tool",
		"loop":              "/loop",
	}
	for name, target := range links {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", "/usr/bin:relative:/usr/local/bin")
	for _, tt := range []struct {
		name string
		want string // below the root, by blanks; empty: an error
	}{
		{"libssl", "/usr/lib/libssl.so.3 /usr/lib/libssl.so.1.1"},
		{"libssl.so.1.1", "/usr/lib/libssl.so.1.1"},
		{"libc", "/lib/libc.so.6"},
		{"libz", ""},
		{"tool", "/usr/local/bin/tool"},
		{"prog", ""},
		{"to*", "/usr/local/bin/tool"},
		{"/usr/bin/tool", "/usr/local/bin/tool"},
		{"/opt/a/prog", "/opt/a/prog"},
		{"/opt/*/prog", "/opt/[x]/prog /opt/a/prog /opt/b/prog"},
		{"/opt/[x]/p*", "/opt/[x]/prog"},
		{"/opt/?/prog", ""},
		{"/opt", ""},
		{"/loop", ""},
		{"/none/*", ""},
		{"", ""},
		{"a\x00b", ""},
	} {
		got, err := findFile(dir, tt.name, 0)
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], dir)
		}
		if strings.Join(got, " ") != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: got %v, %v; want %s", tt.name, got, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", tt.name, err)
		}
	}
}

// TestFindFileOfProcess looks as this process does, and as one that is not there.
func TestFindFileOfProcess(t *testing.T) {
	exe, err := filepath.EvalSymlinks("/proc/self/exe")
	if err != nil {
		t.Skip("no /proc")
	}
	for _, name := range []string{"", "*", exe} {
		got, err := findFile("/", name, os.Getpid())
		if err != nil || !slices.Contains(got, exe) {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if got, err := findFile("/", "bash", 1<<30); err == nil {
		t.Errorf("no such process: %v", got)
	}
	got, err := findFile("/", "./"+"pattern_test.go", 0)
	if _, there := os.Stat("pattern_test.go"); there == nil && (err != nil || len(got) != 1 || !filepath.IsAbs(got[0])) {
		t.Errorf("relative: %v, %v", got, err)
	}
}
