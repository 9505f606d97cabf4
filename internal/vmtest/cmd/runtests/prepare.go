package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sonde/internal/vmtest"
	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/report"
	"sonde/internal/vmtest/wire"
)

// built is what was built before anything is run.
type built struct {
	sonde   string      // path of the sonde binary; empty: it does not build
	tests   []guestTest // packages to be run in guests
	payload string      // archive for all guests, when there are tests
}

// guestTest is one package's test binary and which of its tests run in a guest.
type guestTest struct {
	pkg    string   // import path
	dir    string   // working directory in the guest
	binary string   // path in the guest
	names  []string // top-level tests
}

// listed is what is wanted of `go list -json`.
type listed struct {
	ImportPath   string
	Dir          string
	Name         string
	TestGoFiles  []string
	XTestGoFiles []string
	Module       *struct{ Dir string }
	Error        *struct{ Err string }
}

// prepare builds sonde and, when guests are wanted, the test binaries and the archive they travel in. What does not
// build is a failure of its own and does not keep the rest from running.
func prepare(ctx context.Context, o options, scratch string, failures *report.Collector, stderr io.Writer) (built, error) {
	packages, err := list(ctx, o.packages)
	if err != nil {
		return built{}, err
	}
	var b built
	sonde := filepath.Join(scratch, "sonde")
	if err := vmtest.BuildSonde(ctx, sonde); err == nil {
		b.sonde = sonde
	} else {
		fmt.Fprintln(stderr, "runtests:", err)
		// Whoever asks for the tests of one package may have a broken sonde; all packages together may not.
		if slices.ContainsFunc(packages, func(p listed) bool { return p.ImportPath == "sonde/cmd/sonde" }) {
			failures.Fail("sonde/cmd/sonde", "does not build")
		}
	}
	if !o.guest {
		return b, ctx.Err()
	}

	var files []vmtest.File
	var module string
	if b.sonde != "" {
		files = append(files, vmtest.File{Guest: "/bin/sonde", Host: b.sonde})
	}
	for i, p := range packages {
		names, err := guestTests(p)
		if err != nil {
			return b, err
		}
		if names = matching(names, o.run); len(names) == 0 {
			continue
		}
		binary := filepath.Join(scratch, fmt.Sprintf("%d.test", i))
		if err := vmtest.BuildTest(ctx, binary, p.ImportPath); err != nil {
			if ctx.Err() != nil {
				return b, ctx.Err()
			}
			fmt.Fprintln(stderr, "runtests:", err)
			failures.Fail(p.ImportPath, "its guest tests do not build")
			continue
		}
		rel, err := filepath.Rel(p.Module.Dir, p.Dir)
		if err != nil {
			return b, err
		}
		dir := path.Join("/src", filepath.ToSlash(rel))
		t := guestTest{pkg: p.ImportPath, dir: dir, binary: path.Join(dir, path.Base(p.ImportPath)+".test"), names: names}
		b.tests = append(b.tests, t)
		files = append(files, vmtest.File{Guest: t.binary, Host: binary})
		files = append(files, testdata(p.Dir, dir)...)
		module = p.Module.Dir
		if len(b.tests) == 1 && rel != "." {
			files = append(files, testdata(p.Module.Dir, "/src")...)
		}
	}
	if len(b.tests) == 0 {
		return b, nil
	}
	if slices.ContainsFunc(b.tests, func(t guestTest) bool { return slices.ContainsFunc(t.names, needsCorpus) }) {
		cache, err := fetch.Open("", o.refresh, stderr)
		if err != nil {
			return b, err
		}
		corpus, err := cache.Corpus(ctx)
		if err != nil {
			return b, err
		}
		files = append(files, vmtest.File{Guest: wire.CorpusDir, Host: corpus})
	}
	if slices.ContainsFunc(b.tests, func(t guestTest) bool { return slices.ContainsFunc(t.names, needsObjects) }) {
		objects := filepath.Join(scratch, "objects")
		if err := os.Mkdir(objects, 0o755); err != nil {
			return b, err
		}
		if err := vmtest.BuildObjects(ctx, module, objects); err != nil {
			return b, err
		}
		files = append(files, vmtest.File{Guest: wire.ObjectsDir, Host: objects})
	}
	b.payload = filepath.Join(scratch, "payload.cpio")
	return b, vmtest.Payload(ctx, b.payload, files)
}

// needsCorpus says whether a test runs Debian's bpftrace scripts: its name has Corpus in it.
func needsCorpus(name string) bool { return strings.Contains(name, "Corpus") }

// needsObjects says whether a test runs compiled BPF objects: its name has Object in it.
func needsObjects(name string) bool { return strings.Contains(name, "Object") }

func testdata(dir, guestDir string) []vmtest.File {
	from := filepath.Join(dir, "testdata")
	if info, err := os.Stat(from); err != nil || !info.IsDir() {
		return nil
	}
	return []vmtest.File{{Guest: path.Join(guestDir, "testdata"), Host: from}}
}

func list(ctx context.Context, patterns []string) ([]listed, error) {
	args := []string{"list", "-e", "-tags=guest", "-json=ImportPath,Dir,Name,TestGoFiles,XTestGoFiles,Module,Error"}
	out, err := goOutput(ctx, append(args, patterns...)...)
	if err != nil {
		return nil, err
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		switch {
		case p.Module == nil && p.Error != nil:
			return nil, fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		case p.Module != nil:
			packages = append(packages, p)
		}
	}
}

var guestName = regexp.MustCompile(`^Test(Kernel|Guest)`)

// guestTests finds the names of a package's tests that run in guests, from the source: running the binary to ask it
// would run its TestMain here.
func guestTests(p listed) ([]string, error) {
	var names []string
	for _, file := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if f == nil {
			return nil, err
		}
		// A syntax error is the compiler's to report.
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && guestName.MatchString(fn.Name.Name) {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names, nil
}

// matching keeps the names that a -run expression selects at the top level.
func matching(names []string, run string) []string {
	top, _, _ := strings.Cut(run, "/")
	re := regexp.MustCompile(top)
	return slices.DeleteFunc(names, func(name string) bool { return !re.MatchString(name) })
}

// onKernel keeps the names of tests that run on a kernel. Those that are about what sonde does with what a kernel tells, and not
// about the kernel, run on the oldest and the newest only, and on a kernel that somebody brought: emulated, each takes many seconds.
func onKernel(names []string, kernel string) []string {
	all := fetch.Names()
	if kernel == all[0] || kernel == all[len(all)-1] || kernel == fetch.OwnImage {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(name, "TestGuestEnds") })
}

// runExpression selects exactly the names, and below them what a -run expression says.
func runExpression(names []string, run string) string {
	expr := "^(" + strings.Join(names, "|") + ")$"
	if _, below, ok := strings.Cut(run, "/"); ok {
		expr += "/" + below
	}
	return expr
}
