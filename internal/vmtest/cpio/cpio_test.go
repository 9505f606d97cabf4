package cpio

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type entry struct {
	Name         string
	Mode         uint32
	Content      string
	Major, Minor uint32
}

// read is an independent reader of the format, strict where the kernel is.
func read(b []byte) ([]entry, error) {
	var out []entry
	for at := 0; ; {
		if len(b) < at+110 || string(b[at:at+6]) != "070701" {
			return nil, fmt.Errorf("no header at %d", at)
		}
		var f [13]uint32
		for i := range f {
			v, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				return nil, err
			}
			f[i] = uint32(v)
		}
		mode, size, nameLen := f[1], int(f[6]), int(f[11])
		at += 110
		if len(b) < at+nameLen || b[at+nameLen-1] != 0 {
			return nil, fmt.Errorf("name at %d does not end", at)
		}
		name := string(b[at : at+nameLen-1])
		at = (at + nameLen + 3) &^ 3
		if name == "TRAILER!!!" {
			if at != len(b) {
				return nil, fmt.Errorf("%d bytes after the end", len(b)-at)
			}
			return out, nil
		}
		if len(b) < at+size {
			return nil, fmt.Errorf("%s is cut", name)
		}
		out = append(out, entry{name, mode, string(b[at : at+size]), f[9], f[10]})
		at = (at + size + 3) &^ 3
	}
}

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, err := range []error{
		w.Dir("bin", 0o755),
		w.Dir("bin", 0o700), // once only
		w.Bytes("bin/five", 0o755, []byte("12345")),
		w.Bytes("deep/er/empty", 0o600, nil),
		w.Symlink("bin/sh", "busybox"),
		w.CharDev("dev/null", 0o666, 1, 3),
		w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{Name: "bin", Mode: 0o40755},
		{Name: "bin/five", Mode: 0o100755, Content: "12345"},
		{Name: "deep", Mode: 0o40755},
		{Name: "deep/er", Mode: 0o40755},
		{Name: "deep/er/empty", Mode: 0o100600},
		{Name: "bin/sh", Mode: 0o120777, Content: "busybox"},
		{Name: "dev", Mode: 0o40755},
		{Name: "dev/null", Mode: 0o20666, Major: 1, Minor: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every length of name and content must keep what follows at a multiple of four.
func TestAlignment(t *testing.T) {
	for i := range 8 {
		for j := range 8 {
			var b bytes.Buffer
			w := NewWriter(&b)
			_ = w.Bytes(strings.Repeat("n", i+1), 0o644, bytes.Repeat([]byte("c"), j))
			_ = w.Bytes("next", 0o644, []byte("x"))
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := read(b.Bytes())
			if err != nil || len(got) != 2 || len(got[0].Content) != j || got[1].Content != "x" {
				t.Errorf("name of %d, content of %d: %v %v", i+1, j, got, err)
			}
		}
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []error{
		os.MkdirAll(filepath.Join(dir, "sub"), 0o750),
		os.WriteFile(filepath.Join(dir, "sub/file"), []byte("text"), 0o640),
		os.Symlink("sub/file", filepath.Join(dir, "link")),
		os.Symlink("nowhere", filepath.Join(dir, "dangling")),
		os.Chmod(dir, 0o755),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	var b bytes.Buffer
	w := NewWriter(&b)
	if err := w.Copy("src/testdata", dir); err != nil {
		t.Fatal(err)
	}
	if err := w.Copy("one", filepath.Join(dir, "sub/file")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{Name: "src", Mode: 0o40755},
		{Name: "src/testdata", Mode: 0o40755},
		{Name: "src/testdata/dangling", Mode: 0o120777, Content: "nowhere"},
		{Name: "src/testdata/link", Mode: 0o120777, Content: "sub/file"},
		{Name: "src/testdata/sub", Mode: 0o40750},
		{Name: "src/testdata/sub/file", Mode: 0o100640, Content: "text"},
		{Name: "one", Mode: 0o100640, Content: "text"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := NewWriter(&b).Copy("x", filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing file was copied")
	}
}

func TestErrorsStay(t *testing.T) {
	for _, name := range []string{"", "/absolute", "../outside", "zero\x00byte", strings.Repeat("n", 4096)} {
		w := NewWriter(&bytes.Buffer{})
		if w.Bytes(name, 0o644, nil) == nil {
			t.Errorf("%.20q was accepted as a name", name)
		}
		if w.Bytes("good", 0o644, nil) == nil || w.Close() == nil {
			t.Errorf("the error of %.20q was forgotten", name)
		}
	}
}
