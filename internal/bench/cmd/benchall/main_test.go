package main

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, args, fail string
	}{
		{"nothing", "", ""},
		{"the measures of scripts", "-only run -tools sonde,bpftrace-stable,clang", ""},
		{"the measures of opens", "-only open -tools sonde,opensnoop", ""},
		{"one of them", "-only run-flood", ""},
		{"everything", "-rounds 2 -only start,guest -tools sonde,bpfcc -readme R -json J -sonde S", ""},
		{"unknown measure", "-only start,speed", `-only: "speed" is none of start, storm, cost, size, guest, run, run-cost, run-flood, run-start, run-stop, run-compile, run-dump, open, open-flood, open-small, open-paced, open-start, proc, proc-storm, guard, guard-cost, malloc, malloc-cost, malloc-stacks`},
		{"unknown tool", "-tools gdb", `-tools: "gdb" is none of sonde, libbpf, bpftrace, bpfcc, bpftrace-stable, clang, opensnoop, opensnoop.bt, exitsnoop, mallocstacks`},
		{"no rounds", "-rounds 0", "-rounds 0: want 1 to 1000"},
		{"a word too many", "now", `unknown argument "now"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse(strings.Fields(test.args), io.Discard)
			if message := errorText(err); message != test.fail {
				t.Fatalf("error %q, want %q", message, test.fail)
			}
			if err == nil && (!filepath.IsAbs(got.sonde) || len(got.measures) == 0 || len(got.tools) == 0) {
				t.Errorf("got %+v", got)
			}
			for _, f := range families {
				if slices.Contains(got.measures, f.name) && !slices.Contains(got.measures, f.measures[0]) {
					t.Errorf("%s does not stand for its measures: %q", f.name, got.measures)
				}
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
