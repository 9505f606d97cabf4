package compile_test

import (
	"strings"
	"testing"
	"time"

	"sonde/internal/compile"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// FuzzCompile compiles whatever comes, for kernels that can do everything and for one that can do little. There may be
// errors, but none that says that the compiler is wrong.
func FuzzCompile(f *testing.F) {
	for _, probe := range append(probesToLoad, "tracepoint:syscalls:sys_enter_*", "kprobe:vfs_*", "iter:task", "end", "uprobe:libc:malloc") {
		for i, body := range anywhere {
			if i%len(probesToLoad) == 0 || probe == "begin" {
				f.Add(probe + " { " + body + " }")
			}
		}
	}
	for probe, bodies := range somewhere {
		for _, body := range bodies {
			f.Add(probe + " /pid > 1/ { " + body + " }")
		}
	}
	kernels := []kernel.Target{
		kernel.NewFixture(),
		kernel.NewFixture().Without(kernel.MayGoto, kernel.RdonlyCast, kernel.BpfLoop, kernel.FetchAtomics),
		kernel.NewFixture().Without(kernel.BTF, kernel.TaskBTF, kernel.RdonlyCast, kernel.ForEachMapElem, kernel.BootNS, kernel.RawTracepoint),
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		start := time.Now()
		defer func() {
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("took %v", d)
			}
		}()
		for i, k := range kernels {
			o := compile.Options{Warnings: i == 1}
			o.Unsafe = true
			p, diags := compile.Compile([]byte(text), "fuzz", k, o)
			bad := false
			for _, d := range diags {
				bad = bad || d.Severity == syntax.Error
				if strings.Contains(d.Message, "bug") {
					t.Errorf("kernel %d: %s", i, d.Message)
				}
			}
			if p == nil || !bad && p.Spec == nil || bad && p.Spec != nil {
				t.Errorf("kernel %d: the answer does not go with its errors", i)
			}
		}
	})
}
