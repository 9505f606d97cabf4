package langtest

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"sonde/internal/compile"
	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// kernels can do everything, less, and little.
func kernels() []kernel.Target {
	return []kernel.Target{
		kernel.NewFixture(),
		kernel.NewFixture().Without(kernel.MayGoto, kernel.RdonlyCast, kernel.BpfLoop, kernel.FetchAtomics),
		kernel.NewFixture().Without(kernel.BTF, kernel.TaskBTF, kernel.RdonlyCast, kernel.MayGoto),
	}
}

// survives compiles a script and returns what is wrong with the compiler, "" if nothing is.
func survives(text string, k kernel.Target, o compile.Options) (fault string) {
	defer func() {
		if r := recover(); r != nil {
			fault = fmt.Sprintf("panic: %v", r)
		}
	}()
	start := time.Now()
	p, diags := compile.Compile([]byte(text), "hostile", k, o)
	bad := false
	for _, d := range diags {
		bad = bad || d.Severity == syntax.Error
		if strings.Contains(d.Message, "bug in sonde") {
			return d.Message
		}
	}
	switch d := time.Since(start); {
	case d > 10*time.Second:
		return fmt.Sprintf("it took %v", d)
	case !bad && (p == nil || p.Spec == nil):
		return "no program, and no error"
	}
	return ""
}

// Random scripts compile, for every kernel.
func TestRandomCompile(t *testing.T) {
	targets := kernels()
	n := rounds(t, 2*time.Second, func(seed uint64) {
		script := randomScript(seed, abilities{true, true})
		for i, k := range targets {
			for _, plain := range []bool{false, true} {
				o := compile.Options{NoOptimize: plain, Warnings: seed%2 == 0}
				if fault := survives(script, k, o); fault != "" {
					small := shrink(script, func(s string) bool { return survives(s, k, o) == fault })
					t.Errorf("%s=%d, kernel %d, not optimised %v: %s\nof the smaller script\n%s", randomSeed, seed, i, plain, fault, small)
					return
				}
			}
		}
	})
	t.Logf("%d scripts", n)
}

var tokens = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[$@]?\w+|[<>=!&|+-]{1,3}|\s+|.`)

// damaged is a script with some of its words left out, doubled, moved or replaced by others.
func damaged(r *rand.Rand, script, other string) string {
	words, others := tokens.FindAllString(script, -1), tokens.FindAllString(other, -1)
	for range 1 + r.IntN(3) {
		if len(words) == 0 || len(others) == 0 {
			break
		}
		i, j := r.IntN(len(words)), r.IntN(len(words))
		switch r.IntN(5) {
		case 0:
			words = append(words[:i:i], words[i+1:]...)
		case 1:
			words = append(words[:i:i], append([]string{words[j]}, words[i:]...)...)
		case 2:
			words[i], words[j] = words[j], words[i]
		case 3:
			words[i] = others[r.IntN(len(others))]
		default:
			k := r.IntN(len(others))
			words = append(words[:i:i], append(others[k:min(len(others), k+1+r.IntN(8)):len(others)], words[i:]...)...)
		}
	}
	return strings.Join(words, "")
}

// Whatever is a script: a message, never a panic.
func TestDamagedScripts(t *testing.T) {
	targets := kernels()
	var all []*row
	for _, c := range chapters {
		for i := range c.rows {
			all = append(all, &c.rows[i])
		}
	}
	n := rounds(t, 3*time.Second, func(seed uint64) {
		r := rand.New(rand.NewPCG(seed, 3))
		a := all[r.IntN(len(all))]
		text := damaged(r, a.text(), all[r.IntN(len(all))].text())
		o := compile.Options{Options: check.Options{Positional: a.params, Named: a.named, Unsafe: true}, Warnings: r.IntN(2) == 0}
		for i, k := range targets {
			if fault := survives(text, k, o); fault != "" {
				t.Errorf("%s=%d, kernel %d: %s\nof\n%s", randomSeed, seed, i, fault, text)
			}
		}
	})
	t.Logf("%d scripts", n)
}
