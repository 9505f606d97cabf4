// Package reference is programs in C, by clang -O2 and libbpf, that do what a measured tool has to do, or nothing at all:
// what a program costs in the kernel is told beside theirs. It runs the compiler, and writes in the folder it is given.
package reference

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"sonde/internal/bench/process"
)

//go:embed programs
var sources embed.FS

// compiler is what the reference is compiled with, as the project's own BPF programs are.
const compiler = "clang-14"

// Reference is the programs in C, compiled.
type Reference struct {
	Loader string
	Dir    string
}

func (r Reference) object(name string) string { return filepath.Join(r.Dir, name+".o") }

// Command starts the program NAME.bpf.c for one process.
func (r Reference) Command(name string, pid int) process.Command {
	return process.Command{Argv: []string{r.Loader, r.object(name), strconv.Itoa(pid)}}
}

// Build compiles all programs into a folder.
func Build(ctx context.Context, dir string) (Reference, error) {
	r := Reference{Loader: filepath.Join(dir, "loader"), Dir: dir}
	if err := os.CopyFS(dir, sources); err != nil {
		return r, err
	}
	from := filepath.Join(dir, "programs")
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
	return r, compile(ctx, "-O2", "-Wall", "-Werror", filepath.Join(from, "loader.c"), "-o", r.Loader, "-lbpf")
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
