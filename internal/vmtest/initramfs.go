package vmtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sonde/internal/vmtest/cpio"
	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/wire"
)

// baseRecipe goes up when writeBase changes.
const baseRecipe = "base 1"

// baseArchive returns the initramfs of a kernel without init and jobs: the user land and the modules.
func baseArchive(ctx context.Context, cache *fetch.Cache, kernel fetch.Kernel, busybox string) (string, error) {
	sum := sha256.New()
	for _, path := range []string{busybox, kernel.Modules} {
		if err := hashTree(sum, path); err != nil {
			return "", err
		}
	}
	recipe := fmt.Sprintf("%s %x", baseRecipe, sum.Sum(nil))
	dir, err := cache.Item(ctx, "initramfs-"+kernel.Name, recipe, func(ctx context.Context, dir string) error {
		out, err := exec.CommandContext(ctx, busybox, "--list").Output()
		if err != nil {
			return fmt.Errorf("asking busybox for its applets: %w", err)
		}
		return writeArchive(filepath.Join(dir, "base.cpio"), func(w *cpio.Writer) error {
			return writeBase(w, busybox, strings.Fields(string(out)), kernel.Modules)
		})
	})
	return filepath.Join(dir, "base.cpio"), err
}

func writeBase(w *cpio.Writer, busybox string, applets []string, modules string) error {
	for _, dir := range []string{"bin", "dev", "etc", "proc", "run", "sys", "usr", "var"} {
		if err := w.Dir(dir, 0o755); err != nil {
			return err
		}
	}
	_ = w.Dir("tmp", 0o755)
	_ = w.Dir("root", 0o700)
	// The kernel opens these for process 1 before anything is mounted.
	_ = w.CharDev("dev/console", 0o600, 5, 1)
	_ = w.CharDev("dev/null", 0o666, 1, 3)
	for link, target := range map[string]string{"sbin": "bin", "usr/bin": "../bin", "usr/sbin": "../bin", "var/run": "../run", "var/tmp": "../tmp"} {
		_ = w.Symlink(link, target)
	}
	for name, text := range map[string]string{
		"passwd":   "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
		"group":    "root:x:0:\nnogroup:x:65534:\n",
		"hosts":    "127.0.0.1 localhost\n::1 localhost\n",
		"hostname": "guest\n",
	} {
		_ = w.Bytes("etc/"+name, 0o644, []byte(text))
	}
	_ = w.Copy("bin/busybox", busybox)
	for _, applet := range applets {
		// busybox lists the programs that it is, itself among them.
		if applet != "busybox" {
			_ = w.Symlink("bin/"+filepath.Base(applet), "busybox")
		}
	}
	return w.Copy(strings.TrimPrefix(wire.ModulesDir, "/"), modules)
}

// writeArchive writes a whole archive to path, by way of a temporary name.
func writeArchive(path string, fill func(*cpio.Writer) error) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// joinArchives writes the archives one after another: the kernel unpacks each over those before it.
func joinArchives(path string, archives ...string) (size int64, err error) {
	out, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	for _, archive := range archives {
		in, err := os.Open(archive)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(out, in)
		in.Close()
		if err != nil {
			return 0, err
		}
		// An archive may start only at a multiple of four.
		pad := -n & 3
		if _, err := out.Write(make([]byte, pad)); err != nil {
			return 0, err
		}
		size += n + pad
	}
	return size, out.Close()
}

// planArchive writes the archive with a boot's plan.
func planArchive(path string, plan wire.Plan) error {
	text, err := plan.Marshal()
	if err != nil {
		return err
	}
	return writeArchive(path, func(w *cpio.Writer) error {
		return w.Bytes(strings.TrimPrefix(wire.JobFile, "/"), 0o644, text)
	})
}

func hashTree(sum io.Writer, path string) error {
	var buf bytes.Buffer
	w := cpio.NewWriter(&buf)
	if err := w.Copy("x", path); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := sum.Write(buf.Bytes())
	return err
}
