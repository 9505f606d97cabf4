package script

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed reference
var sources embed.FS

// compiler is what the reference is compiled with, as the project's own BPF programs are.
const compiler = "clang-14"

// reference is the programs in C, compiled.
type reference struct {
	loader string
	dir    string
}

func (r reference) object(name string) string { return filepath.Join(r.dir, name+".o") }

// buildReference compiles all of reference/ into a folder.
func buildReference(ctx context.Context, dir string) (reference, error) {
	r := reference{loader: filepath.Join(dir, "loader"), dir: dir}
	if err := os.CopyFS(dir, sources); err != nil {
		return r, err
	}
	from := filepath.Join(dir, "reference")
	programs, err := filepath.Glob(filepath.Join(from, "*.bpf.c"))
	if err != nil {
		return r, err
	}
	for _, program := range programs {
		object := r.object(strings.TrimSuffix(filepath.Base(program), ".bpf.c"))
		if err := compile(ctx, "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", "-c", program, "-o", object); err != nil {
			return r, err
		}
	}
	return r, compile(ctx, "-O2", "-Wall", "-Werror", filepath.Join(from, "loader.c"), "-o", r.loader, "-lbpf")
}

func compile(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, compiler, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is missing: run scripts/deps.sh bench", compiler)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", compiler, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
