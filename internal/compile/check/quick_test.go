package check

import (
	"fmt"
	"os"
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

func TestQuick(t *testing.T) {
	text := os.Getenv("BT")
	if text == "" {
		t.Skip()
	}
	src := syntax.NewSource("-e", []byte(text))
	p, ds := syntax.Parse(src)
	var info *Info
	if len(ds) == 0 {
		var more []syntax.Diagnostic
		info, more = Check(p, src, kernel.NewFixture(), Options{Unsafe: os.Getenv("UNSAFE") != ""})
		ds = append(ds, more...)
	}
	for _, d := range ds {
		fmt.Println(src.Where(d.Span.Start), d.Severity, d.Message, "--", d.Hint)
	}
	if info != nil {
		fmt.Print(info.Dump())
	}
}
