// Package sonde_test holds the rules of the house: which room may import what, and what the built binary is like.
package sonde_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "sonde"

// layers is the sentence of ARCHITECTURE.md: a room imports rooms of later lines only.
//
//	cmd → cli → {tool, script, object} → {compile, target, attach, stream, print} → {prog, kernel, symbol}
var layers = [][]string{
	{"cmd/sonde"},
	{"internal/cli"},
	{"internal/tool/proc"}, // shows execs as tool/exec does
	{"internal/tool", "internal/script", "internal/object"},
	{"internal/compile", "internal/target", "internal/attach", "internal/stream", "internal/print", "internal/fileevent", "internal/profile", "internal/tracefs"},
	// Inside compile, what sees both the tree and the IR is above what sees one of them.
	{"internal/compile/check", "internal/compile/codegen"},
	{"internal/compile/syntax", "internal/compile/types", "internal/compile/format", "internal/compile/ir"},
	{"internal/prog", "internal/kernel", "internal/symbol"},
}

// testOnly rooms (and what makes sources) import what they like and are imported by tests, their own commands and each other.
var testOnly = []string{"scripts", "internal/vmtest", "internal/bench", "internal/compile/ir/irtest", "internal/langtest", "."}

// A room is a folder and all below it that has no row of its own. It may import the rooms and the outside packages
// named here, the standard library without the packages in not, and what lies in its own subfolders.
type room struct {
	dir     string
	rooms   []string
	outside []string // "/..." as in go list: with all below it
	not     []string
	// loads says that the room may load: others use of cilium/ebpf only what describes a program or a map (specs).
	loads bool
	// object says that the room embeds a BPF object: the code that bpf2go made for it can load it.
	object bool
	why    string
}

const (
	cilium = "github.com/cilium/ebpf"
	sys    = "golang.org/x/sys/unix"
	cobra  = "github.com/spf13/cobra"
	pflag  = "github.com/spf13/pflag"
)

// pure is what a room does without that depends on nothing but its input.
var pure = []string{"os", "os/exec", "os/user", "syscall", "net", "time", "path/filepath"}

// One row a room; depguard's rules in .golangci.yaml say the same to an editor.
var rooms = []room{
	{
		dir:   "cmd/sonde",
		rooms: []string{"internal/cli"},
		why:   "main passes its arguments to cli.Run and exits with the answer",
	},
	{
		dir: "internal/cli",
		rooms: []string{
			"internal/tool", "internal/tool/doctor", "internal/tool/proc", "internal/tool/malloc/allocator", "internal/fileevent", "internal/script", "internal/compile", "internal/compile/syntax", "internal/compile/types",
			"internal/target", "internal/attach", "internal/stream", "internal/print", "internal/profile", "internal/prog", "internal/kernel",
			"internal/symbol", "internal/object", "internal/tracefs",
		},
		outside: []string{cobra, pflag, sys},
		why:     "cli connects the rooms through their front doors; it knows neither BPF nor the bytes of a record",
	},
	{
		dir:     "internal/tool",
		rooms:   []string{"internal/target", "internal/stream", "internal/print", "internal/profile", "internal/fileevent", "internal/tracefs", "internal/prog", "internal/kernel"},
		outside: []string{sys, cilium},
		object:  true,
		why:     "a ready tool ends in a prog.Spec and turns records into rows; attaching, instructions and the terminal are not its affair",
	},
	{
		dir:     "internal/tool/proc",
		rooms:   []string{"internal/tool", "internal/stream", "internal/print", "internal/prog"},
		outside: []string{sys, cilium},
		why:     "proc is a tool whose programs are in exec's object: the records of execs are the same",
	},
	{
		dir:     "internal/tool/malloc/allocator",
		rooms:   []string{"internal/kernel", "internal/symbol"},
		outside: []string{sys},
		why:     "which functions give a process its memory is read from /proc and ELF files; nothing is attached or shown here",
	},
	{
		dir:     "internal/tool/doctor",
		rooms:   []string{"internal/attach", "internal/print", "internal/prog", "internal/kernel"},
		outside: []string{sys},
		why:     "doctor reports what kernel knows and attach has tried; it loads nothing by itself",
	},
	{
		dir: "internal/script",
		rooms: []string{
			"internal/compile", "internal/compile/check", "internal/compile/types", "internal/compile/format",
			"internal/stream", "internal/print", "internal/profile", "internal/prog",
		},
		outside: []string{sys},
		why:     "a running script turns records into what the script says; it loads nothing, and knows no terminal and no addresses",
	},
	{
		dir:     "internal/object",
		rooms:   []string{"internal/print", "internal/prog", "internal/kernel"},
		outside: []string{cilium, cilium + "/asm", cilium + "/btf"},
		not:     []string{"os", "os/exec", "syscall", "net", "time", "path/filepath"},
		why:     "an object is bytes turned into a Spec, and records turned into values by the object's types; it opens nothing, and what it knows of the kernel comes through kernel.Target",
	},
	{
		dir:     "internal/compile",
		rooms:   []string{"internal/prog", "internal/kernel"},
		outside: []string{cilium, cilium + "/asm", cilium + "/btf"},
		not:     []string{"os", "os/exec", "net", "time", "path/filepath"}, // syscall names errors
		why:     "compile is pure: what it knows of the kernel comes through kernel.Target",
	},
	{
		dir:   "internal/compile/check",
		rooms: []string{"internal/compile/syntax", "internal/compile/types", "internal/compile/format", "internal/kernel"},
		not:   pure,
		why:   "check finds facts about a tree; it generates nothing",
	},
	{
		dir:     "internal/compile/codegen",
		rooms:   []string{"internal/compile/ir"},
		outside: []string{cilium + "/asm", cilium + "/btf"},
		not:     pure,
		why:     "codegen knows eBPF and the IR, and nothing of the language",
	},
	{
		dir: "internal/compile/ir",
		not: pure,
		why: "ir knows neither the language nor eBPF",
	},
	{
		dir: "internal/compile/syntax",
		not: pure,
		why: "syntax knows the language's form, and nothing of types, kernels and code",
	},
	{
		dir: "internal/compile/types",
		not: pure,
		why: "types are data: the checker, the lowering and the running script share them",
	},
	{
		dir: "internal/compile/format",
		not: pure,
		why: "format splits the texts of printf, and does nothing else",
	},
	{
		dir:     "internal/target",
		rooms:   []string{"internal/prog", "internal/kernel"},
		outside: []string{sys, cilium},
		why:     "target turns a choice of processes into constants and map entries of a Spec; it neither parses a command line, nor attaches, nor prints",
	},
	{
		dir:     "internal/attach",
		rooms:   []string{"internal/prog", "internal/kernel", "internal/symbol"},
		outside: []string{cilium + "/...", sys},
		loads:   true,
		why:     "attach owns the file descriptors; what is in a record and how it looks is not its affair",
	},
	{
		dir:     "internal/stream",
		rooms:   []string{"internal/prog"},
		outside: []string{cilium + "/...", sys},
		loads:   true,
		why:     "stream turns buffers into prog.Records; it knows no text and no symbols",
	},
	{
		dir:     "internal/print",
		rooms:   []string{"internal/prog"},
		outside: []string{sys}, // names of errors, O_ flags
		not:     []string{"os/exec", "net"},
		why:     "a sink sees rows and an io.Writer; it works the same without a kernel",
	},
	{
		dir:     "internal/fileevent",
		rooms:   []string{"internal/prog"},
		outside: []string{sys}, // names of errors, O_ flags
		not:     []string{"os/exec", "net"},
		why:     "a file event is bytes turned into the fields of a row; it knows neither where they came from nor how they look",
	},
	{
		dir:     "internal/tracefs",
		rooms:   []string{"internal/kernel"},
		outside: []string{sys},
		why:     "tracefs is a set of trace buffers of one's own; what their events mean is for others to know",
	},
	{
		dir: "internal/profile",
		not: []string{"os", "os/exec", "syscall", "net"},
		why: "a profile is names and numbers turned into bytes; it knows neither where they came from nor where they go",
	},
	{
		dir:     "internal/prog",
		outside: []string{cilium, cilium + "/asm", cilium + "/btf"},
		not:     []string{"os", "os/exec", "syscall", "net", "time"},
		why:     "prog is data only: the same source gives the same Spec on any kernel",
	},
	{
		dir:     "internal/kernel",
		outside: []string{cilium, cilium + "/asm", cilium + "/btf", sys},
		why:     "kernel reads facts from /proc, /sys and BTF; what has to be loaded or attached to be known is attach's",
	},
	{
		dir:     "internal/symbol",
		outside: []string{sys, "github.com/ianlancetaylor/demangle", "github.com/ulikunitz/xz/lzma"},
		why:     "symbol turns addresses into names from /proc and ELF files; BPF, records and the terminal are not its affair",
	},
}

// never holds what no room may import.
var never = map[string]string{
	"log":              "errors are returned, and only cli prints",
	cilium + "/rlimit": "its init calls bpf(2) in every process that links it; attach raises the limit when it loads",
}

// source is one Go file of a package, tests excluded.
type source struct {
	pkg, file string // pkg is the folder: "internal/cli"
	imports   []string
	loads     []string // what it uses of cilium/ebpf that needs a kernel: NewMap, Program, ...
}

// check returns one line for each import that the rules do not allow.
func check(sources []source) []string {
	var bad []string
	for _, s := range sources {
		if under(s.pkg, testOnly...) {
			continue
		}
		r := roomOf(s.pkg)
		if r == nil {
			bad = append(bad, fmt.Sprintf("%s: the folder %s is no room yet: give it a row in layers_test.go and a depguard rule", s.file, s.pkg))
			continue
		}
		for _, path := range s.imports {
			if why := r.refuses(s, path); why != "" {
				bad = append(bad, fmt.Sprintf("%s: room %s may not import %s: %s", s.file, r.dir, path, why))
			}
		}
		if r.loads || r.object && generated(s.file) {
			continue
		}
		for _, name := range s.loads {
			bad = append(bad, fmt.Sprintf("%s: room %s may not use ebpf.%s, only specs: %s", s.file, r.dir, name, r.why))
		}
	}
	return bad
}

// refuses returns why a file of the room may not import path, or nothing.
func (r *room) refuses(s source, path string) string {
	if why, found := never[path]; found {
		return why
	}
	first, _, _ := strings.Cut(path, "/")
	switch dir, inside := strings.CutPrefix(path, module+"/"); {
	case inside && under(dir, testOnly...):
		return "it is for tests only"
	case inside:
		// A room's folder may import what lies below it, and no sister.
		to := roomOf(dir)
		if under(dir, s.pkg) || to != nil && slices.Contains(r.rooms, to.dir) {
			return ""
		}
		return r.why
	case !strings.Contains(first, "."): // the standard library
		if slices.Contains(r.not, path) {
			return r.why
		}
		return ""
	}
	for _, allowed := range r.outside {
		tree, whole := strings.CutSuffix(allowed, "/...")
		if path == allowed || whole && under(path, tree) {
			return ""
		}
	}
	return r.why
}

func generated(file string) bool {
	return strings.HasSuffix(file, "_bpfel.go") || strings.HasSuffix(file, "_bpfeb.go")
}

// under says whether path is one of the folders or lies below one. "." means the root itself only.
func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

func roomOf(dir string) *room {
	var best *room
	for i := range rooms {
		if r := &rooms[i]; under(dir, r.dir) && (best == nil || len(r.dir) > len(best.dir)) {
			best = r
		}
	}
	return best
}

func layerOf(dir string) int {
	best, length := -1, -1
	for i, line := range layers {
		for _, folder := range line {
			if under(dir, folder) && len(folder) > length {
				best, length = i, len(folder)
			}
		}
	}
	return best
}

func TestLayers(t *testing.T) {
	// -e: a forbidden import is told even where it stops the package from compiling.
	packages := goList(t, "-e", "./...")
	var sources []source
	for _, p := range packages {
		// IgnoredGoFiles are those of other machines and build tags.
		for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			sources = append(sources, readSource(t, p, name))
		}
	}
	if len(sources) < 10 {
		t.Fatalf("go list found only %d files", len(sources))
	}
	for _, line := range check(sources) {
		t.Error(line)
	}
}

// The table itself keeps the sentence: no row allows a room of its own line or of an earlier one.
func TestTableKeepsTheSentence(t *testing.T) {
	for _, r := range rooms {
		from := layerOf(r.dir)
		if from < 0 {
			t.Errorf("room %s is on no line of layers", r.dir)
		}
		for _, to := range r.rooms {
			if layerOf(to) <= from {
				t.Errorf("the row of %s allows %s, which is not on a later line of layers", r.dir, to)
			}
		}
		if r.why == "" {
			t.Errorf("the row of %s gives no reason", r.dir)
		}
	}
	config, err := os.ReadFile(".golangci.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rooms {
		if !bytes.Contains(config, []byte(`"**/`+r.dir+`/`)) {
			t.Errorf(".golangci.yaml has no depguard rule for %s", r.dir)
		}
	}
}

// The check has teeth: each of these fabricated files has one forbidden import and is refused with file, room,
// import and reason; each of the allowed ones passes.
func TestCheckRefuses(t *testing.T) {
	tests := []struct {
		pkg, file, path string
		want            string // empty: allowed
	}{
		{"cmd/sonde", "main.go", "sonde/internal/print", "main passes"},
		{"internal/cli", "run.go", cilium, "neither BPF"},
		{"internal/cli", "run.go", "sonde/internal/vmtest", "for tests only"},
		{"internal/tool/exec", "exec.go", "sonde/internal/attach", "ends in a prog.Spec"},
		{"internal/tool/exec", "exec_x86_bpfel.go", cilium + "/link", "ends in a prog.Spec"},
		{"internal/tool/exec", "exec.go", "sonde/internal/tool/doctor", "ends in a prog.Spec"},
		{"internal/tool/doctor", "doctor.go", cilium, "loads nothing"},
		{"internal/target", "flags.go", cobra, "parses a command line"},
		{"internal/attach", "session.go", "sonde/internal/stream", "owns the file descriptors"},
		{"internal/stream", "ring.go", "sonde/internal/print", "knows no text"},
		{"internal/print", "json.go", "sonde/internal/kernel", "without a kernel"},
		{"internal/print", "json.go", "github.com/unknown/module", "without a kernel"},
		{"internal/prog", "spec.go", cilium + "/link", "data only"},
		{"internal/prog", "spec.go", "os", "data only"},
		{"internal/kernel", "btf.go", cilium + "/link", "attach's"},
		{"internal/kernel", "btf.go", "sonde/internal/prog", "attach's"},
		{"internal/symbol", "elf.go", cilium, "from /proc and ELF files"},
		{"internal/attach", "load.go", cilium + "/rlimit", "in every process"},
		{"internal/stream", "ring.go", "log", "only cli prints"},
		{"internal/attic", "a.go", "fmt", "is no room yet"},

		{"cmd/sonde", "main.go", "sonde/internal/cli", ""},
		{"internal/tool", "tool.go", "sonde/internal/tool/exec", ""},
		{"internal/tool/exec", "exec.go", cilium, ""},
		{"internal/tool/doctor", "doctor.go", "sonde/internal/attach", ""},
		{"internal/attach", "link.go", cilium + "/link", ""},
		{"internal/prog", "spec.go", cilium + "/btf", ""},
		{"internal/vmtest", "boot.go", "sonde/internal/print", ""},
	}
	for _, tt := range tests {
		file := tt.pkg + "/" + tt.file
		got := check([]source{{pkg: tt.pkg, file: file, imports: []string{"fmt", tt.path}}})
		switch {
		case tt.want == "" && len(got) != 0:
			t.Errorf("%s importing %s is refused: %v", file, tt.path, got)
		case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want) || !strings.HasPrefix(got[0], file)):
			t.Errorf("%s importing %s: got %q, want one line with %q", file, tt.path, got, tt.want)
		}
	}

	loads := []struct {
		file    string
		refused bool
	}{
		{"internal/tool/exec/spec.go", true},
		{"internal/tool/exec/bpf_x86_bpfel.go", false},
		{"internal/tool/doctor/bpf_x86_bpfel.go", true},
		{"internal/target/target.go", true},
		{"internal/attach/session.go", false},
	}
	for _, tt := range loads {
		got := check([]source{{pkg: filepath.Dir(tt.file), file: tt.file, loads: []string{"NewMap"}}})
		if refused := len(got) == 1 && strings.Contains(got[0], "ebpf.NewMap"); refused != tt.refused {
			t.Errorf("%s using ebpf.NewMap: got %q", tt.file, got)
		}
	}
}

func TestReadSource(t *testing.T) {
	p := goPackage{ImportPath: "sonde/internal/target", Dir: t.TempDir()}
	text := "package target\nimport e \"github.com/cilium/ebpf\"\nvar spec e.MapSpec\nvar m, err = e.NewMap(&spec)\n"
	if err := os.WriteFile(filepath.Join(p.Dir, "a.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	want := source{"internal/target", "internal/target/a.go", []string{cilium}, []string{"NewMap"}}
	if diff := cmp.Diff(want, readSource(t, p, "a.go"), cmp.AllowUnexported(source{})); diff != "" {
		t.Error(diff)
	}
}

// Every package says what it is for and, in a room, what it may touch.
func TestPackageComments(t *testing.T) {
	for _, p := range goList(t, "-e", "./...") {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.folder())
		}
	}
}

// What is linked into the binary, through however many steps.
func TestBinaryDependencies(t *testing.T) {
	packages := goList(t, "-deps", "./cmd/sonde")
	for _, p := range packages {
		if why, found := never[p.ImportPath]; found && p.ImportPath != "log" { // libraries may log
			t.Errorf("the binary contains %s: %s", p.ImportPath, why)
		}
		if p.Module.Path == module && under(p.folder(), testOnly...) {
			t.Errorf("the binary contains %s, which is for tests only", p.ImportPath)
		}
	}
}

type goPackage struct {
	ImportPath, Dir, Doc    string
	GoFiles, IgnoredGoFiles []string
	Module                  struct{ Path string }
}

func (p *goPackage) folder() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Doc,GoFiles,IgnoredGoFiles,Module"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func readSource(t *testing.T, p goPackage, name string) source {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s := source{pkg: p.folder(), file: filepath.Join(p.folder(), name)}
	ebpf := ""
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		s.imports = append(s.imports, path)
		if path == cilium {
			ebpf = "ebpf"
			if spec.Name != nil {
				ebpf = spec.Name.Name
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && ebpf != "" && x.Name == ebpf && needsKernel(sel.Sel.Name) {
				s.loads = append(s.loads, sel.Sel.Name)
			}
		}
		return true
	})
	return s
}

// needsKernel says whether a name of package cilium/ebpf makes or is an object of the kernel.
func needsKernel(name string) bool {
	return slices.Contains([]string{"Map", "Program", "Collection", "LoadCollection"}, name) ||
		strings.HasPrefix(name, "New") || strings.HasPrefix(name, "LoadPinned")
}
