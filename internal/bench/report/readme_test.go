package report

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplaceBlock(t *testing.T) {
	for _, test := range []struct {
		name, in, block, want string
		none, fail            bool
	}{
		{name: "an empty place", in: "a\n<!-- x -->\n<!-- /x -->\nb\n", block: "new\n", want: "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n"},
		{name: "an older block", in: "<!-- x -->\nold\nold\n<!-- /x -->", block: "new", want: "<!-- x -->\nnew\n<!-- /x -->"},
		{name: "markers on one line", in: "<!-- x --><!-- /x -->", block: "new\n", want: "<!-- x -->\nnew\n<!-- /x -->"},
		{name: "only its own block", in: "<!-- y -->\nk\n<!-- /y -->\n<!-- x -->\n<!-- /x -->\n", block: "n\n", want: "<!-- y -->\nk\n<!-- /y -->\n<!-- x -->\nn\n<!-- /x -->\n"},
		{name: "no markers", in: "text\n", none: true, fail: true},
		{name: "no document", in: "", none: true, fail: true},
		{name: "never closed", in: "<!-- x -->\n", fail: true},
		{name: "closed first", in: "<!-- /x -->\n<!-- x -->\n", fail: true},
		{name: "two of them", in: "<!-- x --><!-- /x --><!-- x --><!-- /x -->", fail: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ReplaceBlock([]byte(test.in), "x", test.block)
			if (err != nil) != test.fail || errors.Is(err, ErrNoMarkers) != test.none {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
			if test.fail {
				return
			}
			again, err := ReplaceBlock(got, "x", test.block)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(got), string(again)); diff != "" {
				t.Errorf("a second time changes it: %s", diff)
			}
		})
	}
}

func FuzzReplaceBlock(f *testing.F) {
	f.Add("a\n<!-- x -->\n<!-- /x -->\nb\n", "new\n")
	f.Add("<!-- /x --><!-- x -->", "")
	f.Fuzz(func(t *testing.T, document, block string) {
		out, err := ReplaceBlock([]byte(document), "x", block)
		if err == nil && len(out) < len("<!-- x --><!-- /x -->")+len(block) {
			t.Errorf("%q is too short", out)
		}
	})
}

func TestWriteReadme(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(path, []byte("<!-- x -->\n<!-- /x -->\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := WriteReadme(path, "x", "table\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "<!-- x -->\ntable\n<!-- /x -->\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v: want the file's own", info.Mode(), err)
	}
	if err := WriteReadme(path, "other", "table\n"); !errors.Is(err, ErrNoMarkers) {
		t.Errorf("got %v, want ErrNoMarkers", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
