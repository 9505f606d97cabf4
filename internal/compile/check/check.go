package check

import (
	"fmt"
	"slices"
	"strings"

	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// passes are what Check does, in order. Each reads what those before it left; a pass that found errors does not stop
// the later ones, so that all errors of a script come in one run.
var passes = []struct {
	name string
	run  func(*checker)
}{
	{"preamble", (*checker).preamble},     // C part: defines, structs, enums
	{"settings", (*checker).settings},     // config block and Options.Settings
	{"parameters", (*checker).parameters}, // $1, $#
	{"old forms", (*checker).modernize},   // what older scripts write, as newer ones do
	{"macros", (*checker).expandMacros},   // macro, fn, #define
	{"probes", (*checker).probes},         // attach points to Programs
	{"map declarations", (*checker).mapDecls},
	{"scopes", (*checker).scopes}, // Vars
	{"types", (*checker).infer},   // Types, Consts, Maps
	{"unused", (*checker).unused}, // warnings about what nobody reads
}

// Check finds out what a script means. The Info is complete only if no diagnostic is an error; p is rewritten.
func Check(p *syntax.Program, src *syntax.Source, t kernel.Target, o Options) (*Info, []syntax.Diagnostic) {
	c := &checker{
		program: p, source: src, target: t, options: o,
		info: &Info{
			Types:     make(map[syntax.Expr]*types.Type),
			Consts:    make(map[syntax.Expr]*Const),
			Vars:      make(map[*syntax.Var]*Variable),
			TypeExprs: make(map[*syntax.TypeExpr]*types.Type),
		},
		told:         make(map[toldKey]bool),
		broken:       make(map[syntax.Expr]bool),
		maps:         make(map[string]*mapState),
		slots:        make(map[*Variable]*slot),
		declarations: make(map[*Variable]*declaration),
	}
	c.kernelTypes = newKernelTypes(t)
	for _, pass := range passes {
		pass.run(c)
	}
	slices.SortStableFunc(c.diagnostics, func(a, b syntax.Diagnostic) int { return int(a.Span.Start) - int(b.Span.Start) })
	return c.info, c.diagnostics
}

// checker is the state of one Check.
type checker struct {
	program *syntax.Program
	source  *syntax.Source
	target  kernel.Target
	options Options
	info    *Info

	diagnostics []syntax.Diagnostic
	told        map[toldKey]bool
	muted       bool // while types are still being found out

	kernelTypes *kernelTypes
	script      scriptTypes
	lazy        map[string]*types.Type // structs that tracepoints name
	defines     map[string]*syntax.Define
	suggestions []func() // that are dear, for a probe that has no attach point
	included    bool     // the script includes a header, which is not read
	macros      map[string][]*macro
	broken      map[syntax.Expr]bool // what stands for something that has been complained about

	// What inference keeps, see infer.
	final, growing, assumeInt, endless bool
	prog                               *Program
	loops, callbacks, depth            int

	maps         map[string]*mapState
	slots        map[*Variable]*slot
	declarations map[*Variable]*declaration
}

// toldKey keeps a message about one place from being told twice: bodies are checked once for each of their Programs.
type toldKey struct {
	span    syntax.Span
	message string
}

// problem is a diagnostic in the making: hint and kind can be added.
type problem struct {
	c  *checker
	at int
}

// hint says what to do.
func (p problem) hint(format string, args ...any) {
	if p.at >= 0 {
		p.c.diagnostics[p.at].Hint = fmt.Sprintf(format, args...)
	}
}

func (c *checker) errorf(at syntax.Span, format string, args ...any) problem {
	return c.tell(syntax.Diagnostic{Severity: syntax.Error, Span: at, Message: fmt.Sprintf(format, args...)})
}

// warnf warns; kind names the group that the warning belongs to.
func (c *checker) warnf(kind string, at syntax.Span, format string, args ...any) problem {
	if c.options.NoWarnings {
		return problem{c, -1}
	}
	return c.tell(syntax.Diagnostic{Severity: syntax.Warning, Span: at, Message: fmt.Sprintf(format, args...), Kind: kind})
}

func (c *checker) tell(d syntax.Diagnostic) problem {
	if c.muted {
		return problem{c, -1}
	}
	key := toldKey{d.Span, d.Message}
	if c.told[key] {
		return problem{c, -1}
	}
	c.told[key] = true
	c.diagnostics = append(c.diagnostics, d)
	return problem{c, len(c.diagnostics) - 1}
}

// failed says whether there is an error so far.
func (c *checker) failed() bool {
	return slices.ContainsFunc(c.diagnostics, func(d syntax.Diagnostic) bool { return d.Severity == syntax.Error })
}

// probeDecls are the probes of the script.
func (c *checker) probeDecls() []*syntax.Probe {
	var probes []*syntax.Probe
	for _, d := range c.program.Decls {
		if p, ok := d.(*syntax.Probe); ok {
			probes = append(probes, p)
		}
	}
	return probes
}

// suggest adds "did you mean" to a problem where a name is near.
func (p problem) suggest(name string, names []string) {
	if near := nearest(name, names); near != "" {
		p.hint("did you mean %s?", near)
	}
}

// Nearest returns the name that another is most likely a slip of, or "".
func Nearest(name string, names []string) string { return nearest(name, names) }

// nearest returns the name closest to the one given, or "" if none is near.
func nearest(name string, names []string) string {
	best, bestDistance := "", max(1, min(3, len(name)/3))+1
	for _, n := range names {
		if n == name || abs(len(n)-len(name)) >= bestDistance {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n), bestDistance); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// distance is the number of edits (insert, delete, replace, swap) between two names, limit or more if there are many.
func distance(a, b string, limit int) int {
	if len(a) > 128 || len(b) > 128 {
		return limit
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		least := next[0]
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
			least = min(least, next[j+1])
		}
		if least >= limit {
			return limit
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
