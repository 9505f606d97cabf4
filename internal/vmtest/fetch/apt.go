package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Suite says which Debian suites one thing is taken from.
type Suite struct {
	Name     string // preferred
	Base     string // also offered, for dependencies; may be empty
	Security bool   // use Name's security suite too, where the machine has a security mirror
}

// apt is a private apt: its own lists, its own (empty) package state, its own cache.
type apt struct {
	dir   string
	suite Suite
}

// systemSources reads every source list of the machine.
func systemSources(ctx context.Context) ([]Source, error) {
	out, err := run(ctx, "", nil, "apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
	if err != nil {
		return nil, fmt.Errorf("reading apt's configuration (guest kernels need a Debian machine with apt): %w", err)
	}
	var files []string
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, "'")
		switch name {
		case "LIST":
			files = append(files, value)
		case "PARTS":
			for _, pattern := range []string{"*.list", "*.sources"} {
				found, _ := filepath.Glob(filepath.Join(value, pattern))
				files = append(files, found...)
			}
		}
	}
	var sources []Source
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(file, ".sources") {
			sources = append(sources, parseDeb822(string(text))...)
		} else {
			sources = append(sources, parseOneLine(string(text))...)
		}
	}
	return sources, nil
}

// newApt makes a private apt in dir, which must be absolute, and reads the package lists of the suite.
func newApt(ctx context.Context, dir string, suite Suite) (*apt, error) {
	sources, err := systemSources(ctx)
	if err != nil {
		return nil, err
	}
	mirror, err := pickMirror(sources)
	if err != nil {
		return nil, err
	}
	suites := []string{suite.Name}
	if suite.Base != "" {
		suites = append(suites, suite.Base)
	}
	list := mirror.Main.deb822(suites...)
	if suite.Security && mirror.Security != nil {
		list += "\n" + mirror.Security.deb822(suite.Name+"-security")
	}

	// How the machine reaches its mirror (proxies, time-outs, whether old Release files are good enough) is kept, its
	// hooks and its extra index files are not: those belong to the system's own package state.
	acquire, err := run(ctx, "", nil, "apt-config", "dump", "Acquire")
	if err != nil {
		return nil, err
	}
	conf := privateConfig(dir, acquire)
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{"list.sources": list, "apt.conf": conf, "state/status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	a := &apt{dir: dir, suite: suite}
	if _, err := a.get(ctx, "", "update", "--error-on=any"); err != nil {
		return nil, fmt.Errorf("reading the package lists of %s from this machine's Debian mirror: %w", suite.Name, err)
	}
	return a, nil
}

// privateConfig is an apt.conf that shares with the system's only the given dump of its Acquire section.
func privateConfig(dir, acquire string) string {
	var b strings.Builder
	for line := range strings.Lines(acquire) {
		name, _, _ := strings.Cut(line, " ")
		if name == "Acquire" || !strings.HasPrefix(name, "Acquire::") || strings.HasPrefix(name, "Acquire::IndexTargets") {
			continue
		}
		b.WriteString(line)
	}
	for _, kv := range [][2]string{
		{"Dir::Etc::SourceList", dir + "/list.sources"},
		{"Dir::Etc::SourceParts", "/dev/null"},
		{"Dir::Etc::Main", "/dev/null"},
		{"Dir::Etc::Parts", "/dev/null"},
		{"Dir::Etc::Preferences", "/dev/null"},
		{"Dir::Etc::PreferencesParts", "/dev/null"},
		{"Dir::State", dir + "/state"},
		{"Dir::State::Lists", dir + "/state/lists"},
		{"Dir::State::Status", dir + "/state/status"},
		{"Dir::Cache", dir + "/cache"},
		{"Dir::Cache::pkgcache", ""},
		{"Dir::Cache::srcpkgcache", ""},
		{"APT::Architecture", "amd64"},
		{"APT::Install-Recommends", "false"},
		// The cache may lie where apt's download user cannot reach.
		{"APT::Sandbox::User", "root"},
	} {
		fmt.Fprintf(&b, "%s %q;\n", kv[0], kv[1])
	}
	return b.String()
}

// Package is one package of a closure.
type Package struct{ Name, Version string }

// closure lists what installing name on an empty system would install.
func (a *apt) closure(ctx context.Context, name string) ([]Package, error) {
	args := []string{"--simulate", "install", name}
	if a.suite.Base != "" {
		// Backports are not taken unless asked for.
		args = append(args, "--target-release="+a.suite.Name)
	}
	out, err := a.get(ctx, "", args...)
	if err != nil {
		return nil, fmt.Errorf("dependencies of %s in %s: %w", name, a.suite.Name, err)
	}
	return parseSimulation(out), nil
}

// parseSimulation reads the "Inst NAME (VERSION ...)" lines of apt-get --simulate.
func parseSimulation(out string) []Package {
	var list []Package
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "Inst" {
			continue
		}
		at := slices.IndexFunc(f, func(s string) bool { return strings.HasPrefix(s, "(") })
		if at > 1 {
			list = append(list, Package{f[1], strings.Trim(f[at], "()")})
		}
	}
	return list
}

// unpack downloads packages and unpacks them below root. apt checks each download against the signed lists.
func (a *apt) unpack(ctx context.Context, packages []Package, root string) error {
	debs := filepath.Join(a.dir, "debs")
	if err := os.MkdirAll(debs, 0o755); err != nil {
		return err
	}
	args := []string{"download"}
	for _, p := range packages {
		args = append(args, p.Name+"="+p.Version)
	}
	if _, err := a.get(ctx, debs, args...); err != nil {
		return fmt.Errorf("downloading from %s: %w", a.suite.Name, err)
	}
	files, _ := filepath.Glob(filepath.Join(debs, "*.deb"))
	if len(files) != len(packages) {
		return fmt.Errorf("downloading from %s: asked for %d packages, have %d", a.suite.Name, len(packages), len(files))
	}
	for _, file := range files {
		if _, err := run(ctx, "", nil, "dpkg-deb", "-x", file, root); err != nil {
			return fmt.Errorf("unpacking %s: %w", filepath.Base(file), err)
		}
	}
	return os.RemoveAll(debs)
}

func (a *apt) get(ctx context.Context, dir string, args ...string) (string, error) {
	return run(ctx, dir, []string{"APT_CONFIG=" + a.dir + "/apt.conf"}, "apt-get", append([]string{"-q"}, args...)...)
}

// run runs a command and returns its standard output; the error carries the last words of its standard error.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("%s %s: %w: %s", name, args[min(1, len(args)-1)], err, lastLine(stderr.String()))
	}
	return stdout.String(), nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
