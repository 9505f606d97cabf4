package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// Dump is the text form of what is known: maps, then programs with their attach points, variables and typed trees.
func (i *Info) Dump() string {
	d := &dumper{info: i}
	for _, m := range i.Maps {
		d.mapLine(m)
	}
	for _, p := range i.Programs {
		d.program(p)
	}
	return d.b.String()
}

type dumper struct {
	info *Info
	b    strings.Builder
}

func (d *dumper) line(depth int, format string, args ...any) {
	d.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&d.b, format, args...)
	d.b.WriteByte('\n')
}

func (d *dumper) mapLine(m *Map) {
	text := "map " + m.Name
	if !m.Scalar {
		text += "[" + m.Key.String() + "]"
	}
	text += " = " + m.Value.String()
	if m.Kind != "" {
		text += " " + m.Kind
	}
	text += " (" + strconv.Itoa(m.MaxEntries) + ")"
	for _, f := range []struct {
		on   bool
		name string
	}{
		{m.Read, "read"}, {m.Deleted, "delete"}, {m.Tested, "has_key"}, {m.Cleared, "clear"}, {m.Printed, "print"},
		{m.Iterated, "for"}, {m.Length, "len"}, {m.AddressTaken, "address"},
	} {
		if f.on {
			text += " " + f.name
		}
	}
	d.line(0, "%s", text)
}

func (d *dumper) program(p *Program) {
	d.line(0, "program %s", p.Kind)
	for i := range p.Points {
		d.line(1, "%s", pointText(&p.Points[i]))
	}
	if p.Args != nil {
		for _, f := range p.Args.Fields {
			text := f.Type.String() + " " + f.Name + " @" + strconv.Itoa(f.Offset)
			if f.DataLoc {
				text += " data"
			}
			d.line(1, "arg %s%s", text, marks(f.Type))
		}
	}
	if p.Retval != nil {
		d.line(1, "retval %s%s", p.Retval, marks(p.Retval))
	}
	if len(p.Uses) > 0 {
		d.line(1, "uses %s", strings.Join(slices.Sorted(maps.Keys(p.Uses)), " "))
	}
	for _, v := range d.variables(p) {
		text := v.Name + " " + v.Type.String() + marks(v.Type)
		if v.AddressTaken {
			text += " address"
		}
		if v.InCallback {
			text += " callback"
		}
		d.line(1, "var %s", text)
	}
	if p.Decl.Predicate != nil {
		d.line(1, "predicate")
		d.node(2, p.Decl.Predicate)
	}
	d.line(1, "body")
	d.block(2, p.Decl.Body)
}

// pointText is a point with what it came to.
func pointText(p *Point) string {
	text := p.Text
	if p.Period != 0 {
		text += fmt.Sprintf(" period %d", p.Period)
	}
	if p.Frequency != 0 {
		text += fmt.Sprintf(" frequency %d", p.Frequency)
	}
	if p.Syscall >= 0 {
		text += fmt.Sprintf(" syscall %d", p.Syscall)
	}
	if p.FileOff != 0 {
		text += fmt.Sprintf(" offset 0x%x", p.FileOff)
	}
	if p.Address != 0 {
		text += fmt.Sprintf(" address 0x%x", p.Address)
	}
	if p.Wild {
		text += " wild"
	}
	return text
}

// marks tells what a pointer is known to be.
func marks(t *types.Type) string {
	if t == nil || t.Kind != types.Pointer {
		return ""
	}
	text := [...]string{"", " kernel", " user"}[t.Space]
	if t.Trusted {
		text += " trusted"
	}
	return text
}

// variables of a program, in the order of their names and places.
func (d *dumper) variables(p *Program) []*Variable {
	var list []*Variable
	seen := make(map[*Variable]bool)
	syntax.Walk(p.Decl, func(n syntax.Node) bool {
		if n, ok := n.(*syntax.Var); ok {
			if v := d.info.Vars[n]; v != nil && !seen[v] {
				seen[v] = true
				list = append(list, v)
			}
		}
		return true
	})
	slices.SortStableFunc(list, func(a, b *Variable) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (d *dumper) block(depth int, b *syntax.Block) {
	if b == nil {
		return
	}
	for _, s := range b.Stmts {
		d.node(depth, s)
	}
	if b.Value != nil {
		d.line(depth, "value")
		d.node(depth+1, b.Value)
	}
}

// node writes a statement or an expression with its type, and what is below it.
func (d *dumper) node(depth int, n syntax.Node) {
	text := nodeText(n)
	if e, ok := n.(syntax.Expr); ok {
		if t := d.info.Types[e]; t != nil {
			text += " : " + t.String() + marks(t)
		}
		if k := d.info.Consts[e]; k != nil {
			text += " = " + constText(k, d.info.Types[e])
			d.line(depth, "%s", text)
			return // what is below has been folded
		}
	}
	switch n := n.(type) {
	case *syntax.If:
		d.line(depth, "%s", text)
		d.node(depth+1, n.Cond)
		k := d.info.Consts[n.Cond]
		if k == nil || k.Int != 0 {
			d.line(depth, "then")
			d.block(depth+1, n.Then)
		}
		if n.Else != nil && (k == nil || k.Int == 0) {
			d.line(depth, "else")
			d.block(depth+1, n.Else)
		}
		return
	case *syntax.IfExpr:
		d.line(depth, "%s", text)
		d.node(depth+1, n.If)
		return
	case *syntax.BlockExpr:
		d.line(depth, "%s", text)
		d.block(depth+1, n.Body)
		return
	case *syntax.Block:
		d.block(depth, n)
		return
	case *syntax.TypeExpr:
		return
	}
	d.line(depth, "%s", text)
	first := true
	syntax.Walk(n, func(child syntax.Node) bool {
		if first { // n itself
			first = false
			return true
		}
		d.node(depth+1, child)
		return false
	})
}

func constText(k *Const, t *types.Type) string {
	switch {
	case k.Kind == ConstString:
		return strconv.Quote(k.Str)
	case k.Kind == ConstBool:
		return strconv.FormatBool(k.Int != 0)
	case t != nil && t.Signed:
		return strconv.FormatInt(int64(k.Int), 10)
	}
	return strconv.FormatUint(k.Int, 10)
}

// nodeText names a node with what it holds itself.
func nodeText(n syntax.Node) string {
	switch n := n.(type) {
	case *syntax.Ident:
		return n.Name
	case *syntax.Var:
		return shownName(n.Name)
	case *syntax.MapRef:
		return n.Name
	case *syntax.IntLit, *syntax.StringLit, *syntax.BoolLit:
		return "literal"
	case *syntax.Unary:
		return "unary " + n.Op.String()
	case *syntax.Binary:
		return "binary " + n.Op.String()
	case *syntax.IncDec:
		if n.Dec {
			return "decrement"
		}
		return "increment"
	case *syntax.Call:
		return "call " + n.Func
	case *syntax.Field:
		return "field " + n.Name
	case *syntax.TupleIndex:
		return "element " + strconv.Itoa(n.Index)
	case *syntax.Record:
		return "record " + strings.Join(n.Names, " ")
	case *syntax.Assign:
		if n.Op != syntax.OpNone {
			return "assign " + n.Op.String() + "="
		}
		return "assign"
	case *syntax.Jump:
		return [...]string{"break", "continue", "return"}[n.Kind]
	}
	name := fmt.Sprintf("%T", n)
	return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
}
