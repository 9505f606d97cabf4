package check

import (
	"fmt"
	"strings"
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// BenchmarkAssignments checks a script of 2,000 map assignments.
func BenchmarkAssignments(b *testing.B) {
	var text strings.Builder
	text.WriteString("begin {\n")
	for i := range 2000 {
		fmt.Fprintf(&text, "@m[%d, \"a key of some length, number %d\"] = nsecs + %d;\n", i, i, i)
	}
	text.WriteString("}\n")
	benchmark(b, text.String())
}

// BenchmarkOneLiner checks what most scripts look like.
func BenchmarkOneLiner(b *testing.B) {
	benchmark(b, `tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args->filename)); }`)
}

func benchmark(b *testing.B, text string) {
	target := kernel.NewFixture()
	for b.Loop() {
		src := syntax.NewSource("bench", []byte(text))
		p, ds := syntax.Parse(src)
		_, more := Check(p, src, target, Options{})
		if len(ds)+len(more) > 0 {
			b.Fatal(ds, more)
		}
	}
}
