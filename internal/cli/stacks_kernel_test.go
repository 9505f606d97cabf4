package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// stackProgram is a program of testdata/stacks, copied to where it can be deleted.
func stackProgram(t *testing.T, name string) string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the programs are amd64's")
	}
	text, err := os.ReadFile(filepath.Join("testdata", "stacks", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Programs in C++, Rust and Go end at once; their whole stacks have names afterwards, with the functions that the compiler put into
// others, which the program's code does not call. The probes are behind the functions' first instructions, where every kernel
// walks the whole stack.
func TestKernelStacksOfEndedPrograms(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	const (
		put  = "_ZN4work5StoreIiE3putEi+8"
		keep = "_RNvXCsic7yGw43kqc_5shelfINtB2_5ShelfKj4_ENtB2_4Keep3putB2_+4"
	)
	for _, c := range []struct{ program, probe, want string }{
		{"store-5", put, "_start;begin;work::run(work::Store<int>&, int);fill;work::Store<int>::twice(int);work::Store<int>::put(int) 6\n" +
			"_start;begin;work::run(work::Store<int>&, int);work::Store<int>::put(int) 1\n"},
		{"store-4", put, "_start;begin;work::run(work::Store<int>&, int);fill;work::Store<int>::twice(int);work::Store<int>::put(int) 6\n" +
			"_start;begin;work::run(work::Store<int>&, int);work::Store<int>::put(int) 1\n"},
		{"shelf", keep, "_start;begin;shelf::run;shelf::fill::<shelf::Shelf<4>>;shelf::fill::<shelf::Shelf<4>>::{closure#0};<shelf::Shelf<4> as shelf::Keep>::put 2\n"},
	} {
		t.Run(c.program, func(t *testing.T) {
			path := stackProgram(t, c.program)
			got := runScriptFor(t, "sonde", "run", "-q", "--folded", "-", "-e", "config = { print_maps_on_exit = false } uprobe:"+path+":"+c.probe+" { @[ustack] = count(); }", "-c", path)
			if got.status != 0 || got.stderr != "" || got.stdout != "\n\n"+c.want {
				t.Errorf("status %d, stderr %q, stdout\n%swant\n%s", got.status, got.stderr, got.stdout, c.want)
			}
		})
	}
	t.Run("go", func(t *testing.T) {
		calls := callsProgram(t)
		got := runScriptFor(t, "sonde", "run", "-q", "--folded", "-", "-e",
			expand(`config = { print_maps_on_exit = false } uprobe:PATH:LEAF { @[ustack, comm] = count(); }`, calls), "-c", calls+" 3 1")
		want := regexp.MustCompile(`^\n\nrole-calls;runtime\.goexit;runtime\.main;main\.main;(.*;)?sonde/internal/cli\.roleCalls;sonde/internal/cli\.calledOuter;(sonde/internal/cli\.calledMiddle;)?sonde/internal/cli\.calledLeaf 3\n$`)
		if got.status != 0 || got.stderr != "" || !want.MatchString(strings.ReplaceAll(got.stdout, ".abi0", "")) {
			t.Errorf("status %d, stderr %q, stdout\n%s", got.status, got.stderr, got.stdout)
		}
	})
}

// All three forms at once, of two maps: a picture for each, one profile for both; what go tool pprof reads of it.
func TestKernelProfilesOfMaps(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	path, dir := stackProgram(t, "store-5"), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	script := `uprobe:` + path + `:_ZN4work5StoreIiE3putEi+8 { @[ustack, comm] = count(); @asked_bytes[ustack(2)] = sum(100); @other = count(); }`
	got := runScriptFor(t, "sonde", "run", "-q", "--flame", at("x.svg"), "--folded", at("x.txt"), "--pprof", at("x.pb.gz"), "-e", script, "-c", path)
	if got.status != 0 || got.stderr != "" {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	for name, wants := range map[string][]string{
		"x.svg":             {"<title>@[ustack, comm]</title>", "samples: 7 in 3 stacks", "work::Store&lt;int&gt;::put(int)"},
		"x.asked_bytes.svg": {"<title>@asked_bytes[ustack(2)]</title>", "asked_bytes: 700 bytes in 3 stacks", "[more frames]"},
		"x.txt":             {"store-5;_start;begin;", " 6\n", " 1\n"},
		"x.asked_bytes.txt": {"[more frames];work::run(work::Store<int>&, int);work::Store<int>::put(int) 100\n", " 600\n"},
	} {
		text, err := os.ReadFile(at(name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: no %q in\n%.3000s", name, want, text)
			}
		}
	}
	if vmtest.Guest() != "" {
		return // no Go there
	}
	out, err := exec.Command("go", "tool", "pprof", "-traces", at("x.pb.gz")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"Type: samples", "comm:  store-5", "3   work::Store<int>::put(int)", "fill (inline)", "_start"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A full map is told of in the forms, and exit() ends with them as well.
func TestKernelProfileNotes(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	path := stackProgram(t, "store-5")
	got := runScriptFor(t, "sonde", "run", "-q", "--folded", "-", "-e",
		`let @ = hash(1); uprobe:`+path+`:_ZN4work5StoreIiE3putEi+8 { @[ustack, arg1] = 1; if (arg1 == 3) { exit(); } }`, "-c", path)
	if !strings.Contains(got.stdout, " values were lost: a map was full.\n") || !strings.Contains(got.stdout, "arg1=0;_start;begin;") {
		t.Errorf("status %d, stderr %q, stdout\n%s", got.status, got.stderr, got.stdout)
	}
}

// A signal ends the run with the forms written.
func TestKernelProfileAtSignal(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	calls, file := callsProgram(t), filepath.Join(t.TempDir(), "x.txt")
	p := begin(t, scriptCommand(t, "sonde", "run", "-q", "--folded", file, "-e",
		expand(`uprobe:PATH:LEAF { @[ustack] = count(); @n = count(); if (@n == 3) { printf("x\n"); } }`, calls), "-c", calls+" 100000 1"))
	p.line(t)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.rest(t)
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "main.main;") || !strings.Contains(string(text), "sonde/internal/cli.calledLeaf ") {
		t.Errorf("%v: %q; %s", err, text, p.stderr(t))
	}
}

func TestProfileFlags(t *testing.T) {
	for _, c := range []struct{ path, name, want string }{
		{"a.svg", "@", "a.svg"}, {"a.svg", "@x", "a.x.svg"}, {"/d.e/a", "@x", "/d.e/a.x"}, {"-", "@x", "-"},
	} {
		if got := fileOfMap(c.path, c.name, 2); got != c.want {
			t.Errorf("%s of %s: got %s, want %s", c.path, c.name, got, c.want)
		}
	}
	if got := fileOfMap("a.svg", "@x", 1); got != "a.svg" {
		t.Errorf("got %s", got)
	}
}

func TestKernelProfileWithoutStacks(t *testing.T) {
	needScripts(t)
	got := runScriptFor(t, "sonde", "run", "--flame", "/nonexistent/x.svg", "-e", `begin { @[1] = count(); @s[kstack] = "text"; exit(); }`)
	if want := "--flame: no map of the script has a stack in its key"; got.status != exitUsage || !strings.Contains(got.stderr, want) {
		t.Errorf("status %d, stderr %q; want %d, %q", got.status, got.stderr, exitUsage, want)
	}
	got = runScriptFor(t, "sonde", "run", "--flame", "/nonexistent/x.svg", "-e", `begin { @[kstack] = count(); exit(); }`)
	if want := `cannot write to "/nonexistent/x.svg": its directory does not exist`; got.status != exitFailure || !strings.Contains(got.stderr, want) {
		t.Errorf("status %d, stderr %q; want %q", got.status, got.stderr, want)
	}
}
