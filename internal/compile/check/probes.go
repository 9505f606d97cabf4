package check

import (
	"fmt"
	"slices"
	"strings"

	"sonde/internal/compile/syntax"
)

// provider is a kind of attach point as it is written.
type provider struct {
	kind    ProbeKind
	name    string
	aliases []string
	usage   string
	// parts are how many there are behind the name.
	min, max int
	expand   func(x *pointExpander, parts []string) []Point
}

// providers is filled at start because the rows refer to what refers to it.
var providers []provider

func init() {
	providers = []provider{
		{Begin, "begin", nil, "begin", 0, 0, expandPlain},
		{End, "end", nil, "end", 0, 0, expandPlain},
		{Self, "self", nil, "self:signal:SIGUSR1", 2, 2, expandSelf},
		{Test, "test", nil, "test:name", 1, 1, expandNamed},
		{Bench, "bench", nil, "bench:name", 1, 1, expandNamed},
		{Interval, "interval", []string{"i"}, "interval:s:1", 1, 2, expandTimer},
		{Profile, "profile", []string{"p"}, "profile:hz:99", 1, 2, expandTimer},
		{Tracepoint, "tracepoint", []string{"t"}, "tracepoint:category:event", 2, 2, expandTracepoint},
		{RawTracepoint, "rawtracepoint", []string{"rt"}, "rawtracepoint:event", 1, 2, expandRawTracepoint},
		{Kprobe, "kprobe", []string{"k"}, "kprobe:function", 1, 2, expandKprobe},
		{Kretprobe, "kretprobe", []string{"kr"}, "kretprobe:function", 1, 2, expandKprobe},
		{Fentry, "fentry", []string{"f", "kfunc"}, "fentry:function", 1, 3, expandFentry},
		{Fexit, "fexit", []string{"fr", "kretfunc"}, "fexit:function", 1, 3, expandFentry},
		{Uprobe, "uprobe", []string{"u"}, "uprobe:/path:function", 1, 3, expandUprobe},
		{Uretprobe, "uretprobe", []string{"ur"}, "uretprobe:/path:function", 1, 3, expandUprobe},
		{USDT, "usdt", []string{"U"}, "usdt:/path:name", 1, 3, expandLater},
		{Software, "software", []string{"s"}, "software:page-faults:100", 1, 2, expandEvent},
		{Hardware, "hardware", []string{"h"}, "hardware:cache-misses:1000000", 1, 2, expandEvent},
		{Watchpoint, "watchpoint", []string{"w", "asyncwatchpoint", "aw"}, "watchpoint:0xaddress:8:w", 3, 4, expandLater},
		{Iter, "iter", []string{"it"}, "iter:task", 1, 2, expandIter},
	}
}

// providerOf finds a provider by the name a script uses; names are the same in capitals, short ones are not.
func providerOf(name string) *provider {
	for i := range providers {
		if p := &providers[i]; strings.EqualFold(p.name, name) || slices.Contains(p.aliases, name) {
			return p
		}
	}
	return nil
}

// Providers are the names of all kinds of attach points.
func Providers() []string {
	names := make([]string, len(providers))
	for i := range providers {
		names[i] = providers[i].name
	}
	return names
}

// pointExpander expands one attach point as written.
type pointExpander struct {
	*checker
	*provider
	at *syntax.AttachPoint
	// quiet: one of several providers that a wildcard stands for; that it has nothing to offer is no news.
	quiet bool
	// whole is what stood there, parameters replaced.
	whole string
	// decl says what the body needs of its points.
	needs needs
}

// needs are the facts about a point that the body asks for.
type needs struct{ args, argN, retval bool }

// probes expands all attach points and sorts them into Programs.
func (c *checker) probes() {
	total, iters := 0, 0
	decls := c.probeDecls()
	if len(decls) == 0 && !c.failed() {
		c.errorf(syntax.Span{}, "the script has no probe").hint("as in: kprobe:vfs_read { @[comm] = count(); }")
	}
	for _, d := range decls {
		n := needsOf(d)
		var points []Point
		before := len(c.diagnostics)
		for _, at := range d.Points {
			points = append(points, c.expandPoint(at, n)...)
		}
		points = dedupe(points)
		if len(points) == 0 || c.info.Config.MissingProbes == "error" {
			for _, suggest := range c.suggestions {
				suggest()
			}
		}
		c.suggestions = nil
		if len(points) > 0 {
			c.alternatives(before)
		}
		for _, p := range points {
			if p.Kind == Iter {
				iters++
			}
		}
		total += len(points)
		if total > c.info.Config.MaxProbes {
			c.errorf(d.Span(), "the script has %d attach points so far: max_probes allows %d", total, c.info.Config.MaxProbes).
				hint("config = { max_probes = %d } allows more", total)
			return
		}
		c.group(d, points, n)
	}
	if iters > 0 && total > 1 {
		c.errorf(c.program.Span(), "an iter probe has to be the only probe of a script")
	}
}

// needsOf looks whether a body names args or retval.
func needsOf(d *syntax.Probe) (n needs) {
	syntax.Walk(d, func(node syntax.Node) bool {
		if id, ok := node.(*syntax.Ident); ok {
			n.args = n.args || id.Name == "args"
			n.retval = n.retval || id.Name == "retval"
			_, argN := numbered(id.Name, "arg")
			n.argN = n.argN || argN
		}
		return true
	})
	return n
}

// dedupe keeps the first of equal points: two wildcards of one probe may both match a function.
func dedupe(points []Point) []Point {
	seen := make(map[string]bool, len(points))
	return slices.DeleteFunc(points, func(p Point) bool {
		if !p.Wild {
			seen[p.Text] = true
			return false
		}
		if seen[p.Text] {
			return true
		}
		seen[p.Text] = true
		return false
	})
}

// expandPoint finds what one attach point means on this kernel.
func (c *checker) expandPoint(at *syntax.AttachPoint, n needs) []Point {
	parts := make([]string, len(at.Parts))
	for i, p := range at.Parts {
		parts[i] = c.pointParameters(at.Span(), p)
	}
	if len(parts) == 0 || parts[0] == "" {
		c.errorf(at.Span(), "expected a probe")
		return nil
	}
	x := &pointExpander{checker: c, at: at, whole: strings.Join(parts, ":"), needs: n}
	name := parts[0]
	if strings.Contains(name, "*") && len(parts) > 1 {
		return x.anyProvider(name, parts[1:])
	}
	if x.provider = providerOf(name); x.provider == nil {
		names := Providers()
		for i := range providers {
			names = append(names, providers[i].aliases...)
		}
		c.errorf(at.Span(), "there are no %s probes", name).suggest(name, names)
		return nil
	}
	return x.run(parts[1:])
}

// run checks the number of parts, and expands.
func (x *pointExpander) run(parts []string) []Point {
	if len(parts) < x.min || len(parts) > x.max {
		if x.quiet {
			return nil
		}
		what := "too many parts"
		if len(parts) < x.min {
			what = "a part is missing"
		}
		x.errorf(x.at.Span(), "%s in %s", what, x.whole).hint("it is written %s", x.usage)
		return nil
	}
	for _, p := range parts {
		if p == "" && x.kind != Iter {
			x.errorf(x.at.Span(), "a part of %s is empty", x.whole).hint("it is written %s", x.usage)
			return nil
		}
	}
	points := x.expand(x, parts)
	keep := x.options.Keep
	return slices.DeleteFunc(points, func(p Point) bool {
		return keep != nil && p.Kind != Begin && p.Kind != End && !keep(p.Text)
	})
}

// anyProvider is *:name: all that have something of that name.
func (x *pointExpander) anyProvider(pattern string, parts []string) []Point {
	var points []Point
	x.quiet = true
	for i := range providers {
		p := &providers[i]
		switch p.kind {
		case Tracepoint, RawTracepoint, Kprobe, Kretprobe, Fentry, Fexit, Uprobe, Uretprobe, Software, Hardware:
		default:
			continue
		}
		if !matchWild(pattern, p.name) {
			continue
		}
		x.provider = p
		points = append(points, x.run(parts)...)
	}
	if len(points) == 0 {
		x.quiet = false
		x.missing("nothing matches %s", x.whole)
	}
	return points
}

// matchWild matches a name against a pattern in which '*' stands for anything.
func matchWild(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

func isWild(s string) bool { return strings.Contains(s, "*") }

// missing tells that an attach point is not there, as missing_probes says.
func (x *pointExpander) missing(format string, args ...any) problem {
	if x.quiet {
		return problem{x.checker, -1}
	}
	switch x.info.Config.MissingProbes {
	case "ignore":
		return problem{x.checker, -1}
	case "warn":
		return x.warnf(missingKind, x.at.Span(), format, args...)
	}
	d := syntax.Diagnostic{Severity: syntax.Error, Span: x.at.Span(), Message: fmt.Sprintf(format, args...)}
	switch {
	case isWild(x.whole):
		d.Kind = unmatchedKind
	case x.info.Config.MissingProbes == "":
		d.Kind = missingKind
	}
	return x.tell(d)
}

// The kinds of what missing tells: a name that is not there, and a wildcard that matches nothing.
const (
	missingKind   = "missing"
	unmatchedKind = "unmatched"
)

// alternatives is for a probe that has at least one attach point here: the others that it lists are names that other
// kernels have. What was told of them since from is no error: of a name it becomes a warning, of a wildcard nothing.
func (c *checker) alternatives(from int) {
	kept := c.diagnostics[:from]
	for _, d := range c.diagnostics[from:] {
		if d.Severity == syntax.Error && (d.Kind == missingKind || d.Kind == unmatchedKind) {
			if d.Kind == unmatchedKind || c.options.NoWarnings {
				continue
			}
			d.Severity = syntax.Warning
		}
		kept = append(kept, d)
	}
	c.diagnostics = kept
}

// point makes a Point of this attach point.
func (x *pointExpander) point(text string) Point {
	return Point{Kind: x.kind, Text: text, Span: x.at.Span(), Syscall: -1}
}

// group makes Programs of the points: one for all that are of a kind and have the same arguments.
func (c *checker) group(d *syntax.Probe, points []Point, n needs) {
	var programs []*Program
	keys := make(map[string]*Program)
	for _, pt := range points {
		p := &Program{Kind: pt.Kind, Space: spaceOf(pt)}
		key := c.describe(p, &pt, n)
		if known := keys[key]; known != nil {
			known.Points = append(known.Points, pt)
			continue
		}
		p.Points = []Point{pt}
		keys[key] = p
		programs = append(programs, p)
	}
	for i, p := range programs {
		p.Decl = d
		if i < len(programs)-1 {
			p.Decl = syntax.Clone(d)
		}
	}
	if len(programs) > c.info.Config.MaxBPFProgs {
		c.errorf(d.Span(), "this probe becomes %d programs: max_bpf_progs allows %d", len(programs), c.info.Config.MaxBPFProgs)
	}
	c.info.Programs = append(c.info.Programs, programs...)
}
