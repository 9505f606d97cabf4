package syntax

import (
	"fmt"
	"strings"
)

// Dump is the text form of a tree: one node a line, indented below its parent, with its kind and value. Places are
// left out, so that two trees that mean the same have the same text.
func Dump(n Node) string {
	d := &dumper{}
	d.node(0, "", n)
	return d.b.String()
}

type dumper struct{ b strings.Builder }

func (d *dumper) line(depth int, role, text string) {
	if role != "" {
		role += ": "
	}
	fmt.Fprintf(&d.b, "%*s%s%s\n", 2*depth, "", role, text)
}

// node writes a node and what is below it. role names its place in the parent where order does not tell.
func (d *dumper) node(depth int, role string, n Node) {
	if isNil(n) {
		return
	}
	switch n := n.(type) {
	case *Program:
		d.line(depth, role, label(n))
		if n.Shebang != "" {
			d.line(depth+1, "", "Shebang "+quote(n.Shebang))
		}
		d.below(depth, n)
	case *CPart:
		d.cPart(depth, n)
	case *If:
		d.line(depth, role, label(n))
		d.node(depth+1, "cond", n.Cond)
		d.node(depth+1, "then", n.Then)
		d.node(depth+1, "else", n.Else)
	case *Block:
		d.line(depth, role, label(n))
		for _, s := range n.Stmts {
			d.node(depth+1, "", s)
		}
		if n.Value != nil {
			d.node(depth+1, "value", n.Value)
		}
	case *Probe:
		d.line(depth, role, label(n))
		for _, a := range n.Points {
			d.node(depth+1, "", a)
		}
		if n.Predicate != nil {
			d.node(depth+1, "predicate", n.Predicate)
		}
		d.node(depth+1, "", n.Body)
	case *Record:
		d.line(depth, role, label(n))
		for i, x := range n.Elems {
			d.node(depth+1, n.Names[i], x)
		}
	case *TypeExpr:
		if n.Typeof == nil {
			d.line(depth, role, label(n))
			break
		}
		rest := *n
		rest.Typeof, rest.Name = nil, "typeof"
		d.line(depth, role, label(&rest))
		d.node(depth+1, "", n.Typeof)
	default:
		d.line(depth, role, label(n))
		d.below(depth, n)
	}
}

func (d *dumper) below(depth int, n Node) {
	eachChild(n, func(c Node) { d.node(depth+1, "", c) })
}

// cPart writes the preamble: what the preprocessor made of it, or its text if it did not run.
func (d *dumper) cPart(depth int, c *CPart) {
	d.line(depth, "", label(c))
	for _, i := range c.Includes {
		d.line(depth+1, "", "Include "+i.Path)
	}
	for _, def := range c.Defines {
		d.line(depth+1, "", "Define "+def.Name+" "+quote(def.Text))
		if def.Value != nil {
			d.node(depth+2, "", def.Value)
		}
	}
	for _, s := range c.Structs {
		d.node(depth+1, "", s)
	}
	for _, t := range c.Typedefs {
		d.line(depth+1, "", "Typedef "+t.Name)
		d.node(depth+2, "", t.Type)
		if t.Def != nil {
			d.node(depth+2, "", t.Def)
		}
	}
	for _, e := range c.Enums {
		d.line(depth+1, "", label(e))
		for i, name := range e.Names {
			d.line(depth+2, "", fmt.Sprintf("%s = %d", name, e.Values[i]))
		}
	}
}

// label is the kind of a node and the values it holds itself.
func label(n Node) string {
	with := func(kind string, words ...string) string {
		for _, w := range words {
			if w != "" {
				kind += " " + w
			}
		}
		return kind
	}
	flag := func(set bool, word string) string {
		if set {
			return word
		}
		return ""
	}
	switch n := n.(type) {
	case *Program:
		return "Program"
	case *CPart:
		return "C " + quote(n.Text)
	case *Probe:
		return "Probe"
	case *Block:
		return "Block"
	case *CEnum:
		return with("Enum", n.Name)
	case *TypeExpr:
		return "Type " + TypeString(n)
	case *CStruct:
		return with(flag(!n.Union, "Struct")+flag(n.Union, "Union"), n.Name, flag(n.Packed, "packed"))
	case *CField:
		bits := ""
		if n.Bits >= 0 {
			bits = fmt.Sprintf(":%d", n.Bits)
		}
		return with("Member", n.Name+bits)
	case *Config:
		return "Config"
	case *ConfigItem:
		return with("Setting", n.Key)
	case *Import:
		return with("Import", quote(n.Path))
	case *AttachPoint:
		name := ""
		if n.Name != "" {
			name = n.Name + "="
		}
		parts := make([]string, len(n.Parts))
		for i, p := range n.Parts {
			parts[i] = quote(p)
		}
		return with("AttachPoint", name+"["+strings.Join(parts, " ")+"]")
	case *Macro:
		return with("Macro", n.Name)
	case *Func:
		return with("Func", n.Name)
	case *Param:
		return with("Param", n.Name)
	case *MapDecl:
		return with("MapDecl", n.Name, n.Kind)
	case *ExprStmt:
		return "ExprStmt"
	case *Assign:
		return with("Assign", n.Op.String()+"=", flag(n.Let, "let"))
	case *Let:
		return "Let"
	case *If:
		return with("If", flag(n.Comptime, "comptime"))
	case *Unroll:
		return "Unroll"
	case *While:
		return "While"
	case *ForRange:
		return "ForRange"
	case *ForMap:
		return "ForMap"
	case *Jump:
		return [...]string{"Break", "Continue", "Return"}[n.Kind]
	case *BlockStmt:
		return "BlockStmt"
	case *IntLit:
		if n.Neg {
			return fmt.Sprintf("Int %d", int64(n.Value))
		}
		return fmt.Sprintf("Int %d", n.Value)
	case *StringLit:
		return "String " + quote(n.Value)
	case *BoolLit:
		return fmt.Sprintf("Bool %t", n.Value)
	case *Ident:
		return "Ident " + n.Name
	case *Var:
		return "Var " + n.Name
	case *Positional:
		if n.N == 0 {
			return "Positional $#"
		}
		return fmt.Sprintf("Positional $%d", n.N)
	case *MapRef:
		return "Map " + n.Name
	case *AddrOf:
		return "AddrOf"
	case *Unary:
		return "Unary " + n.Op.String()
	case *IncDec:
		op := "++"
		if n.Dec {
			op = "--"
		}
		return with("IncDec", flag(n.Prefix, op+"x")+flag(!n.Prefix, "x"+op))
	case *Binary:
		return "Binary " + n.Op.String()
	case *Ternary:
		return with("Ternary", flag(n.Then == nil, "?:"))
	case *Call:
		return "Call " + n.Func
	case *TypeArg:
		return "TypeArg"
	case *Sizeof:
		return "Sizeof"
	case *Offsetof:
		return with("Offsetof", strings.Join(n.Fields, "."))
	case *Typeinfo:
		return "Typeinfo"
	case *Comptime:
		return "Comptime"
	case *Cast:
		return "Cast"
	case *Field:
		return with("Field", n.Name, flag(n.Arrow, "->"))
	case *TupleIndex:
		return fmt.Sprintf("TupleIndex %d", n.Index)
	case *Index:
		return "Index"
	case *Tuple:
		return "Tuple"
	case *Record:
		return "Record"
	case *IfExpr:
		return "IfExpr"
	case *BlockExpr:
		return "BlockExpr"
	}
	return fmt.Sprintf("%T", n)
}
