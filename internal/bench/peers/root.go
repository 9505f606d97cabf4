package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is a small Debian system with the tools in it.
type Root struct {
	Dir   string
	Suite Suite
}

// Suite is a release of Debian, and what is taken from it.
type Suite struct {
	Name     string
	Packages []string
}

var (
	// Newest has the newest versions of the peers; whoever compares should compare with those.
	Newest = Suite{"sid", []string{"bpftrace", "libbpf-tools", "bpfcc-tools"}}
	// Stable has the bpftrace that most hosts have.
	Stable = Suite{"bookworm", []string{"bpftrace"}}
)

// recipeFile, in the root, says how the root was made. It is written last.
const recipeFile = "sonde-recipe"

func (s Suite) recipe() string { return s.Name + " with " + strings.Join(s.Packages, ", ") + "\n" }

// CacheDir returns the directory for what is fetched once: $SONDE_CACHE, or sonde below the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv("SONDE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory: set SONDE_CACHE: %w", err)
	}
	return filepath.Join(dir, "sonde"), nil
}

// Ensure returns the root below the cache directory, making it when it is not there; progress goes to log. To have
// newer versions of the peers, remove the directory.
func Ensure(ctx context.Context, suite Suite, log io.Writer) (Root, error) {
	cache, err := CacheDir()
	if err != nil {
		return Root{}, err
	}
	root := Root{Dir: filepath.Join(cache, "peers", suite.Name), Suite: suite}
	if have, err := os.ReadFile(filepath.Join(root.Dir, recipeFile)); err == nil && string(have) == suite.recipe() {
		return root, nil
	}
	fmt.Fprintf(log, "peers: unpacking Debian %s into %s\n", strings.TrimSpace(suite.recipe()), root.Dir)
	half := root.Dir + ".half"
	for _, old := range []string{half, root.Dir} {
		if err := os.RemoveAll(old); err != nil {
			return Root{}, err
		}
	}
	if err := os.MkdirAll(filepath.Dir(half), 0o755); err != nil {
		return Root{}, err
	}
	if err := debootstrap(ctx, suite, half); err != nil {
		return Root{}, err
	}
	if err := os.WriteFile(filepath.Join(half, recipeFile), []byte(suite.recipe()), 0o644); err != nil {
		return Root{}, err
	}
	return root, os.Rename(half, root.Dir)
}

func debootstrap(ctx context.Context, suite Suite, dir string) error {
	mirror, err := Mirror()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(suite.Packages, ","), suite.Name, dir, mirror)
	if p := proxy(); p != "" && os.Getenv("http_proxy") == "" {
		cmd.Env = append(os.Environ(), "http_proxy="+p)
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("debootstrap is missing: run `apt-get install debootstrap`")
	}
	if err != nil {
		return fmt.Errorf("debootstrap: %w: %s", err, lastLines(out, 3))
	}
	return nil
}

// lastLines returns the last n lines of what a command has said, as one.
func lastLines(out []byte, n int) string {
	lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

// Versions returns the versions of the suite's packages, by package.
func (r Root) Versions() (map[string]string, error) {
	args := append([]string{"--admindir=" + filepath.Join(r.Dir, "var/lib/dpkg"), "-W", "-f=${Package} ${Version}\n"}, r.Suite.Packages...)
	out, err := exec.Command("dpkg-query", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("versions of the peers: %w", err)
	}
	versions := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		versions[name] = upstream(version)
	}
	return versions, nil
}

// upstream cuts a Debian version to the part that the project itself has given.
func upstream(version string) string {
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	if at := strings.LastIndexByte(version, '-'); at >= 0 {
		version = version[:at]
	}
	version, _, _ = strings.Cut(version, "+")
	return version
}

// Mount gives the root the views of the kernel its tools need. The caller must be in a mount namespace of its own
// (see Private): nothing is unmounted, the mounts end with the namespace.
func (r Root) Mount() error {
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"proc", "proc", "proc", 0},
		{"/sys", "sys", "", unix.MS_BIND | unix.MS_REC},
		{"/dev", "dev", "", unix.MS_BIND | unix.MS_REC},
		{"tracefs", "sys/kernel/tracing", "tracefs", 0},
	} {
		target := filepath.Join(r.Dir, m.target)
		err := unix.Mount(m.source, target, m.kind, m.flags, "")
		if m.kind == "tracefs" && errors.Is(err, unix.EBUSY) {
			continue // it came along with /sys
		}
		if err != nil {
			return fmt.Errorf("mounting %s: %w", target, err)
		}
	}
	return nil
}

// Tracefs mounts tracefs where every tool looks for it, for a machine that has not done so. The caller must be in a
// mount namespace of its own.
func Tracefs() error {
	const dir = "/sys/kernel/tracing"
	if _, err := os.Stat(dir + "/events"); err == nil {
		return nil
	}
	if err := unix.Mount("tracefs", dir, "tracefs", 0, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", dir, err)
	}
	return nil
}
