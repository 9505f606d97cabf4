package vmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sonde/internal/vmtest/wire"
)

// objectSources is where the C programs lie that tests of compiled objects run, below the root of the module.
const objectSources = "internal/object/testdata"

// Object returns the path of a BPF object that was compiled from internal/object/testdata/NAME.c: in a guest it was brought there,
// elsewhere it is compiled now, by clang with these flags besides.
func Object(t testing.TB, name string, flags ...string) string {
	t.Helper()
	if Guest() != "" {
		if len(flags) > 0 {
			t.Fatal("objects are not compiled in guests")
		}
		return filepath.Join(wire.ObjectsDir, name+".o")
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	object := filepath.Join(t.TempDir(), name+".o")
	if err := compileObject(t.Context(), root, name, object, flags); err != nil {
		t.Fatal(err)
	}
	return object
}

// UserProgram returns the path of the program that was compiled from internal/object/testdata/user/NAME.c, in the same way. It is
// static and needs no library.
func UserProgram(t testing.TB, name string) string {
	t.Helper()
	if Guest() != "" {
		return filepath.Join(wire.ObjectsDir, name)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), name)
	if err := compileUser(t.Context(), root, name, program); err != nil {
		t.Fatal(err)
	}
	return program
}

// BuildObjects compiles all of them, and the user programs, into a directory.
func BuildObjects(ctx context.Context, root, dir string) error {
	sources, err := filepath.Glob(filepath.Join(root, objectSources, "*.c"))
	if err != nil || len(sources) == 0 {
		return fmt.Errorf("no C programs in %s: %w", objectSources, err)
	}
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		if err := compileObject(ctx, root, name, filepath.Join(dir, name+".o"), nil); err != nil {
			return err
		}
	}
	users, err := filepath.Glob(filepath.Join(root, objectSources, userSources, "*.c"))
	if err != nil {
		return err
	}
	for _, source := range users {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		if err := compileUser(ctx, root, name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// userSources is where the sources of programs lie that are traced.
const userSources = "user"

func compileUser(ctx context.Context, root, name, program string) error {
	args := []string{"-O2", "-Wall", "-Werror", "-static", "-nostdlib", "-ffreestanding"}
	if runtime.GOARCH == "amd64" {
		args = append(args, "-mno-red-zone")
	}
	return compile(ctx, filepath.Join(root, objectSources, userSources), append(args, name+".c", "-o", program))
}

func compileObject(ctx context.Context, root, name, object string, flags []string) error {
	machine, headers := "x86", "x86_64-linux-gnu"
	if runtime.GOARCH == "arm64" {
		machine, headers = "arm64", "aarch64-linux-gnu"
	}
	args := []string{"-target", "bpfel", "-O2", "-g", "-Wall", "-Werror", "-D__TARGET_ARCH_" + machine, "-I/usr/include/" + headers}
	return compile(ctx, filepath.Join(root, objectSources), append(append(args, flags...), "-c", name+".c", "-o", object))
}

// compile runs clang in a folder.
func compile(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, "clang-14", args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("clang-14 is not here, which compiles the objects that are tested; install it: scripts/deps.sh test")
	}
	if err != nil {
		return fmt.Errorf("clang-14 %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// moduleRoot is the folder of go.mod, above that in which the test runs.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("there is no go.mod above the test")
		}
		dir = above
	}
}
