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

var (
	// Of a count, sum, min, max or avg as a number, and of a string that is searched for another that is no literal.
	readsOthers   = regexp.MustCompile(`\(@\w+\[[^]]*\]\)|\(int64\)@\w+\[|percpuhash`)
	searches      = regexp.MustCompile(`strcontains\([^,()]+, \$|strstr\([^,()]+, \$`)
	aggregateCall = regexp.MustCompile(`\b(count|sum|min|max|avg)\(`)
)

const (
	rawTracepointType = 17  // BPF_PROG_TYPE_RAW_TRACEPOINT
	lookupOfCPU       = 195 // bpf_map_lookup_percpu_elem
)

// needOf skips a test whose script uses what this kernel really lacks.
func needOf(t *testing.T, script string) {
	t.Helper()
	for _, n := range rowNeeds {
		if n.uses.MatchString(script) && !live.Has(n.feature) {
			t.Skipf("kernel lacks %s", n.feature)
		}
	}
	if readsOthers.MatchString(script) && aggregateCall.MatchString(script) && !live.Helper(rawTracepointType, lookupOfCPU) {
		t.Skip("kernel lacks bpf_map_lookup_percpu_elem")
	}
	if _, ok := live.Kfunc("bpf_strstr"); !ok && searches.MatchString(script) {
		t.Skip("kernel lacks the kfunc bpf_strstr")
	}
}

// need skips a row that this kernel cannot give.
func (r *row) need(t *testing.T) {
	t.Helper()
	needOf(t, r.script)
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
