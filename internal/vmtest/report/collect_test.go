package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events string // one JSON event a line, p for the package
		want   []Result
	}{
		{"nothing", "", nil},
		{
			"one of each", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    need.go:30: kernel lacks kprobe_multi: not built in\n"}
{"Action":"output","Package":"p","Test":"TestC","Output":"--- SKIP: TestC (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}`,
			[]Result{
				{"6.1", "p", "TestA", Passed, ""},
				{"6.1", "p", "TestB", Failed, ""},
				{"6.1", "p", "TestC", Skipped, "kernel lacks kprobe_multi: not built in"},
			},
		},
		{
			"subtests stand for their test", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"run","Package":"p","Test":"TestA/y/z"}
{"Action":"fail","Package":"p","Test":"TestA/y/z"}
{"Action":"fail","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			[]Result{
				{"6.1", "p", "TestA/x", Passed, ""},
				{"6.1", "p", "TestA/y/z", Failed, ""},
			},
		},
		{
			"a test that fails besides its subtests", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}`,
			[]Result{{"6.1", "p", "TestA", Failed, ""}, {"6.1", "p", "TestA/x", Passed, ""}},
		},
		{
			"a slash in the name of a subtest", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x/1"}
{"Action":"pass","Package":"p","Test":"TestA/x/1"}
{"Action":"run","Package":"p","Test":"TestA/x/2"}
{"Action":"fail","Package":"p","Test":"TestA/x/2"}
{"Action":"fail","Package":"p","Test":"TestA"}`,
			[]Result{{"6.1", "p", "TestA/x/1", Passed, ""}, {"6.1", "p", "TestA/x/2", Failed, ""}},
		},
		{
			"cut off", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
not JSON`,
			[]Result{{"6.1", "p", "TestA/x", Failed, "did not end"}},
		},
		{
			"outside any test", `
{"Action":"output","Package":"p","Output":"panic: in TestMain\n"}
{"Action":"output","Package":"p","Output":"goroutine 1\n"}
{"Action":"fail","Package":"p"}
{"ImportPath":"q","Action":"build-output","Output":"q.go:1:1: syntax error\n"}
{"Action":"fail","Package":"q","FailedBuild":"q"}
{"Action":"fail","Package":"r"}
{"Action":"skip","Package":"no tests"}`,
			[]Result{
				{"6.1", "p", "", Failed, "panic: in TestMain"},
				{"6.1", "q", "", Failed, "does not build"},
				{"6.1", "r", "", Failed, "failed outside any test"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCollector("6.1")
			if err := c.Read(strings.NewReader(strings.TrimSpace(tt.events)), nil); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Results()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSkipReason(t *testing.T) {
	for _, tt := range []struct {
		output []string
		want   string
	}{
		{nil, "no reason given"},
		{[]string{"--- SKIP: TestA (0.00s)\n"}, "no reason given"},
		{[]string{"    a_test.go:1: looked\n", "    need.go:41: kernel lacks bpf_lsm: why\n", "--- SKIP: TestA (0.00s)\n"}, "kernel lacks bpf_lsm: why"},
		{[]string{"    a_test.go:1: one\n", "        two\n"}, "one two"},
		{[]string{"        sub_test.go:1: in a ", "subtest\n", "    --- SKIP: TestA/x (0.00s)\n"}, "in a subtest"},
	} {
		if got := skipReason(tt.output); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.output, got, tt.want)
		}
	}
}

func TestExpectAndFail(t *testing.T) {
	c := NewCollector("5.10")
	c.Add(Event{Action: "run", Package: "p", Test: "TestA"})
	c.Add(Event{Action: "pass", Package: "p", Test: "TestA"})
	c.Expect("p", []string{"TestA", "TestB"})
	c.Fail("", "no end after 10m0s")
	want := []Result{
		{"5.10", "p", "TestA", Passed, ""},
		{"5.10", "p", "TestB", Failed, "did not run"},
		{"5.10", "", "", Failed, "no end after 10m0s"},
	}
	if diff := cmp.Diff(want, c.Results()); diff != "" {
		t.Error(diff)
	}
}

func TestOutput(t *testing.T) {
	c := NewCollector("host")
	for range maxOutput + 10 {
		c.Add(Event{Action: "output", Package: "p", Test: "TestA", Output: "x\n"})
	}
	if got := strings.Count(c.Output("p", "TestA"), "\n"); got != maxOutput {
		t.Errorf("kept %d lines of an endless talker, want %d", got, maxOutput)
	}
	if got := c.Output("p", "TestB"); got != "" {
		t.Errorf("a test that never was said %q", got)
	}
}

func FuzzCollector(f *testing.F) {
	f.Add(`{"Action":"run","Package":"p","Test":"TestA/x"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestA"}`)
	f.Add(`{"Action":"fail","Package":"p","Test":"/"}`)
	f.Fuzz(func(t *testing.T, text string) {
		c := NewCollector("host")
		if err := c.Read(strings.NewReader(text), nil); err != nil {
			t.Error(err)
		}
		c.Results()
	})
}
