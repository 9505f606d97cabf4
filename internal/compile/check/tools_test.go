package check

import (
	"os"
	"path/filepath"
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// toolsDir has the tools that Debian ships with bpftrace, where `make bench` has put them.
func toolsDir(t *testing.T) string {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip("no home directory")
	}
	return filepath.Join(home, ".cache/sonde/peers/sid/usr/sbin")
}

// TestTools checks the tools of Debian's bpftrace on the fixture and on the running kernel: what is missing there may be
// missing, all else is as it has to be.
func TestTools(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(toolsDir(t), "*.bt"))
	if len(files) == 0 {
		t.Skip("Debian's bpftrace is not installed in the cache")
	}
	for name, target := range map[string]kernel.Target{"fixture": kernel.NewFixture(), "live": kernel.Live(nil)} {
		for _, file := range files {
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				if _, ok := target.Symbol("avenrun"); !ok && filepath.Base(file) == "loads.bt" {
					t.Skip("this kernel does not show the load averages")
				}
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				src := syntax.NewSource(filepath.Base(file), text)
				p, ds := syntax.Parse(src)
				info, more := Check(p, src, target, Options{Settings: map[string]string{"missing_probes": "warn"}})
				for _, d := range append(ds, more...) {
					switch {
					case d.Severity == syntax.Error:
						t.Errorf("%s: %s (%s)", src.Where(d.Span.Start), d.Message, d.Hint)
					case d.Kind != "missing":
						t.Logf("%s: %s (%s)", src.Where(d.Span.Start), d.Message, d.Hint)
					}
				}
				complete(t, src, info)
			})
		}
	}
}

// complete checks what Info promises: every expression that is reached has a type, every variable is resolved.
func complete(t *testing.T, src *syntax.Source, info *Info) {
	t.Helper()
	for _, p := range info.Programs {
		var visit func(n syntax.Node) bool
		visit = func(n syntax.Node) bool {
			if e, ok := n.(syntax.Expr); ok && info.Consts[e] != nil {
				return false
			}
			switch n := n.(type) {
			case *syntax.AttachPoint:
				return false
			case *syntax.If:
				if k := info.Consts[n.Cond]; k != nil {
					if k.Int != 0 {
						syntax.Walk(n.Then, visit)
					} else if n.Else != nil {
						syntax.Walk(n.Else, visit)
					}
					return false
				}
			case *syntax.Ternary:
				if info.Consts[n.Cond] != nil {
					return false
				}
			case *syntax.Call:
				for _, a := range n.Args {
					if _, ok := a.(*syntax.Ident); !ok {
						syntax.Walk(a, visit)
					}
				}
				if info.Types[n] == nil {
					t.Errorf("%s: call %s has no type", src.Where(n.Span().Start), n.Func)
				}
				return false
			case *syntax.Ident:
				if n.Name == "_" {
					return false
				}
			case *syntax.Var:
				if info.Vars[n] == nil || info.Vars[n].Type == nil {
					t.Errorf("%s: %s is not resolved", src.Where(n.Span().Start), n.Name)
				}
				return false
			case *syntax.TypeExpr, *syntax.TypeArg:
				return false
			}
			if e, ok := n.(syntax.Expr); ok && info.Types[e] == nil {
				t.Errorf("%s: %s has no type", src.Where(e.Span().Start), nodeText(e))
			}
			return true
		}
		syntax.Walk(p.Decl, visit)
	}
	for _, m := range info.Maps {
		if m.Value == nil || !m.Scalar && m.Key == nil {
			t.Errorf("%s has no type", m.Name)
		}
	}
}
