package langtest

import (
	"regexp"
	"strings"
	"testing"

	"sonde/internal/kernel"
)

// Some rows need what not every kernel has. What a script uses says so, better than a mark on each row would.
var rowNeeds = []struct {
	uses    *regexp.Regexp
	feature kernel.Feature
}{
	{regexp.MustCompile(`\bfor\s*\(?\s*\$\w+\s*:\s*@|\blen\(@`), kernel.ForEachMapElem},
	{regexp.MustCompile(`\.\.\s*\d{5,}|while \(1\)`), kernel.MayGoto},
	{regexp.MustCompile(`\btai\b|\bsw_tai\b`), kernel.KtimeTAI},
}

// need skips a row whose script uses what this kernel really lacks.
func (r *row) need(t *testing.T) {
	t.Helper()
	for _, n := range rowNeeds {
		if n.uses.MatchString(r.script) && !live.Has(n.feature) {
			t.Skipf("kernel lacks %s", n.feature)
		}
	}
	// Kernels differ in whether kallsyms has variables, and in the fields of their structs.
	if strings.HasPrefix(r.refused, "the kernel shows no symbol ") {
		if _, ok := live.Symbol(strings.TrimPrefix(r.refused, "the kernel shows no symbol ")); ok {
			t.Skip("this kernel shows its variables among its symbols")
		}
	}
	for _, m := range fieldOfTask.FindAllStringSubmatch(r.script, -1) {
		id, ok := live.Types().Find(kernel.BTFStruct, "task_struct")
		if _, has := live.Types().Field(id, m[1]); r.refused == "" && ok && !has {
			t.Skipf("this kernel has no field task_struct.%s", m[1])
		}
	}
}

var fieldOfTask = regexp.MustCompile(`\bcurtask(?:\.|->)(\w+)`)
