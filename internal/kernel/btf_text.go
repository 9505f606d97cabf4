package kernel

import (
	"fmt"
	"strconv"
	"strings"
)

// maxTextParts bounds what is written of one type: damaged types can contain each other without an end.
const maxTextParts = 20_000

// typeWriter writes types as C declares them.
type typeWriter struct {
	b     *BTFTypes
	parts int
}

// Signature returns a type as C declares it: of a function its prototype, of a struct, union or enum all that is in it, of
// others one line. It is "" for a type that is not there.
func (b *BTFTypes) Signature(id uint32) string {
	t := b.Type(id)
	if t == nil {
		return ""
	}
	w := &typeWriter{b: b}
	switch t.Kind {
	case BTFFunc:
		return w.declare(t.Elem, t.Name, "", 0)
	case BTFStruct, BTFUnion, BTFEnum, BTFEnum64:
		return w.body(t, "", 0) + ";"
	case BTFTypedef:
		return "typedef " + w.declare(t.Elem, t.Name, "", 0) + ";"
	}
	return w.declare(id, "", "", 0)
}

// TypeName returns a type as C names it: "struct file *", "char[16]".
func (b *BTFTypes) TypeName(id uint32) string { return b.Declare(id, "") }

// Declare returns the declaration of a name as C writes it: "struct file *f", "char comm[16]", "void (*call)(int)".
func (b *BTFTypes) Declare(id uint32, name string) string {
	return (&typeWriter{b: b}).declare(id, name, "", 0)
}

// declare builds the declaration of a name from the inside out. What is nested is indented by more than indent.
func (w *typeWriter) declare(id uint32, name, indent string, depth int) string {
	t := w.b.Type(id)
	if w.parts++; t == nil || depth > maxTypeDepth || w.parts > maxTextParts {
		return beside("...", name)
	}
	depth++
	switch t.Kind {
	case BTFPtr:
		if elem := w.b.Type(w.untagged(t.Elem)); elem != nil && (elem.Kind == BTFArray || elem.Kind == BTFFuncProto) {
			return w.declare(elem.ID, "(*"+name+")", indent, depth)
		}
		return w.declare(t.Elem, "*"+name, indent, depth)
	case BTFArray:
		return w.declare(t.Elem, name+"["+strconv.Itoa(t.Len)+"]", indent, depth)
	case BTFFuncProto:
		return w.declare(t.Elem, name+"("+w.params(t, indent, depth)+")", indent, depth)
	case BTFConst:
		return w.qualified("const", t.Elem, name, indent, depth)
	case BTFVolatile:
		return w.qualified("volatile", t.Elem, name, indent, depth)
	case BTFRestrict:
		return w.qualified("restrict", t.Elem, name, indent, depth)
	case BTFTypeTag, BTFFunc, BTFVar, BTFDeclTag:
		return w.declare(t.Elem, name, indent, depth)
	case BTFStruct, BTFUnion, BTFEnum, BTFEnum64:
		if t.Name == "" {
			return beside(w.body(t, indent, depth), name)
		}
		return beside(keyword(t.Kind)+" "+t.Name, name)
	case BTFFwd:
		return beside("struct "+t.Name, name)
	}
	return beside(t.Name, name)
}

// beside puts a name behind a type.
func beside(typ, name string) string {
	if name == "" || name[0] == '[' {
		return typ + name
	}
	return typ + " " + name
}

func keyword(kind BTFKind) string {
	switch kind {
	case BTFStruct:
		return "struct"
	case BTFUnion:
		return "union"
	}
	return "enum"
}

// qualified writes a qualifier before what it belongs to: the name of a pointer, or else the type.
func (w *typeWriter) qualified(word string, id uint32, name, indent string, depth int) string {
	if elem := w.b.Type(w.untagged(id)); elem != nil && elem.Kind == BTFPtr {
		return w.declare(id, beside(word, name), indent, depth)
	}
	return word + " " + w.declare(id, name, indent, depth)
}

// untagged passes over type tags, which C does not show.
func (w *typeWriter) untagged(id uint32) uint32 {
	for range maxTypeDepth {
		t := w.b.Type(id)
		if t == nil || t.Kind != BTFTypeTag {
			break
		}
		id = t.Elem
	}
	return id
}

func (w *typeWriter) params(t *CType, indent string, depth int) string {
	if len(t.Params) == 0 {
		return "void"
	}
	params := make([]string, len(t.Params))
	for i, p := range t.Params {
		if p.Type == 0 { // the mark of a function with any number of them
			params[i] = "..."
			continue
		}
		params[i] = w.declare(p.Type, p.Name, indent, depth)
	}
	return strings.Join(params, ", ")
}

// body writes what is between the braces, and the braces.
func (w *typeWriter) body(t *CType, indent string, depth int) string {
	var s strings.Builder
	s.WriteString(beside(keyword(t.Kind), t.Name))
	if len(t.Members) == 0 && len(t.Values) == 0 {
		return s.String() + " {}"
	}
	s.WriteString(" {\n")
	inner := indent + "\t"
	for _, m := range t.Members {
		if w.parts > maxTextParts {
			break
		}
		s.WriteString(inner + w.declare(m.Type, m.Name, inner, depth))
		if m.Bits > 0 {
			fmt.Fprintf(&s, ": %d", m.Bits)
		}
		s.WriteString(";\n")
	}
	for _, v := range t.Values {
		if w.parts++; w.parts > maxTextParts {
			break
		}
		if t.Signed || t.Size < 8 {
			fmt.Fprintf(&s, "%s%s = %d,\n", inner, v.Name, v.Value)
		} else {
			fmt.Fprintf(&s, "%s%s = %d,\n", inner, v.Name, uint64(v.Value))
		}
	}
	s.WriteString(indent + "}")
	return s.String()
}
