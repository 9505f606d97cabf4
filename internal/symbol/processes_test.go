package symbol

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const helperName = "sonde/internal/symbol.helperFunction"

func newProcesses(t *testing.T) *Processes {
	p := NewProcesses()
	t.Cleanup(p.Close)
	return p
}

func TestProcessLookup(t *testing.T) {
	h := startHelper(t, "/proc/self/exe", nil)
	addr := h.ask("function")
	p := newProcesses(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want := Frame{Name: helperName, Mangled: helperName, Module: self, Ok: true}
	if diff := cmp.Diff(want, p.Lookup(h.pid, addr)); diff != "" {
		t.Error(diff)
	}
	for _, unknown := range []uint64{0, 1, 0xffffffff81000000, 1<<64 - 1} {
		if diff := cmp.Diff(Frame{}, p.Lookup(h.pid, unknown)); diff != "" {
			t.Error(diff)
		}
	}
	if err := p.Observe(h.pid); err != nil {
		t.Error(err)
	}
	h.end()
	if err := p.Observe(h.pid); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if got := p.Lookup(h.pid, addr); got != want {
		t.Errorf("after the end: %+v", got)
	}
	p.Forget(h.pid)
	if got := p.Lookup(h.pid, addr); got.Ok {
		t.Errorf("after it was forgotten: %+v", got)
	}
}

// A short-lived program: built, run and deleted before anybody asks for a name.
func TestLookupAfterTheEnd(t *testing.T) {
	path := copyOfSelf(t)
	h := startHelper(t, path, nil)
	addr := h.ask("function")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p := newProcesses(t)
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	h.end()
	got := p.Lookup(h.pid, addr)
	if diff := cmp.Diff(Frame{Name: helperName, Mangled: helperName, Module: path, Ok: true}, got); diff != "" {
		t.Error(diff)
	}
}

// A library that is loaded later, and deleted, and gone with its process.
func TestKernelLookupInDeletedLibrary(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may open deleted files of others")
	}
	h := startHelper(t, "/proc/self/exe", nil)
	p := newProcesses(t)
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	library := write(t, t.TempDir(), "lib.so", string(testELF{textAddr: 0x2000, symtab: someSymbols}.bytes()))
	addr := h.ask("map " + library)
	if err := os.Remove(library); err != nil {
		t.Fatal(err)
	}
	want := Frame{Name: "first", Mangled: "first", Offset: 8, Module: library, Base: addr - 0x2000, Ok: true}
	if diff := cmp.Diff(want, p.Lookup(h.pid, addr+8)); diff != "" {
		t.Error(diff)
	}
	// In the library, but in no function.
	if diff := cmp.Diff(Frame{Module: library, Base: addr - 0x2000}, p.Lookup(h.pid, addr+0x18)); diff != "" {
		t.Error(diff)
	}
	h.end()
	if diff := cmp.Diff(want, p.Lookup(h.pid, addr+8)); diff != "" {
		t.Errorf("after the end: %s", diff)
	}
}

// After an exec the addresses of before still have their names.
func TestLookupAcrossExec(t *testing.T) {
	h := startHelper(t, "/proc/self/exe", nil)
	library := write(t, t.TempDir(), "lib.so", string(testELF{textAddr: 0x2000, symtab: someSymbols}.bytes()))
	before := h.ask("map " + library)
	p := newProcesses(t)
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	next := copyOfSelf(t)
	h.ask("exec " + next)
	// Of the new program, though nobody told of it and hardly any time went by.
	p.known[h.pid].checked = time.Now()
	if got := p.Lookup(h.pid, h.ask("map "+library)); got.Name != "first" {
		t.Errorf("new library: %+v", got)
	}
	addr := h.ask("function")
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	if got := p.Lookup(h.pid, addr); got.Name != helperName || got.Module != next {
		t.Errorf("new program: %+v", got)
	}
	if got := p.Lookup(h.pid, before); got.Name != "first" {
		t.Errorf("old program: %+v", got)
	}
	if n := len(p.known[h.pid].images); n != 2 {
		t.Errorf("%d programs are known", n)
	}
}

// Another process under the same ID is noticed by when it began.
func TestProcessIDUsedAgain(t *testing.T) {
	h := startHelper(t, "/proc/self/exe", nil)
	addr := h.ask("function")
	p := newProcesses(t)
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	p.known[h.pid].newest().birth.started--
	p.known[h.pid].newest().mappings = nil
	if got := p.Lookup(h.pid, addr); got.Name != helperName {
		t.Errorf("got %+v", got)
	}
	if n := len(p.known[h.pid].images); n != 2 {
		t.Errorf("%d programs are known", n)
	}
}

// Addresses that are nowhere do not make us read maps all the time.
func TestRereadsAreRare(t *testing.T) {
	h := startHelper(t, "/proc/self/exe", nil)
	h.ask("function")
	p := newProcesses(t)
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	p.known[h.pid].newest().cost = time.Hour
	for range 100 {
		p.Lookup(h.pid, 1)
		p.known[h.pid].newest().cost = time.Hour
	}
	if n := p.known[h.pid].newest().rereads; n != freeRereads {
		t.Errorf("read again %d times", n)
	}
}

func TestJIT(t *testing.T) {
	h := startHelper(t, "/proc/self/exe", nil)
	p := newProcesses(t)
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	perf := fmt.Sprintf("/tmp/perf-%d.map", h.pid)
	t.Cleanup(func() { os.Remove(perf) })
	unnamed := h.ask("jit")
	if got := p.Lookup(h.pid, unnamed); got != (Frame{}) {
		t.Errorf("got %+v", got)
	}
	addr := h.ask("jit LazyCompile:*work /srv/app.js:12") + 0x100
	want := Frame{
		Name: "LazyCompile:*work /srv/app.js:12", Mangled: "LazyCompile:*work /srv/app.js:12", Offset: 4, Module: perf, Ok: true,
	}
	if diff := cmp.Diff(want, p.Lookup(h.pid, addr+4)); diff != "" {
		t.Error(diff)
	}
	// The JIT goes on.
	f, err := os.OpenFile(perf, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "%x 40 later\n", addr+0x40)
	f.Close()
	var got Frame
	for deadline := time.Now().Add(10 * time.Second); got.Name != "later" && time.Now().Before(deadline); {
		got = p.Lookup(h.pid, addr+0x40) // the map is not read again at once
	}
	if got.Name != "later" {
		t.Errorf("got %+v", got)
	}
	h.end()
	os.Remove(perf)
	if diff := cmp.Diff(want, p.Lookup(h.pid, addr+4)); diff != "" {
		t.Error(diff)
	}
}

// What a third user leaves in /tmp is not read, nor what a link leads to.
func TestKernelForeignPerfMap(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has processes of others")
	}
	const user, other = 54321, 54322
	path := copyOfSelf(t)
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if dir != os.TempDir() {
			os.Chmod(dir, 0o755)
		}
	}
	h := startHelper(t, path, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}})
	addr := h.ask("jit")
	perf := fmt.Sprintf("/tmp/perf-%d.map", h.pid)
	t.Cleanup(func() { os.Remove(perf) })
	text := fmt.Sprintf("%x 40 made_up\n", addr)
	find := func() string {
		p := newProcesses(t)
		return p.Lookup(h.pid, addr).Name
	}
	own := write(t, t.TempDir(), "map", text)
	for _, owner := range []int{user, other} {
		os.Remove(perf)
		if err := os.WriteFile(perf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(perf, owner, owner); err != nil {
			t.Fatal(err)
		}
		if got := find() == "made_up"; got != (owner == user) {
			t.Errorf("map of %d is read: %v", owner, got)
		}
	}
	os.Remove(perf)
	if err := os.Symlink(own, perf); err != nil {
		t.Fatal(err)
	}
	if got := find(); got != "" {
		t.Errorf("through a link: %q", got)
	}
	os.Remove(perf)
	if err := unix.Mkfifo(perf, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := find(); got != "" {
		t.Errorf("from a pipe: %q", got)
	}
}

func TestVDSO(t *testing.T) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mappings, err := readMaps(f)
	if err != nil {
		t.Fatal(err)
	}
	p := newProcesses(t)
	for _, m := range mappings {
		if m.path != "[vdso]" {
			continue
		}
		p.Lookup(uint32(os.Getpid()), m.start)
		var names []string
		for _, f := range p.vdso.functions.functions {
			frame := p.Lookup(uint32(os.Getpid()), m.start+f.addr+1)
			if frame.Module != "[vdso]" || frame.Offset != 1 || frame.Base != m.start {
				t.Errorf("got %+v", frame)
			}
			names = append(names, frame.Name)
		}
		if !strings.Contains(strings.Join(names, " "), "clock_gettime") {
			t.Errorf("the vdso has %v", names)
		}
		return
	}
	t.Skip("no vdso")
}

func TestProbeFile(t *testing.T) {
	dir := t.TempDir()
	fixed := write(t, dir, "fixed", string(testELF{kind: 2, textAddr: 0x402000, symtab: []testSymbol{{"f", fun, global, 1, 0x402010, 8}}}.bytes()))
	moving := write(t, dir, "moving", string(testELF{textAddr: 0x2000, symtab: someSymbols}.bytes()))
	p := newProcesses(t)
	const nobody = 1<<22 + 1 // more than the kernel gives
	if err := errors.Join(p.AddProbe(moving), p.AddProbe(fixed)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Frame{Name: "f", Mangled: "f", Offset: 2, Module: fixed, Ok: true}, p.Lookup(nobody, 0x402012)); diff != "" {
		t.Error(diff)
	}
	for _, addr := range []uint64{0x2000, 0x402018} {
		if got := p.Lookup(nobody, addr); got != (Frame{}) {
			t.Errorf("%#x: %+v", addr, got)
		}
	}
	for _, bad := range []string{filepath.Join(dir, "none"), dir, write(t, dir, "text", "text")} {
		if err := p.AddProbe(bad); err == nil {
			t.Error(bad)
		}
	}
}

// Files that are not at the same place in every process are told apart by where in a page their probes lie.
func TestProbedFunctions(t *testing.T) {
	dir := t.TempDir()
	symbols := func(name string, addr uint64) []testSymbol { return []testSymbol{{name, fun, global, 1, addr, 8}} }
	p := newProcesses(t)
	for name, file := range map[string]testELF{
		"fixed":   {kind: 2, textAddr: 0x402000, symtab: symbols("f", 0x402010)},
		"another": {kind: 2, textAddr: 0x402000, symtab: symbols("other", 0x402010)},
		"moving":  {textAddr: 0x2000, symtab: append(symbols("m", 0x2020), symbols("n", 0x2030)...)},
		"same":    {textAddr: 0x2000, symtab: symbols("n2", 0x2030)},
	} {
		offsets := map[string][]uint64{"fixed": {testTextOffset + 0x10}, "moving": {testTextOffset + 0x20, testTextOffset + 0x30}, "same": {testTextOffset + 0x30}}
		if err := p.AddProbe(write(t, dir, name, string(file.bytes())), offsets[name]...); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 1<<22 + 1
	for addr, want := range map[uint64]string{
		0x402010: "f", 0x7f0000000020: "m", 0x55555020: "m",
		0x403010:   "", // the file is not mapped there
		0x55550030: "", // one of two
		0x55550028: "", // no probe
	} {
		if got := p.LookupProbed(nobody, addr); got.Name != want {
			t.Errorf("%#x: %+v, want %q", addr, got, want)
		}
	}
	if got := p.Lookup(nobody, 0x402010); got != (Frame{}) {
		t.Errorf("two files have something there, and it is %+v", got)
	}
}

func TestByBuildID(t *testing.T) {
	id := [20]byte([]byte("\x01\x0223456789abcdefghij"))
	short := [20]byte{1, 2, 3, 4}
	file := testELF{textAddr: 0x2000, symtab: someSymbols, buildID: id[:]}
	h := startHelper(t, "/proc/self/exe", nil)
	dir := t.TempDir()
	library := write(t, dir, "lib.so", string(file.bytes()))
	h.ask("map " + library)
	p := newProcesses(t)
	if got := p.ByBuildID(id, 0x1008); got != (Frame{}) {
		t.Errorf("before it is seen: %+v", got)
	}
	if err := p.Observe(h.pid); err != nil {
		t.Fatal(err)
	}
	want := Frame{Name: "first", Mangled: "first", Offset: 8, Module: library, Ok: true}
	for range 2 {
		if diff := cmp.Diff(want, p.ByBuildID(id, 0x1008)); diff != "" {
			t.Error(diff)
		}
	}
	if got := p.ByBuildID(id, 0x100000); got != (Frame{Module: library}) {
		t.Errorf("outside: %+v", got)
	}
	// A short ID comes with zeros behind.
	file.buildID = short[:4]
	if err := os.MkdirAll(filepath.Join(dir, "debug/.build-id/01"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.files.debug = debugDirs{filepath.Join(dir, "debug")}
	debug := write(t, dir, "debug/.build-id/01/020304.debug", string(file.bytes()))
	if got := p.ByBuildID(short, 0x1008); got.Name != "first" || got.Module != debug {
		t.Errorf("got %+v", got)
	}
	if got := p.ByBuildID([20]byte{}, 0x1008); got != (Frame{}) {
		t.Errorf("no build ID: %+v", got)
	}
}

// More files than are kept open: those that are gone are read in time.
func TestManyFiles(t *testing.T) {
	p := newProcesses(t)
	dir := t.TempDir()
	image := testELF{textAddr: 0x2000, symtab: someSymbols}.bytes()
	var all []*file
	for i := range 2*maxOpenFiles + 10 {
		path := write(t, dir, fmt.Sprint(i), string(image)+fmt.Sprint(i))
		f, info, err := openRegular(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.files.hold(f, info, path))
		if i%2 == 0 {
			os.Remove(path)
		}
		if p.files.opened > maxOpenFiles {
			t.Fatalf("%d files are open", p.files.opened)
		}
	}
	for i, f := range all {
		if frame, _, _ := p.files.frame(f, 0x1008); frame.Name != "first" {
			t.Errorf("file %d: %+v", i, frame)
		}
	}
	if p.files.opened != 0 {
		t.Errorf("%d files are still open", p.files.opened)
	}
}

// Of tables beyond the cap those used last stay, the others are read again.
func TestForgottenTables(t *testing.T) {
	p := newProcesses(t)
	path := write(t, t.TempDir(), "x", string(testELF{textAddr: 0x2000, symtab: someSymbols}.bytes()))
	f, info, err := openRegular(path)
	if err != nil {
		t.Fatal(err)
	}
	held := p.files.hold(f, info, path)
	p.files.load(held)
	big := &file{functions: &table{names: make([]byte, maxTables)}}
	p.files.forgetTables(big)
	if held.functions != nil {
		t.Error("the table is still there")
	}
	if frame, _, _ := p.files.frame(held, 0x1008); frame.Name != "first" {
		t.Errorf("got %+v", frame)
	}
	// Another file under the same path is not taken for it.
	held.functions = nil
	write(t, filepath.Dir(path), "x", string(testELF{textAddr: 0x2000, symtab: []testSymbol{{"other", fun, global, 1, 0x2000, 64}}}.bytes()))
	if frame, _, _ := p.files.frame(held, 0x1008); frame.Ok {
		t.Errorf("got %+v", frame)
	}
}

const cSource = `
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) static int local_one(int x) { return x + 1; }
__attribute__((noinline)) int global_one(int x) { return local_one(x) * 2; }
int main(void) { char c; printf("%lx %lx\n", (long)global_one, (long)printf); fflush(stdout); return read(0, &c, 1) < 0 ? 0 : global_one(1) & 0; }
`

// Programs as compilers and linkers make them, position independent or not, against the addresses that they tell themselves.
func TestCompiledPrograms(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	source := write(t, dir, "x.c", cSource)
	for _, flags := range []string{"-pie -fPIE", "-no-pie", "-static", "-pie -fPIE -Wl,-z,noseparate-code"} {
		t.Run(flags, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			if out, err := exec.Command(cc, append(strings.Fields(flags), "-O1", "-o", path, source)...).CombinedOutput(); err != nil {
				t.Skipf("%v: %s", err, out)
			}
			command := exec.Command(path)
			in, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			defer command.Wait()
			defer in.Close()
			var own, library uint64
			if _, err := fmt.Fscanf(out, "%x %x\n", &own, &library); err != nil {
				t.Fatal(err)
			}
			p := newProcesses(t)
			pid := uint32(command.Process.Pid)
			if got := p.Lookup(pid, own+1); got.Name != "global_one" || got.Offset != 1 || got.Module != path {
				t.Errorf("got %+v", got)
			}
			if got := p.Lookup(pid, library); !strings.HasSuffix(got.Name, "printf") || got.Offset != 0 {
				t.Errorf("got %+v", got)
			}
			functions, err := Functions(path, "local_one", false)
			if err != nil || len(functions) != 1 {
				t.Fatalf("%v %v", functions, err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if f := functions[0]; f.Offset == 0 || f.Offset+f.Size > uint64(len(data)) {
				t.Errorf("got %+v", f)
			}
		})
	}
}
