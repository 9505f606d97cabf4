package vmtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"sonde/internal/vmtest/cpio"
)

// BuildSonde builds the static sonde binary at path.
func BuildSonde(ctx context.Context, path string) error {
	return goTool(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "sonde/cmd/sonde")
}

// BuildTest builds the static test binary of a package at path, with its guest tests.
func BuildTest(ctx context.Context, path, importPath string) error {
	return goTool(ctx, "test", "-c", "-tags=guest", "-ldflags=-w", "-o", path, importPath)
}

// File is a file or directory of the machine and its place in a guest.
type File struct {
	Guest string // absolute path in the guest
	Host  string
}

// Payload writes at path an archive for Config.Archives with the guest's init and these files.
func Payload(ctx context.Context, path string, files []File) error {
	initFile := path + ".init"
	defer os.Remove(initFile)
	if err := goTool(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", initFile, "sonde/internal/vmtest/init"); err != nil {
		return err
	}
	return writeArchive(path, func(w *cpio.Writer) error {
		if err := w.Copy("init", initFile); err != nil {
			return err
		}
		for _, f := range files {
			if err := w.Copy(strings.TrimPrefix(f.Guest, "/"), f.Host); err != nil {
				return err
			}
		}
		return nil
	})
}

// goTool runs the go command for a static Linux program; its error holds what the compiler said.
func goTool(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s %s: %w\n%s", args[0], args[len(args)-1], err, strings.TrimSpace(out.String()))
	}
	return nil
}
