package langtest

import (
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/compile/check"
	"sonde/internal/compile/codegen"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// randomEnv is for how long random scripts are tried, as a duration; randomSeed the first one.
const (
	randomEnv  = "SONDE_RANDOM"
	randomSeed = "SONDE_SEED"
)

// rounds calls f with seeds until the time is over, at least once. They are the same in every run, so that a change that is
// fine is not blamed for what a new seed finds; where a time is given they are new ones.
func rounds(t *testing.T, usual time.Duration, f func(seed uint64)) (n int) {
	t.Helper()
	last, seed := usual, uint64(1)
	if text := os.Getenv(randomEnv); text != "" {
		var err error
		seed = uint64(time.Now().UnixNano())
		if last, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", randomEnv, err)
		}
	}
	if text := os.Getenv(randomSeed); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", randomSeed, err)
		}
	}
	end := time.Now().Add(last)
	for ; n == 0 || time.Now().Before(end) && !t.Failed(); n++ {
		f(seed)
		seed++
	}
	return n
}

// verdict is what a comparison of the kernel with the interpreter found.
type verdict struct {
	fault string // what kind of fault there is, "" if there is none
	what  string // and which
	large bool   // the kernel or the compiler finds the script too long
}

// names are what differs between messages about one thing.
var names = regexp.MustCompile(`[$@]?\w*\d+`)

// like says whether two verdicts are of one kind.
func (v verdict) like(w verdict) bool {
	if v.fault != "refused" {
		return v.fault == w.fault
	}
	message := func(s string) string {
		_, s, _ = strings.Cut(s, "error: ")
		s, _, _ = strings.Cut(s, "\n")
		return names.ReplaceAllString(s, "")
	}
	return w.fault == v.fault && message(v.what) == message(w.what)
}

// compare runs a script in the kernel and in the interpreter. Only what is in how may be wrong with the compiler.
func compare(script string, how run) (v verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = verdict{fault: "panic", what: fmt.Sprintf("%v\n%s", r, debug.Stack())}
		}
	}()
	src := syntax.NewSource("random", []byte(script))
	tree, diags := syntax.Parse(src)
	for _, d := range diags {
		if d.Severity == syntax.Error {
			return verdict{fault: "syntax", what: src.Render(d, false)}
		}
	}
	want, err := interpret(tree)
	if err != nil {
		return verdict{large: true}
	}
	how.quiet = true
	how.Options.Options = check.Options{Settings: map[string]string{"print_maps_on_exit": "false"}}
	got, err := execute(script, how)
	switch {
	case err != nil && (strings.Contains(err.Error(), "too large") || strings.Contains(err.Error(), "too complex")):
		return verdict{large: true}
	case err != nil:
		return verdict{fault: "kernel", what: err.Error()}
	case strings.Contains(got.refused, "bytes of stack"):
		return verdict{large: true}
	case got.refused != "":
		return verdict{fault: "refused", what: got.refused}
	case got.lost > 0:
		return verdict{fault: "lost", what: fmt.Sprintf("%d records were lost", got.lost)}
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got.out, "\n")); diff != "" {
		return verdict{fault: "output", what: "interpreter (-) and kernel (+) differ:\n" + diff}
	}
	return verdict{}
}

// Random scripts print in the kernel what they print in the interpreter.
func TestKernelRandomScripts(t *testing.T) {
	root(t)
	large := 0
	n := rounds(t, 3*time.Second, func(seed uint64) {
		script := randomScript(seed, abilities{live.Has(kernel.ForEachMapElem), live.Helper(rawTracepointType, lookupOfCPU)})
		for _, plain := range []bool{false, true} {
			how := run{}
			how.NoOptimize = plain
			v := compare(script, how)
			if v.large {
				large++
			}
			if v.fault != "" {
				small := shrink(script, func(s string) bool { return compare(s, how).like(v) })
				t.Errorf("%s=%d, not optimised %v: %s: %s\nof the smaller script\n%s", randomSeed, seed, plain, v.fault, compare(small, how).what, small)
				return
			}
		}
	})
	t.Logf("%d scripts; %d of %d times one was too large", n, large, 2*n)
	if n > 20 && large > n/2 {
		t.Errorf("%d of %d times the script was too large", large, 2*n)
	}
}

// faults are compilers that are wrong on purpose. Two faults of the allocator need more pressure than scripts give: tests of
// codegen show that those are seen.
func faults() map[string]func(*ir.Program) (*codegen.Code, error) {
	list := map[string]func(*ir.Program) (*codegen.Code, error){}
	for _, name := range []string{"registers are free too early", "calls destroy nothing"} {
		list[name] = codegen.Faults()[name]
	}
	for name, spoil := range map[string]func(*ir.Instr){
		"comparisons are unsigned": func(in *ir.Instr) {
			unsigned := map[ir.Cond]ir.Cond{ir.SLt: ir.Lt, ir.SLe: ir.Le, ir.SGt: ir.Gt, ir.SGe: ir.Ge}
			if c, ok := unsigned[in.Cond]; ok {
				in.Cond = c
			}
		},
		"numbers keep no sign": func(in *ir.Instr) {
			if in.Op == ir.OpSext {
				in.Op = ir.OpZext
			}
		},
		"< is <=": func(in *ir.Instr) {
			if in.Cond == ir.Lt || in.Cond == ir.SLt {
				in.Cond++
			}
		},
		"- is turned round": func(in *ir.Instr) {
			if in.Op == ir.OpSub && len(in.Args) == 2 {
				in.Args = []ir.Value{in.Args[1], in.Args[0]}
			}
		},
	} {
		list[name] = func(p *ir.Program) (*codegen.Code, error) {
			for _, f := range p.Funcs {
				for _, b := range f.Blocks {
					for i := range b.Instrs {
						spoil(&b.Instrs[i])
					}
				}
			}
			return codegen.Generate(p)
		}
	}
	return list
}

// The comparison is worth something only if it sees what is wrong.
func TestKernelRandomSeesFaults(t *testing.T) {
	root(t)
	for name, generate := range faults() {
		const enough, most = 3, 80
		seen, scripts := 0, 0
		for seed := uint64(1); seen < enough && scripts < most; seed++ {
			how := run{}
			how.Generate = generate
			v := compare(randomScript(seed, abilities{readsOthers: live.Helper(rawTracepointType, lookupOfCPU)}), how)
			if v.large {
				continue
			}
			scripts++
			if v.fault != "" {
				seen++
			}
		}
		t.Logf("%s: seen in %d of %d scripts", name, seen, scripts)
		if seen < enough {
			t.Errorf("%s: seen in %d of %d scripts only", name, seen, scripts)
		}
	}
}
