package peers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Headers puts the headers of a kernel release of the root's own suite into the root: bcc's tools compile against them.
func (r Root) Headers(ctx context.Context, release string, log io.Writer) error {
	if _, err := os.Stat(filepath.Join(r.Dir, "usr/lib/modules", release, "build/include")); err == nil {
		return nil
	}
	version, _, _ := strings.Cut(release, "-") // "7.2.13+deb14" of "7.2.13+deb14-cloud-amd64"
	packages := []string{"linux-headers-" + release, "linux-headers-" + version + "-common"}
	fmt.Fprintf(log, "peers: adding %s\n", strings.Join(packages, " and "))
	dir, err := os.MkdirTemp(filepath.Join(r.Dir, "tmp"), "headers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	inside := "/tmp/" + filepath.Base(dir)
	acquire, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return fmt.Errorf("reading apt's configuration: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "apt.conf"), acquireOptions(acquire), 0o644); err != nil {
		return err
	}
	// The root's own apt: its sources are of the suite, its lists as old as the root.
	const script = `cd "$1" && export APT_CONFIG="$1/apt.conf" && shift && apt-get -q update && apt-get -q download "$@"`
	args := append([]string{r.Dir, "/bin/sh", "-c", script, "sh", inside}, packages...)
	if out, err := exec.CommandContext(ctx, "chroot", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("no headers for kernel %s in %s (an old guest kernel: remove it from the cache): %w: %s", release, r.Suite.Name, err, lastLines(out, 2))
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, r.Dir).CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w: %s", filepath.Base(deb), err, lastLines(out, 1))
		}
	}
	return nil
}

// acquireOptions keeps of a dump of apt's configuration how this machine reaches its mirror: proxies, time-outs, whether old
// Release files are good enough. Lists it fetches for itself (IndexTargets) are its own affair.
func acquireOptions(dump []byte) []byte {
	kept := []byte("APT::Sandbox::User \"root\";\n")
	for line := range bytes.Lines(dump) {
		if bytes.HasPrefix(line, []byte("Acquire::")) && !bytes.HasPrefix(line, []byte("Acquire::IndexTargets")) {
			kept = append(kept, line...)
		}
	}
	return kept
}
