package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/vmtest/report"
	"sonde/internal/vmtest/wire"
)

func TestParse(t *testing.T) {
	all := []string{"5.10", "6.1", "6.12", "7.2"}
	for _, tt := range []struct {
		args []string
		want options
	}{
		{nil, options{kernels: all, host: true, guest: true, timeout: 30 * time.Minute, parallel: runtime.NumCPU(), packages: []string{"./..."}}},
		{
			[]string{"-host=false", "-kernels", "6.1, 7.2,6.1", "-run", "TestA/b", "-timeout=1m", "-refresh", "-v", "-parallel=1", "./internal/x"},
			options{
				kernels: []string{"6.1", "7.2"}, guest: true, run: "TestA/b", timeout: time.Minute, refresh: true, parallel: 1,
				verbose: true, packages: []string{"./internal/x"},
			},
		},
		{[]string{"-guest=false", "-kernels=", "./..."}, options{host: true, timeout: 30 * time.Minute, parallel: runtime.NumCPU(), packages: []string{"./..."}}},
	} {
		got, err := parse(tt.args, io.Discard)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(options{})); diff != "" {
			t.Errorf("%q: %s", tt.args, diff)
		}
	}
	image := filepath.Join(t.TempDir(), "bzImage")
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{"image": {"-image", image}, "image 6.1": {"-image", image, "-kernels=6.1"}} {
		if got, err := parse(args, io.Discard); err != nil || strings.Join(got.kernels, " ") != want || got.image != image {
			t.Errorf("%q: kernels %q, image %q, %v", args, got.kernels, got.image, err)
		}
	}
	for _, args := range [][]string{
		{"-image", image + "2"}, {"-image", filepath.Dir(image)}, {"-image", image, "-kernels=image"},
		{"-kernels", "2.4"}, {"-kernels", ""}, {"-run", "("}, {"-run", "TestA/("}, {"-timeout=0"}, {"-parallel=0"}, {"-nonsense"},
	} {
		var said strings.Builder
		if _, err := parse(args, &said); err == nil || said.Len() == 0 {
			t.Errorf("%q: err %v, said %q", args, err, said.String())
		}
	}
}

func TestSelection(t *testing.T) {
	names := []string{"TestKernelOpen", "TestKernelOpenMany", "TestGuestKill"}
	for _, tt := range []struct {
		run        string
		names      []string
		expression string
	}{
		{"", names, "^(TestKernelOpen|TestKernelOpenMany|TestGuestKill)$"},
		{"Kernel", names[:2], "^(TestKernelOpen|TestKernelOpenMany)$"},
		{"TestKernelOpen$/sub/x y", names[:1], "^(TestKernelOpen)$/sub/x y"},
		{"Unit", nil, ""},
	} {
		got := matching(append([]string{}, names...), tt.run)
		if len(got) == 0 && len(tt.names) == 0 {
			continue
		}
		if diff := cmp.Diff(tt.names, got); diff != "" {
			t.Errorf("%q: %s", tt.run, diff)
		}
		expression := runExpression(got, tt.run)
		if expression != tt.expression {
			t.Errorf("%q: got %q, want %q", tt.run, expression, tt.expression)
		}
		if _, err := regexp.Compile(expression); err != nil {
			t.Error(err)
		}
	}
}

func TestOnKernel(t *testing.T) {
	names := []string{"TestKernelA", "TestGuestEndsB", "TestGuestC"}
	for kernel, want := range map[string][]string{
		"5.10": names, "7.2": names, "image": names, "6.1": {"TestKernelA", "TestGuestC"}, "6.12": {"TestKernelA", "TestGuestC"},
	} {
		if diff := cmp.Diff(want, onKernel(names, kernel)); diff != "" {
			t.Errorf("%s: %s", kernel, diff)
		}
	}
}

func TestFindGuestTests(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a_test.go":       "package p\nimport \"testing\"\nfunc TestUnit(t *testing.T) {}\nfunc TestKernelA(t *testing.T) {}\ntype x int\nfunc (x) TestKernelMethod(t *testing.T) {}\nfunc BenchmarkKernel(b *testing.B) {}\n",
		"b_guest_test.go": "//go:build guest\npackage p\nimport \"testing\"\nfunc TestGuestB(t *testing.T) {}\n",
		"x_test.go":       "package p_test\nimport \"testing\"\nfunc TestKernelX(t *testing.T) {} /* TestGuestNot */\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := guestTests(listed{Dir: dir, TestGoFiles: []string{"a_test.go", "b_guest_test.go"}, XTestGoFiles: []string{"x_test.go"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"TestKernelA", "TestGuestB", "TestKernelX"}, got); diff != "" {
		t.Error(diff)
	}
}

// A binary whose status says "failed" is a failure, even when no test of it says so.
func TestAccount(t *testing.T) {
	for _, tt := range []struct {
		name    string
		outcome string
		exit    wire.Exit
		want    []report.Result
	}{
		{"good", "pass", wire.Exit{}, nil},
		{"failed, as its test said", "fail", wire.Exit{Code: 1}, []report.Result{{Place: "6.1", Package: "p", Test: "TestA", Outcome: report.Failed}}},
		{"failed in silence", "pass", wire.Exit{Code: 2}, []report.Result{{Place: "6.1", Package: "p", Outcome: report.Failed, Reason: "its test binary ended with status 2"}}},
		{"killed", "pass", wire.Exit{Signal: 9}, []report.Result{{Place: "6.1", Package: "p", Outcome: report.Failed, Reason: "its test binary was killed by signal 9"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := report.NewCollector("6.1")
			c.Add(report.Event{Action: tt.outcome, Package: "p", Test: "TestA"})
			guest{kernel: "6.1", c: c}.account("p", tt.exit)
			var failed []report.Result
			for _, r := range c.Results() {
				if r.Outcome == report.Failed {
					failed = append(failed, r)
				}
			}
			if diff := cmp.Diff(tt.want, failed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLines(t *testing.T) {
	var b strings.Builder
	out := &shared{w: &b}
	one, two := out.lines("[1] "), out.lines("[2] ")
	for _, step := range []struct {
		to   *lines
		text string
	}{{one, "a"}, {two, "x\ny\nz"}, {one, "b\n\n"}, {two, "!"}} {
		if n, err := io.WriteString(step.to, step.text); n != len(step.text) || err != nil {
			t.Errorf("wrote %d of %q, %v", n, step.text, err)
		}
	}
	one.flush()
	two.flush()
	two.flush()
	if diff := cmp.Diff("[2] x\n[2] y\n[1] ab\n[1] \n[2] z!\n", b.String()); diff != "" {
		t.Error(diff)
	}
}

// A run must not be called good when it ran nothing.
func TestNothingRan(t *testing.T) {
	o := options{host: true, run: "TestThatDoesNotExist", timeout: time.Minute, packages: []string{"sonde/internal/vmtest/wire"}}
	var stdout strings.Builder
	ok, err := runAll(t.Context(), o, &stdout, io.Discard)
	if ok || err == nil || !strings.Contains(err.Error(), "nothing ran") {
		t.Errorf("got %v, %v", ok, err)
	}
	if !strings.HasSuffix(stdout.String(), "\n0 passed, 0 failed, 0 skipped\n") {
		t.Errorf("it ended with %q", stdout.String())
	}
}

func TestHostRun(t *testing.T) {
	o := options{host: true, timeout: 5 * time.Minute, packages: []string{"sonde/internal/vmtest/cpio"}}
	var stdout strings.Builder
	ok, err := runAll(t.Context(), o, &stdout, io.Discard)
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if !ok || err != nil || !regexp.MustCompile(`^[1-9]\d* passed, 0 failed, 0 skipped$`).MatchString(lines[len(lines)-1]) {
		t.Errorf("got %v, %v:\n%s", ok, err, stdout.String())
	}
}
