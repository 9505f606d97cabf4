package workload

import (
	"bytes"
	"encoding/gob"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestHelper(t *testing.T) {
	tiny := filepath.Join(t.TempDir(), "tiny")
	if err := WriteTiny(tiny, runtime.GOARCH); err != nil {
		t.Fatal(err)
	}
	fails, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, args, fail string }{
		{"a storm", "storm " + tiny + " t 3 2 0s", ""},
		{"a trickle", "storm " + tiny + " t 3 2 1ms", ""},
		{"marks until their input ends", "mark " + tiny + " t 0 0 0s", ""},
		{"too few words", "storm", "want KIND"},
		{"no such work", "sing " + tiny + " t 1 1 0s", "no such kind"},
		{"no count", "storm " + tiny + " t x 1 0s", "want a count"},
		{"too many arguments", "storm " + tiny + " t 1 100001 0s", "want a number of arguments"},
		{"no pace", "storm " + tiny + " t 1 1 soon", "want a pace"},
		{"a missing program", "storm /nonexistent/tiny t 1 1 0s", "no such file"},
		{"a program that fails", "storm " + fails + " t 1 1 0s", "wait status 0x100"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			status := Main(strings.Fields(test.args), strings.NewReader(""), &out, &errs)
			if (status != 0) != (test.fail != "") || !strings.Contains(errs.String(), test.fail) {
				t.Errorf("status %d, said %q; want %q", status, errs.String(), test.fail)
			}
		})
	}
}

func TestHelperTimes(t *testing.T) {
	tiny := filepath.Join(t.TempDir(), "tiny")
	if err := WriteTiny(tiny, runtime.GOARCH); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if status := Main([]string{"time", tiny, "t", "5", "0", "0s"}, strings.NewReader(""), &out, &errs); status != 0 {
		t.Fatal(errs.String())
	}
	var samples []Sample
	if err := gob.NewDecoder(&out).Decode(&samples); err != nil {
		t.Fatal(err)
	}
	if len(samples) != 5 {
		t.Fatalf("%d samples, want 5", len(samples))
	}
	for _, s := range samples {
		if s.Wall <= 0 || s.CPU < 0 {
			t.Errorf("a sample of nothing: %+v", s)
		}
	}
}

func TestArguments(t *testing.T) {
	args := Arguments(1000)
	seen := map[string]bool{}
	for _, a := range args {
		if len(a) != 6 {
			t.Errorf("%q: want six bytes", a)
		}
		seen[a] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d distinct arguments, want 1000", len(seen))
	}
}
