package langtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// sort is what a variable, a map's key or value, or an expression is for: sizes and signs of integers are found by whoever
// looks at the text.
type sort uint8

const (
	number sort = iota
	truthy
	text
	pair   // (number, text)
	nested // (number, (text, number))
)

// variable is a scratch variable of a random script.
type variable struct {
	name string
	sort sort
	// fixed ones count loops: nothing else assigns them.
	fixed bool
}

// mapping is a map of a random script.
type mapping struct {
	name       string
	keyed      bool
	key, value sort
	aggregate  string // the only function that is put into it
}

// generator writes random scripts. All of it is decided by the seed.
type generator struct {
	*rand.Rand
	b        strings.Builder
	vars     []variable // in reach
	maps     []mapping
	named    int
	zero     string // a variable that is 0
	loops    int    // around
	looped   int    // in all
	branches int    // in all: the verifier goes through a loop for all paths that lead to it
	callback int    // bodies of loops over a map around
	impure   bool
	budget   int
	canBreak bool
	can      abilities
}

// abilities are what a kernel must have for some scripts.
type abilities struct {
	mapLoops    bool // goes through maps, and counts what is in them
	readsOthers bool // reads what other CPUs have in a map with keys
}

func randomScript(seed uint64, can abilities) string {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 7)), can: can}
	for range 1 + g.IntN(5) {
		m := mapping{name: fmt.Sprintf("@m%d", len(g.maps)), keyed: g.IntN(3) > 0}
		m.key, m.value = g.sort(number, number, text, pair), g.sort(number, number, number, text, pair, nested)
		if g.IntN(4) == 0 && (can.readsOthers || !m.keyed) {
			m.value, m.aggregate = number, g.one("count", "sum", "min", "max", "avg")
		}
		g.maps = append(g.maps, m)
	}
	for range 1 + g.IntN(2) {
		g.vars, g.budget, g.looped, g.branches = nil, 8+g.IntN(12), 0, 0
		g.b.WriteString("begin {\n")
		// What conditions are made of: something that is known at run time only, or one of two branches would be left out
		// before anybody looks at its types, and all would be calculated by the compiler.
		g.zero = g.name()
		g.line(1, "%s = nsecs / 9223372036854775807;", g.zero)
		for range 3 {
			v := variable{g.name(), number, false}
			g.line(1, "%s = %s;", v.name, g.unknown())
			g.vars = append(g.vars, v)
		}
		v := variable{g.name(), text, true}
		g.line(1, "%s = (%s == 0 ? %q : \"never\");", v.name, g.zero, g.one("", "abc", "xyz"))
		g.vars = append(g.vars, v)
		// Every map has a value of its sort from the start: its type is known even if nothing else is put into it.
		maps := g.maps
		for i := range maps {
			g.maps = maps[:0]
			g.toMap(&maps[i], 1)
		}
		g.maps = maps
		for range 2 + g.IntN(4) {
			g.newVariable(1)
		}
		for g.budget > 0 {
			g.stmt(1)
		}
		g.shows()
		g.b.WriteString("}\n")
	}
	return g.b.String()
}

func (g *generator) one(choices ...string) string { return choices[g.IntN(len(choices))] }
func (g *generator) sort(choices ...sort) sort    { return choices[g.IntN(len(choices))] }

func (g *generator) line(depth int, format string, args ...any) {
	g.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&g.b, format, args...)
	g.b.WriteByte('\n')
}

// shows prints all there is.
func (g *generator) shows() {
	for _, v := range g.vars {
		g.line(1, "print(%s);", v.name)
	}
	for i := range g.maps {
		if m := &g.maps[i]; m.keyed {
			if g.can.mapLoops {
				g.line(1, "print(len(%s));", m.name)
			}
			g.line(1, "print(%s);", g.read(m))
		} else {
			g.line(1, "print((%s, 0));", g.numeric(m, m.name))
		}
	}
}

func (g *generator) name() string {
	g.named++
	return fmt.Sprintf("$v%d", g.named)
}

func (g *generator) newVariable(depth int) {
	v := variable{name: g.name(), sort: g.sort(number, number, number, truthy, text, pair, nested)}
	switch {
	case v.sort == number && g.IntN(3) == 0:
		g.line(depth, "let %s : %s = %s;", v.name, g.intType(), g.fits(2))
	default:
		g.line(depth, "%s = %s;", v.name, g.value(v.sort, 2))
	}
	g.vars = append(g.vars, v)
}

// fits is a number whose type fits any declared one: what does not fit is an error of the script.
func (g *generator) fits(int) string { return fmt.Sprintf("%d", g.IntN(128)) }

func (g *generator) intType() string {
	return g.one("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
}

// pick is a variable of a sort in reach, "" if there is none.
func (g *generator) pick(s sort, assigned bool) string {
	var names []string
	for _, v := range g.vars {
		if v.sort == s && (!assigned || !v.fixed) {
			names = append(names, v.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return names[g.IntN(len(names))]
}

// block writes { ... } with n statements; variables of it are gone afterwards.
func (g *generator) block(depth, n int, last string) {
	vars := len(g.vars)
	for range n {
		g.stmt(depth + 1)
	}
	if last != "" {
		g.line(depth+1, "%s", last)
	}
	g.vars = g.vars[:vars]
	g.line(depth, "}")
}

func (g *generator) stmt(depth int) {
	g.budget--
	deep := depth > 3
	mayLoop := !deep && g.loops < 2 && g.looped < 2 && g.branches < 6
	switch n := g.IntN(22); {
	case n < 3:
		g.assign(depth)
	case n < 5:
		g.toMap(&g.maps[g.IntN(len(g.maps))], depth)
	case n < 7:
		g.newVariable(depth)
	case n < 9:
		g.print(depth)
	case n < 10:
		if v := g.pick(number, true); v != "" {
			g.line(depth, "%s;", g.one(v+"++", v+"--", "++"+v, "--"+v))
		}
	case n < 11:
		if m := g.keyed(); m != nil && g.callback == 0 {
			g.line(depth, "print(delete(%s, %s));", m.name, g.value(m.key, 1))
		}
	case n < 14 && !deep:
		g.branches++
		g.line(depth, "if (%s) {", g.bool(2))
		g.block(depth, 1+g.IntN(3), "")
		if g.IntN(2) == 0 {
			g.b.WriteString(strings.Repeat("  ", depth) + "else {\n")
			g.block(depth, 1+g.IntN(3), "")
		}
	case n < 15 && mayLoop:
		g.loops++
		g.looped++
		i := variable{name: g.name(), sort: number, fixed: true}
		g.line(depth, "%s = (int64)%d;", i.name, g.IntN(3))
		g.vars = append(g.vars, i)
		g.line(depth, "while (%s < %d) {", i.name, 2+g.IntN(5))
		before := g.canBreak
		g.canBreak = true
		g.line(depth+1, "%s++;", i.name)
		g.block(depth, 1+g.IntN(2), "")
		g.canBreak = before
		g.loops--
	case n < 17 && mayLoop:
		g.loops++
		g.looped++
		i := variable{name: g.name(), sort: number, fixed: true}
		from := g.IntN(4)
		g.line(depth, "for %s : %d..%d {", i.name, from, from+g.IntN(6))
		vars, before := len(g.vars), g.canBreak
		g.vars, g.canBreak = append(g.vars, i), true
		g.block(depth, 1+g.IntN(2), "")
		g.vars, g.canBreak = g.vars[:vars], before
		g.loops--
	case n < 18 && mayLoop:
		g.loops++
		g.looped++
		g.line(depth, "unroll (%d) {", 1+g.IntN(4))
		before := g.canBreak
		g.canBreak = true
		g.block(depth, 1+g.IntN(2), "")
		g.canBreak = before
		g.loops--
	case n < 19 && g.can.mapLoops && g.loops == 0 && g.callback == 0:
		g.overMap(depth)
	case n < 20 && g.canBreak:
		g.line(depth, "if (%s) { %s }", g.bool(2), g.one("break;", "continue;"))
	case n < 21 && depth > 1 && g.IntN(4) == 0:
		g.line(depth, "if (%s) { return; }", g.bool(3))
	default:
		g.line(depth, "{")
		g.block(depth, 1+g.IntN(2), "")
	}
}

// keyed is a map with keys, nil if there is none.
func (g *generator) keyed() *mapping {
	if len(g.maps) == 0 {
		return nil
	}
	if m := &g.maps[g.IntN(len(g.maps))]; m.keyed {
		return m
	}
	return nil
}

// overMap is a loop over a map whose result does not depend on the order: sums of what it finds.
func (g *generator) overMap(depth int) {
	m := g.keyed()
	if m == nil {
		return
	}
	sum, n := g.name(), g.name()
	g.line(depth, "%s = (uint64)0; %s = (uint64)0;", sum, n)
	kv := g.name()
	part := func(s sort, e string) string {
		switch s {
		case number:
			return "(uint64)" + e
		case text:
			return "(uint64)strlen(" + e + ")"
		case pair:
			return "(uint64)" + e + ".0 + (uint64)strlen(" + e + ".1)"
		}
		return "(uint64)" + e + ".0 + (uint64)" + e + ".1.1"
	}
	g.line(depth, "for %s : %s {", kv, m.name)
	g.line(depth+1, "if (%s %% 3 == 1) { continue; }", "("+part(m.key, kv+".0")+")")
	g.line(depth+1, "%s += %s; %s++;", sum, part(m.key, kv+".0")+" * 3 + "+part(m.value, kv+".1"), n)
	g.line(depth, "}")
	g.vars = append(g.vars, variable{sum, number, true}, variable{n, number, true})
}

func (g *generator) assign(depth int) {
	s := g.sort(number, number, truthy, text, pair, nested)
	v := g.pick(s, true)
	if v == "" {
		return
	}
	if s == number && g.IntN(2) == 0 {
		op := g.one("+", "-", "*", "/", "%", "&", "|", "^")
		g.line(depth, "%s %s= %s;", v, op, g.cast(g.int(2)))
		return
	}
	g.impure = s == number && g.IntN(3) == 0
	e := g.value(s, 3)
	g.impure = false
	if s == number {
		e = g.cast(e) // a variable that was declared takes only what fits
	}
	g.line(depth, "%s = %s;", v, e)
}

// toMap puts something into a map.
func (g *generator) toMap(m *mapping, depth int) {
	target := m.name
	if m.keyed {
		target += "[" + g.value(m.key, 1) + "]"
	}
	switch {
	case m.aggregate == "count":
		g.line(depth, "%s = count();", target)
	case m.aggregate != "":
		g.line(depth, "%s = %s((int64)(%s));", target, m.aggregate, g.int(2))
	case m.value == number && depth > 1 && g.IntN(3) == 0:
		g.line(depth, "%s %s= %s;", target, g.one("+", "-", "*", "|", "^"), g.int(2))
	case m.value == number && depth > 1 && g.IntN(3) == 0:
		g.line(depth, "%s%s;", target, g.one("++", "--"))
	default:
		g.line(depth, "%s = %s;", target, g.value(m.value, 3))
	}
}

func (g *generator) print(depth int) {
	switch g.IntN(4) {
	case 0:
		g.line(depth, `printf("%%ld %%lu %%s %%d\n", %s, %s, %s, %s);`, g.int(2), g.int(2), g.text(2), g.int(1))
	case 1:
		g.line(depth, `printf("%%s|%%lx|%%s\n", %s, %s, %s);`, g.bool(1), g.int(2), g.value(pair, 1))
	default:
		s := g.sort(number, number, truthy, text, pair, nested)
		g.impure = s == number && g.IntN(2) == 0
		e := g.value(s, 3)
		g.impure = false
		if strings.HasPrefix(e, "@") {
			e = "(" + e + ", 0)" // print of a map shows what it holds when it is shown
		}
		g.line(depth, "print(%s);", e)
	}
}

// value is an expression of a sort.
func (g *generator) value(s sort, depth int) string {
	switch s {
	case number:
		return g.int(depth)
	case truthy:
		return g.bool(depth)
	case text:
		return g.text(depth)
	}
	if v := g.pick(s, false); v != "" && g.IntN(3) == 0 {
		return v
	}
	if m := g.holding(s); m != nil && g.IntN(4) == 0 {
		return g.read(m)
	}
	if depth > 1 && g.IntN(6) == 0 {
		g.branches++
		return fmt.Sprintf("(%s ? %s : %s)", g.bool(1), g.value(s, 1), g.value(s, 1))
	}
	if s == pair {
		return fmt.Sprintf("(%s, %s)", g.int(depth-1), g.text(depth-1))
	}
	return fmt.Sprintf("(%s, (%s, %s))", g.int(depth-1), g.text(depth-1), g.int(depth-1))
}

// holding is a map that holds values of a sort, nil if there is none.
func (g *generator) holding(s sort) *mapping {
	if len(g.maps) == 0 {
		return nil
	}
	if m := &g.maps[g.IntN(len(g.maps))]; m.value == s {
		return m
	}
	return nil
}

func (g *generator) read(m *mapping) string {
	e := m.name
	if m.keyed {
		e += "[" + g.value(m.key, 0) + "]"
	}
	return g.numeric(m, e)
}

// numeric is what a map holds as a value: aggregates are cast.
func (g *generator) numeric(m *mapping, e string) string {
	if m.aggregate != "" {
		return "(int64)" + e
	}
	return e
}

func (g *generator) cast(e string) string { return "(" + g.intType() + ")(" + e + ")" }

// unknown is a number that the compiler does not know.
func (g *generator) unknown() string {
	return fmt.Sprintf("(%s)(%s %s %s)", g.intType(), g.zero, g.one("+", "-"), g.literal())
}

// literal is a number that stands where its type does not matter, or is cast.
func (g *generator) literal() string {
	switch g.IntN(8) {
	case 0:
		return fmt.Sprint(g.Uint64() >> (1 + g.IntN(63)))
	case 1:
		return fmt.Sprint(uint64(1)<<g.IntN(63) - uint64(g.IntN(2)))
	case 2:
		return fmt.Sprintf("%#x", g.Uint32()>>g.IntN(32))
	}
	return fmt.Sprint(g.IntN(20))
}

// int is a number that is no literal.
func (g *generator) int(depth int) string {
	if depth <= 0 || g.IntN(5) == 0 {
		v := g.pick(number, false)
		switch {
		case v == "" || g.IntN(6) == 0:
			if g.IntN(3) > 0 {
				return g.unknown()
			}
			return "(" + g.intType() + ")" + g.one("", "", "", "-") + g.literal()
		case g.impure && g.IntN(3) == 0:
			if v := g.pick(number, true); v != "" {
				g.impure = g.IntN(2) == 0
				return "(" + g.one(v+"++", v+"--", "++"+v, "--"+v) + ")"
			}
		}
		return v
	}
	switch g.IntN(15) {
	case 0:
		return g.cast(g.int(depth - 1))
	case 1:
		return "(" + g.one("-", "~") + g.int(depth-1) + ")"
	case 2:
		return fmt.Sprintf("(%s %s (%s & 63))", g.int(depth-1), g.one("<<", ">>"), g.int(depth-1))
	case 3:
		return fmt.Sprintf("(%s %s %d)", g.int(depth-1), g.one("<<", ">>"), g.IntN(64))
	case 4:
		g.branches++
		return fmt.Sprintf("(%s ? %s : %s)", g.bool(depth-1), g.int(depth-1), g.int(depth-1))
	case 5:
		return fmt.Sprintf("(%s)%s", g.intType(), g.bool(depth-1))
	case 6:
		return "(int64)strlen(" + g.text(depth-1) + ")"
	case 7:
		if m := g.holding(number); m != nil {
			return g.read(m)
		}
	case 8:
		return g.value(pair, depth-1) + ".0"
	case 9:
		return fmt.Sprintf("(%s %s %s)", g.int(depth-1), g.one("+", "-", "*", "/", "%", "&", "|", "^"), g.literal())
	case 10:
		return fmt.Sprintf("({ let %[1]s = %[2]s; %[1]s })", g.name(), g.int(depth-1))
	case 11:
		g.branches++
		return fmt.Sprintf("(if (%s) { %s } else { %s })", g.bool(depth-1), g.int(depth-1), g.int(depth-1))
	}
	return fmt.Sprintf("(%s %s %s)", g.int(depth-1), g.one("+", "-", "*", "+", "-", "*", "/", "%", "&", "|", "^"), g.int(depth-1))
}

func (g *generator) bool(depth int) string {
	n := g.pick(number, false)
	if depth <= 0 || g.IntN(6) == 0 {
		if v := g.pick(truthy, false); v != "" {
			return v
		}
		return fmt.Sprintf("(%s > %d)", n, g.IntN(10))
	}
	switch g.IntN(10) {
	case 0:
		return fmt.Sprintf("(!%s)", g.bool(depth-1))
	case 1, 2:
		g.branches++
		return fmt.Sprintf("(%s %s %s)", g.bool(depth-1), g.one("&&", "||"), g.bool(depth-1))
	case 3:
		return fmt.Sprintf("(%s %s %s)", g.pick(text, false), g.one("==", "!="), g.text(depth-1))
	case 4:
		return fmt.Sprintf("((%s, %s) %s %s)", n, g.text(depth-1), g.one("==", "!="), g.value(pair, depth-1))
	case 5:
		if m := g.keyed(); m != nil {
			return fmt.Sprintf("has_key(%s, %s)", m.name, g.value(m.key, 1))
		}
	case 6:
		return fmt.Sprintf("strcontains(%s, %q)", g.pick(text, false), g.one("a", "ab", "b", "long", "xyz"))
	case 7:
		return fmt.Sprintf("((%s + %s) %s %s)", n, g.int(depth-1), g.one("==", "!=", "<", "<=", ">", ">="), g.literal())
	case 8:
		return fmt.Sprintf("(bool)(%s ^ %s)", n, g.int(depth-1))
	}
	return fmt.Sprintf("(%s %s %s)", g.int(depth-1), g.one("==", "!=", "<", "<=", ">", ">="), n)
}

func (g *generator) text(depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			g.branches++
			return fmt.Sprintf("(%s ? %s : %s)", g.bool(depth-1), g.text(depth-1), g.text(depth-1))
		case 1:
			if m := g.holding(text); m != nil {
				return g.read(m)
			}
		case 2:
			return g.value(pair, depth-1) + ".1"
		case 3:
			return g.value(nested, depth-1) + ".1.0"
		}
	}
	if v := g.pick(text, false); v != "" && g.IntN(3) > 0 {
		return v
	}
	if g.loops == 0 && g.IntN(8) == 0 {
		return `"a long text of some forty characters, abc"`
	}
	return fmt.Sprintf("%q", g.one("", "a", "ab", "abc", "b", "xyz", "exactly8", "exactly seventeen"))
}
