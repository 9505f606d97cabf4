package compile_test

import (
	"testing"

	"sonde/internal/compile"
	"sonde/internal/kernel"
)

func TestByThread(t *testing.T) {
	const enter, exit = "tracepoint:syscalls:sys_enter_openat", "tracepoint:syscalls:sys_exit_openat"
	const put = enter + " { @s[tid] = nsecs; } "
	const latency = put + exit + " /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s, tid); } "
	arm := kernel.NewFixture()
	arm.GOARCH = "arm64"
	for _, test := range []struct {
		name, script string
		target       kernel.Target
		options      compile.Options
		want         bool
	}{
		{name: "latency", script: latency, want: true},
		{name: "the older delete", script: put + exit + " { delete(@s[tid]); }", want: true},
		{name: "added to, tested", script: put + exit + " /has_key(@s, tid)/ { @s[tid] += 3; @s[tid]++; delete(@s, tid); }", want: true},
		{name: "cleared and shown at the end", script: latency + "end { print(@s); clear(@s); }", want: true},
		{name: "cleared before", script: latency + "interval:s:1 { clear(@s); }"},
		{name: "shown before", script: latency + "interval:s:1 { print(@s); }"},
		{name: "gone through at the end", script: latency + "end { for ($kv : @s) { print($kv.0); } }"},
		{name: "counted", script: latency + "end { print(len(@s)); }"},
		{name: "another key", script: latency + "begin { @s[1] = 1; }"},
		{name: "another key deleted", script: latency + "interval:s:1 { delete(@s, 1); }"},
		{name: "another key asked for", script: latency + "interval:s:1 { if (has_key(@s, 1)) { print(1); } }"},
		{name: "a key of two", script: put + exit + " { @p[pid, tid] = 1; delete(@p, (pid, tid)); }"},
		{name: "by process", script: enter + " { @s[pid] = nsecs; } " + exit + " { delete(@s, pid); }"},
		{name: "never deleted", script: put},
		{name: "texts", script: enter + " { @s[tid] = comm; } " + exit + " { print(@s[tid]); delete(@s, tid); }"},
		{name: "counts", script: enter + " { @s[tid] = count(); } " + exit + " { delete(@s, tid); }"},
		{name: "declared", script: "let @s = lruhash(10000); " + latency},
		{name: "small", script: "config = { max_map_keys = 100; } " + latency},
		{name: "look-ups that fail are told", script: latency, options: compile.Options{Warnings: true}},
		{name: "as written", script: latency, options: compile.Options{NoOptimize: true}},
		{name: "no atomics that return", script: latency, target: kernel.NewFixture().Without(kernel.FetchAtomics)},
		{name: "a machine that reorders stores", script: latency, target: arm},
	} {
		if test.target == nil {
			test.target = kernel.NewFixture()
		}
		p, diags := compile.Compile([]byte(test.script), "test", test.target, test.options)
		if p == nil || p.Spec == nil {
			t.Errorf("%s: %v", test.name, diags)
			continue
		}
		got := false
		for _, m := range p.Maps {
			got = got || m.Sets > 0
		}
		if got != test.want || got != (p.Spec.Collection.Maps[compile.Threads] != nil) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
