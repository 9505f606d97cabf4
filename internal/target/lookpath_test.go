package target

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c", "."} {
		if err := os.MkdirAll(filepath.Join(dir, name, "folder"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"a/tool": 0o644, "b/tool": 0o755, "a/plain": 0o600, "here": 0o755, "a/link": 0} {
		file := filepath.Join(dir, name)
		err := os.WriteFile(file, []byte("x"), mode)
		if name == "a/link" {
			os.Remove(file)
			err = os.Symlink("nowhere", file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "a/fifo"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, tc := range []struct {
		name, path, in string
		want           string // the path, or a piece of the error
		status         int
	}{
		{"first of two", b + ":" + a, "tool", b + "/tool", 0},
		{"passed over", a + ":" + b, "tool", b + "/tool", 0},
		{"slash at the end", b + "/", "tool", b + "/tool", 0},
		{"not executable", a, "plain", a + "/plain: permission denied", 126},
		{"not executable, and then nothing", a + ":/nonexistent:" + b, "plain", "chmod +x", 126},
		{"a folder in PATH", a, "folder", "a folder, not a program", 126},
		{"not a regular file", a, "fifo", "permission denied", 126},
		{"nothing", a + ":" + b, "nothing", "not found in PATH", 127},
		{"a file in PATH", dir + "/here", "tool", "not found in PATH", 127},
		{"a dangling link", a, "link", "not found in PATH", 127},
		{"empty element", "/nonexistent::" + a, "here", "./here", 0},
		{"empty PATH is one", "", "here", "./here", 0},
		{"not by way of PATH", "", "b/tool", "b/tool", 0},
		{"given by path, missing", "", "./none", "no such file", 127},
		{"given by path, below a file", "", "here/none", "no such file", 127},
		{"given by path, not executable", "", "a/tool", "permission denied", 126},
		{"given by path, a folder", "", "./a", "a folder, not a program", 126},
		{"empty", a, "", "empty", 127},
		{"too long", a, strings.Repeat("x", 5000), "not found", 127},
	} {
		t.Setenv("PATH", tc.path)
		got, err := lookPath(tc.in)
		if tc.status == 0 {
			if err != nil || got != tc.want {
				t.Errorf("%s: %q, %v; want %q", tc.name, got, err, tc.want)
			}
			continue
		}
		var command *CommandError
		if !errors.As(err, &command) || command.Status != tc.status || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %q, %v; want %d %s", tc.name, got, err, tc.status, tc.want)
		}
	}
	os.Unsetenv("PATH")
	if got, err := lookPath("sh"); err != nil || got != "/bin/sh" {
		t.Errorf("without PATH: %q, %v", got, err)
	}
}
