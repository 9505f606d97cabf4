package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/vmtest"
)

// What the kernel leaves out of the paths that are not asked for is what user space would leave out: the same patterns, with one more
// that only user space can decide about, give the same opens.
func TestKernelOpenPaths(t *testing.T) {
	needOpen(t)
	dir := t.TempDir()
	long := strings.Repeat("long", 50)
	for _, name := range []string{"a.conf", "b.txt", "sub/c.conf", "sub/deep/d.conf", "sub/deep/lib.so", long, "mounted"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("b.txt", filepath.Join(dir, "link.conf")); err != nil {
		t.Fatal(err)
	}
	// A file that is mounted on another has that one's name; and one that has none any more.
	script := `cd "$1" && cat a.conf b.txt link.conf sub/../sub/c.conf sub/deep/d.conf "$1/sub/deep/lib.so" "$2" missing.conf; ls / sub >/dev/null
		exec 3>gone.conf && rm gone.conf && cat </proc/self/fd/3 >/dev/null
		unshare -m sh -c 'mount --bind a.conf mounted && cat mounted'`
	run := func(patterns ...string) (seen []string) {
		var args []string
		for _, p := range patterns {
			args = append(args, "--path", p)
		}
		got := openJSON(t, append(args, "--fields", "path,full,ret", "--", "/bin/sh", "-c", script, "sh", dir, long)...)
		for _, r := range got.records {
			if strings.HasPrefix(r.Full, "/proc/") { // with the number of a process in it
				continue
			}
			seen = append(seen, text(r.Path)+" is "+r.Full)
		}
		slices.Sort(seen)
		return seen
	}
	for _, tt := range []struct {
		patterns []string
		least    int
	}{
		{[]string{"*.conf"}, 6},
		{[]string{dir + "/**"}, 10},
		{[]string{"mounted"}, 1},
		{[]string{dir + "/sub/**/*.conf", "/dev/nul?"}, 2},
		{[]string{"b.txt", long}, 3},
		{[]string{"lon*g", "!" + dir + "/sub/**"}, 1},
		{[]string{"/"}, 0},
		{[]string{"/**/lib*"}, 1},
		{[]string{"nothing at all"}, 0},
	} {
		if vmtest.Guest() != "" && tt.least < 6 && tt.patterns[0] != "mounted" {
			continue // emulated
		}
		got, want := run(tt.patterns...), run(append(tt.patterns, "nothin[g] at all")...)
		if diff := cmp.Diff(want, got); diff != "" || len(got) < tt.least {
			t.Errorf("%q: %d opens (-user space alone +kernel too):\n%s", tt.patterns, len(got), diff)
		}
	}
}
