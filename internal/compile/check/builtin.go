package check

import (
	"slices"
	"strings"

	"sonde/internal/compile/syntax"
)

// Builtin is a row of the table of what the language brings: builtin variables and functions alike.
type Builtin struct {
	Name string
	// Usage is how it is written: "str(p [, n])".
	Usage string
	Doc   string
	// Bare ones can be written without parentheses. Min and Max count the arguments of a call; Max is -1 where there is
	// no limit. Max 0 and Bare: takes none.
	Bare     bool
	Min, Max int
	// Probes are the kinds it can be used in; 0 is all of them.
	Probes ProbeSet
	// Unsafe ones change the system, and need Options.Unsafe.
	Unsafe bool
	// Aggregate ones can only be assigned to a map.
	Aggregate bool
	// Context ones read the program's context, which the body of a loop over a map does not have.
	Context bool
	// Todo: known, but not compiled yet.
	Todo bool
	// Numbered ones are followed by a number: arg0.
	Numbered bool

	value func(c *checker, b *use) value
}

// ProbeSet is a set of probe kinds.
type ProbeSet uint32

// setOf makes a set.
func setOf(kinds ...ProbeKind) (s ProbeSet) {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has says whether a kind is in the set; all are in the empty one.
func (s ProbeSet) Has(k ProbeKind) bool { return s == 0 || s&(1<<k) != 0 }

// String lists the kinds.
func (s ProbeSet) String() string {
	var names []string
	for k := Begin; k <= Iter; k++ {
		if s&(1<<k) != 0 {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, ", ")
}

// use is one use of a builtin.
type use struct {
	*Builtin
	at     syntax.Expr
	args   []syntax.Expr
	number int // of Numbered ones
	// target is the map that an aggregate is assigned to.
	target *mapState
}

// builtinTable has all rows. It is filled at start because the rows refer to what refers to it.
var (
	builtinTable []Builtin
	builtinIndex map[string]*Builtin
)

func init() {
	builtinTable = slices.Concat(variableRows(), outputRows(), mapRows(), memoryRows(), textRows(), systemRows(), compileTimeRows(), laterRows())
	builtinIndex = make(map[string]*Builtin, len(builtinTable))
	for i := range builtinTable {
		builtinIndex[builtinTable[i].Name] = &builtinTable[i]
	}
}

// Builtins lists all builtin variables and functions, by name.
func Builtins() []*Builtin {
	list := make([]*Builtin, len(builtinTable))
	for i := range builtinTable {
		list[i] = &builtinTable[i]
	}
	slices.SortFunc(list, func(a, b *Builtin) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// NotCompiled says whether a builtin is known but not compiled yet.
func NotCompiled(name string) bool {
	b := builtinOf(name)
	return b != nil && b.Todo
}

// builtinOf finds a builtin by the name a script uses.
func builtinOf(name string) *Builtin {
	if b := builtinIndex[name]; b != nil && !b.Numbered {
		return b
	}
	if _, ok := numbered(name, "arg"); ok {
		return builtinIndex["arg"]
	}
	return nil
}

// builtinNames are the names for "did you mean".
func builtinNames(bare, calls bool) []string {
	var names []string
	for i := range builtinTable {
		b := &builtinTable[i]
		switch {
		case b.Numbered:
			if bare {
				names = append(names, "arg0", "arg1")
			}
		case bare && b.Bare, calls && b.Max != 0:
			names = append(names, b.Name)
		}
	}
	return names
}

// builtin checks the use of a builtin, and says what its value is.
func (c *checker) builtin(b *Builtin, at syntax.Expr, args []syntax.Expr, target *mapState) value {
	u := &use{Builtin: b, at: at, args: args, target: target}
	name := b.Name
	if b.Numbered {
		id, _ := at.(*syntax.Ident)
		if id != nil {
			name = id.Name
			u.number, _ = numbered(name, "arg")
		}
	}
	_, isCall := at.(*syntax.Call)
	switch {
	case b.Todo:
		c.evalAll(args)
		c.errorf(at.Span(), "%s is not compiled yet", name)
		return invalid
	case isCall && (len(args) < b.Min || b.Max >= 0 && len(args) > b.Max):
		c.evalAll(args)
		c.errorf(at.Span(), "%s takes %s, not %d", name, argumentCount(b), len(args)).hint("it is used as %s", b.Usage)
		return invalid
	case !isCall && !b.Bare:
		c.errorf(at.Span(), "%s is a function", name).hint("it is used as %s", b.Usage)
		return invalid
	case b.Aggregate && target == nil:
		c.evalAll(args)
		c.errorf(at.Span(), "%s can only be assigned to a map", name).hint("as in: @x = %s;", b.Usage)
		return invalid
	}
	bad := false
	if b.Unsafe && !c.options.Unsafe {
		c.errorf(at.Span(), "%s changes the system", name).hint("allow it with --unsafe")
		bad = true
	}
	if c.prog != nil && !b.Probes.Has(c.prog.Kind) {
		c.errorf(at.Span(), "%s cannot be used in %s probes", name, c.prog.Kind).hint("only in %s", b.Probes)
		bad = true
	}
	if b.Context && c.callbacks > 0 {
		c.errorf(at.Span(), "%s cannot be used in a loop over a map", name).hint("assign it to a variable before the loop")
		bad = true
	}
	if c.prog != nil {
		if c.prog.Uses == nil {
			c.prog.Uses = make(map[string]bool)
		}
		c.prog.Uses[b.Name] = true
		c.prog.Uses[name] = true
	}
	v := b.value(c, u)
	if bad {
		return invalid
	}
	return v
}

func argumentCount(b *Builtin) string {
	switch {
	case b.Max < 0:
		return "at least " + plural(b.Min, "argument")
	case b.Max == 0:
		return "no arguments"
	case b.Min == b.Max:
		return plural(b.Min, "argument")
	case b.Min == 0:
		return "at most " + plural(b.Max, "argument")
	case b.Max == b.Min+1:
		return plural(b.Min, "argument") + " or " + itoa(b.Max)
	}
	return itoa(b.Min) + " to " + plural(b.Max, "argument")
}

// String is the kind's name in the language.
func (k ProbeKind) String() string {
	if int(k) < len(kindText) {
		return kindText[k]
	}
	return "unknown"
}

var kindText = [...]string{
	Begin: "begin", End: "end", Self: "self", Test: "test", Bench: "bench", Interval: "interval", Profile: "profile",
	Tracepoint: "tracepoint", RawTracepoint: "rawtracepoint", Kprobe: "kprobe", Kretprobe: "kretprobe", Fentry: "fentry",
	Fexit: "fexit", Uprobe: "uprobe", Uretprobe: "uretprobe", USDT: "usdt", Software: "software", Hardware: "hardware",
	Watchpoint: "watchpoint", Iter: "iter",
}
