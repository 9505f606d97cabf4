package compile_test

import (
	"testing"

	"sonde/internal/compile"
	"sonde/internal/kernel"
)

func TestPreallocation(t *testing.T) {
	const noPrealloc = 1
	const enter, exit = "tracepoint:syscalls:sys_enter_openat", "tracepoint:syscalls:sys_exit_openat"
	latency := enter + " { @s[tid] = nsecs; } " + exit + " /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s, tid); }"
	for _, test := range []struct {
		name, script string
		old          bool
		want         bool // that elements are made when they come
	}{
		{"put in and deleted by system calls", latency, false, true},
		{"a kernel before 6.1", latency, true, false},
		{"never deleted", enter + " { @s[tid] = nsecs; }", false, false},
		{"shown in between", latency + " interval:s:1 { print(@); }", false, true},
		{"emptied in between", latency + " interval:s:1 { clear(@s); }", false, false},
		{"filled at the start", latency + " begin { @s[1] = 1; }", false, false},
		{"elsewhere", "profile:hz:99 { @s[tid] = nsecs; } interval:s:1 { delete(@s, tid); }", false, false},
		{"in part elsewhere", latency + " tracepoint:sched:sched_process_exit { delete(@s, tid); }", false, false},
		{"the newest stay", "let @s = lruhash(100); " + latency, false, false},
	} {
		k := kernel.NewFixture()
		if test.old {
			k = k.Without(kernel.KtimeTAI)
		}
		p, diags := compile.Compile([]byte(test.script), "test", k, compile.Options{})
		if p == nil || p.Spec == nil {
			t.Errorf("%s: %v", test.name, diags)
			continue
		}
		for _, m := range p.Maps {
			if m.Name != "@s" {
				continue
			}
			if got := p.Spec.Collection.Maps[m.BPF].Flags&noPrealloc != 0; got != test.want {
				t.Errorf("%s: got %v, want %v", test.name, got, test.want)
			}
		}
	}
}
