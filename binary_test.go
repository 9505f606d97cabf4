package sonde_test

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const maxBinary = 12 << 20 // bytes, stripped

// The binary is static and small on both machines, and the same bytes come out wherever the tree lies.
func TestBinary(t *testing.T) {
	// Two copies, the second of the first: somebody may be working on the tree.
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "elsewhere", "two")
	copyTree(t, ".", one)
	copyTree(t, one, two)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			first := makeBuild(t, one, arch, "v1.2.3-test")
			if !bytes.Equal(first, makeBuild(t, two, arch, "v1.2.3-test")) {
				t.Error("the same source and version in another directory gave another binary")
			}
			if bytes.Equal(first, makeBuild(t, two, arch, "v9.9.9-test")) {
				t.Error("VERSION is not in the binary")
			}
			if len(first) > maxBinary {
				t.Errorf("the binary has %d bytes, more than %d", len(first), maxBinary)
			}
			f, err := elf.NewFile(bytes.NewReader(first))
			if err != nil {
				t.Fatal(err)
			}
			if f.Machine != machine {
				t.Errorf("the binary is for %v", f.Machine)
			}
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("the binary is not static: it has a segment %v", p.Type)
				}
			}
			if symbols, err := f.Symbols(); err == nil {
				t.Errorf("the binary is not stripped: %d symbols", len(symbols))
			}
		})
	}
}

// copyTree copies what a build reads.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	for _, dir := range []string{"cmd", "internal", "bpf"} {
		if err := os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(from, dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// makeBuild runs `make build` in dir and returns the binary.
func makeBuild(t *testing.T, dir, arch, version string) []byte {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sonde")
	cmd := exec.Command("make", "-C", dir, "build", "BINARY="+binary, "VERSION="+version)
	// An outer make's flags are not ours.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
	})
	cmd.Env = append(cmd.Env, "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build in %s for %s: %v\n%s", dir, arch, err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
