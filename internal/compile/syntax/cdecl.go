package syntax

import (
	"fmt"
	"strings"
)

// cDecls reads the definitions that the preprocessor left.
type cDecls struct {
	*preprocessor
	i           int
	depth       int
	failed      bool
	enumerators map[string]int64
	tags        map[string]bool // what is defined already: "struct x"
	open        []Span          // the braces that are not closed yet
}

// declarations reads them all, going on after the next ';' when one is wrong.
func (d *cDecls) declarations() {
	for d.i < len(d.out) {
		before := d.i
		d.failed = false
		d.declaration()
		if d.failed {
			d.resync(before)
		}
		d.open = nil
		if d.i == before {
			d.i++
		}
	}
}

// resync skips to the end of the definition that starts at a token: a ';' outside of braces.
func (d *cDecls) resync(start int) {
	depth := 0
	for i := start; i < len(d.out); i++ {
		switch d.out[i].text {
		case "{":
			depth++
		case "}":
			depth--
		case ";":
			if depth <= 0 && i >= d.i {
				d.i = i + 1
				return
			}
		}
	}
	d.i = len(d.out)
}

func (d *cDecls) peek() string { return d.peekAt(0) }

func (d *cDecls) peekAt(n int) string {
	if d.i+n < len(d.out) && !d.failed {
		return d.out[d.i+n].text
	}
	return ""
}

func (d *cDecls) peekIdent() bool {
	return d.i < len(d.out) && !d.failed && d.out[d.i].kind == cIdent
}

func (d *cDecls) accept(text string) bool {
	if d.peek() != text || text == "" {
		return false
	}
	d.i++
	return true
}

// here is the place of the current token, or of the last one at the end.
func (d *cDecls) here() Span {
	if len(d.out) == 0 {
		return d.c.S
	}
	return d.out[min(d.i, len(d.out)-1)].at
}

func (d *cDecls) fail(format string, args ...any) {
	switch {
	case d.failed:
	case d.i >= len(d.out) && len(d.open) > 0:
		d.error(d.open[len(d.open)-1], "this '{' is never closed")
	default:
		d.error(d.here(), format, args...)
	}
	d.failed = true
}

func (d *cDecls) expect(text, where string) {
	if d.accept(text) || d.failed {
		return
	}
	found := "the end of the C part"
	if d.i < len(d.out) {
		found = "'" + printable(d.out[d.i].text) + "'"
	}
	d.fail("expected '%s' %s, found %s", text, where, found)
}

// close takes the '}' of the innermost open brace.
func (d *cDecls) close(where string) {
	if d.expect("}", where); !d.failed {
		d.open = d.open[:len(d.open)-1]
	}
}

// since is the span from token i to the last one taken.
func (d *cDecls) since(i int) At {
	if i >= len(d.out) {
		return At{d.here()}
	}
	return At{Span{d.out[i].at.Start, d.out[max(d.i-1, i)].at.End}}
}

func (d *cDecls) declaration() {
	start := d.i
	if d.accept(";") {
		return
	}
	typedef := d.accept("typedef")
	if !typedef && !isTag(d.peek()) {
		d.fail("expected struct, union, enum or typedef, found '%s'", printable(d.peek()))
		return
	}
	typ, def := d.specifier()
	if !typedef {
		d.attributes(def)
		d.accept(";")
		return
	}
	for !d.failed {
		f := d.declarator(typ, def)
		if f.Name == "" {
			d.fail("expected the name of the type")
			return
		}
		d.c.Typedefs = append(d.c.Typedefs, CTypedef{d.since(start), f.Name, f.Type, f.Def})
		if !d.accept(",") {
			break
		}
	}
	d.expect(";", "after the typedef")
}

func isTag(word string) bool { return word == "struct" || word == "union" || word == "enum" }

// specifier reads the type before the names of a declaration. Of a struct that is defined without a tag, the type is
// nil and def is the definition; with a tag both are there.
func (d *cDecls) specifier() (typ *TypeExpr, def *CStruct) {
	start := d.i
	var words []string
	for !d.failed && d.peekIdent() {
		switch word := d.peek(); {
		case isTag(word) && len(words) == 0:
			typ, def = d.tagged()
			for d.qualifier() {
			}
			return typ, def
		case d.qualifier():
		case cWords[word], word == "float", word == "double", word == "_Bool":
			words = append(words, word)
			d.i++
		case len(words) == 0:
			d.i++
			typ = &TypeExpr{At: d.since(start), Name: word}
			for d.qualifier() {
			}
			return typ, nil
		default:
			return &TypeExpr{At: d.since(start), Name: arithmeticName(words)}, nil
		}
	}
	if len(words) == 0 {
		d.fail("expected a type")
	}
	return &TypeExpr{At: d.since(start), Name: arithmeticName(words)}, nil
}

// arithmeticName is the one spelling of C's ways to write an arithmetic type: "unsigned long", "int", "signed char".
func arithmeticName(words []string) string {
	n := map[string]int{}
	for _, w := range words {
		n[w]++
	}
	name := "int"
	switch {
	case n["_Bool"] > 0:
		return "bool"
	case n["float"] > 0:
		return "float"
	case n["double"] > 0:
		return "double"
	case n["char"] > 0:
		if n["signed"] > 0 {
			return "signed char"
		}
		name = "char"
	case n["short"] > 0:
		name = "short"
	case n["long"] > 1:
		name = "long long"
	case n["long"] > 0:
		name = "long"
	}
	if n["unsigned"] > 0 {
		return "unsigned " + name
	}
	return name
}

// qualifier skips a word that says nothing about the layout, or an attribute.
func (d *cDecls) qualifier() bool {
	switch word := d.peek(); word {
	case "const", "volatile", "restrict", "__restrict", "__extension__", "__user", "__kernel", "__rcu", "__percpu", "__iomem", "static", "register":
		d.i++
		return true
	case "__attribute__", "_Alignas":
		d.attributes(nil)
		return true
	}
	return false
}

// attributes skips __attribute__((...)), noting `packed`.
func (d *cDecls) attributes(def *CStruct) {
	for d.peek() == "__attribute__" || d.peek() == "_Alignas" {
		if d.peek() == "_Alignas" {
			d.warn(d.here(), "the alignment is ignored")
		}
		d.i++
		if d.peek() != "(" {
			d.expect("(", "after the attribute")
			return
		}
		depth := 0
		for d.i < len(d.out) {
			switch text := d.out[d.i].text; text {
			case "(":
				depth++
			case ")":
				depth--
			case "aligned", "__aligned__":
				d.warn(d.out[d.i].at, "the alignment is ignored")
			case "packed", "__packed__":
				if def != nil {
					def.Packed = true
				}
			}
			d.i++
			if depth == 0 {
				break
			}
		}
		if depth != 0 {
			d.fail("the attribute is not closed")
		}
	}
}

// tagged reads struct, union or enum: its name, its definition or both.
func (d *cDecls) tagged() (*TypeExpr, *CStruct) {
	d.depth++
	defer func() { d.depth-- }()
	if d.depth > maxCDepth {
		d.fail("this is nested too deeply")
		return &TypeExpr{}, nil
	}
	start, tag := d.i, d.peek()
	d.i++
	def := &CStruct{Union: tag == "union"}
	d.attributes(def)
	if d.peekIdent() {
		def.Name = d.peek()
		d.i++
	}
	at := d.since(start)
	d.attributes(def)
	typ := &TypeExpr{At: at, Tag: tag, Name: def.Name}
	if d.peek() != "{" {
		if def.Name == "" {
			d.fail("expected a name or '{' after %s", tag)
		}
		return typ, nil
	}
	if def.Name != "" {
		if d.tags[tag+" "+def.Name] {
			d.error(at.S, "%s %s is defined twice", tag, def.Name)
		}
		d.tags[tag+" "+def.Name] = true
	}
	d.open = append(d.open, d.here())
	d.i++
	if tag == "enum" {
		d.enum(start, def.Name)
		d.attributes(nil)
		if typ.Name == "" {
			typ.Tag, typ.Name = "", "unsigned int"
		}
		return typ, nil
	}
	for !d.failed && d.i < len(d.out) && d.peek() != "}" {
		d.members(def)
	}
	d.close("after the members")
	d.attributes(def)
	def.At = d.since(start)
	if def.Name == "" {
		return nil, def
	}
	d.c.Structs = append(d.c.Structs, def)
	return typ, def
}

// members reads one declaration inside a struct, of any number of members.
func (d *cDecls) members(s *CStruct) {
	if d.accept(";") {
		return
	}
	typ, def := d.specifier()
	if d.accept(";") {
		// A definition without a name for a member: anonymous if it has no tag either, as in C.
		if def != nil && def.Name == "" {
			s.Fields = append(s.Fields, &CField{At: def.At, Def: def, Bits: -1})
		} else if def == nil && typ.Tag == "" {
			d.error(typ.S, "this member has no name")
		}
		return
	}
	for !d.failed {
		s.Fields = append(s.Fields, d.declarator(typ, def))
		if !d.accept(",") {
			break
		}
	}
	d.expect(";", "after the member")
}

// declarator reads the pointers, name, dimensions and bits of one declared name.
func (d *cDecls) declarator(typ *TypeExpr, def *CStruct) *CField {
	start := d.i
	f := &CField{Bits: -1, Def: def}
	if typ != nil {
		own := *typ
		f.Type = &own
	} else {
		f.Type = &TypeExpr{At: def.At, Tag: tagOf(def)}
	}
	var suffixes []TypeSuffix
	for d.accept("*") {
		suffixes = append(suffixes, TypeSuffix{Pointer: true, Len: -1})
		for d.qualifier() {
		}
	}
	if d.peek() == "(" {
		f.Name = d.function()
		f.Type, f.Def = &TypeExpr{At: f.Type.At, Name: "void"}, nil
		suffixes = []TypeSuffix{{Pointer: true, Len: -1}}
	} else if d.peekIdent() {
		f.Name = d.peek()
		d.i++
	}
	var dims []TypeSuffix
	for d.accept("[") {
		if d.accept("]") {
			dims = append(dims, TypeSuffix{Open: true})
			continue
		}
		dims = append(dims, TypeSuffix{Len: int(d.constant("]", 1<<30, "the length of the array"))})
		d.expect("]", "after the length of the array")
	}
	// a[2][3] is two arrays of three: what is written last is nearest to the element.
	for i := len(dims) - 1; i >= 0; i-- {
		suffixes = append(suffixes, dims[i])
	}
	if len(suffixes) > 16 {
		d.fail("the type has too many pointers and dimensions")
	}
	if d.accept(":") {
		f.Bits = int(d.constant(",;", 64, "the width of the bit field"))
	}
	d.attributes(nil)
	f.Type.Suffixes = suffixes
	if typ == nil && len(suffixes) == 0 {
		f.Type = nil // the type has no name: Def says all
	}
	f.At = d.since(start)
	return f
}

func tagOf(def *CStruct) string {
	if def.Union {
		return "union"
	}
	return "struct"
}

// function skips the rest of a pointer to a function or to an array, and returns its name.
func (d *cDecls) function() (name string) {
	for d.peek() == "(" || d.peek() == "[" {
		depth := 0
		for d.i < len(d.out) {
			t := d.out[d.i]
			switch {
			case t.text == "(", t.text == "[":
				depth++
			case t.text == ")", t.text == "]":
				depth--
			case t.kind == cIdent && name == "":
				name = t.text
			}
			d.i++
			if depth == 0 {
				break
			}
		}
		if depth != 0 {
			d.fail("a '(' is not closed")
		}
	}
	return name
}

// constant works out the expression up to one of the closing tokens.
func (d *cDecls) constant(closing string, limit int64, what string) int64 {
	start, depth := d.i, 0
	for d.i < len(d.out) && (depth != 0 || !strings.Contains(closing, d.out[d.i].text)) {
		switch d.out[d.i].text {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		case ";", "{", "}":
			d.fail("%s is not closed", what)
			return 0
		}
		d.i++
	}
	e := cEval{tokens: d.out[start:d.i], name: func(n string) (int64, bool) { v, ok := d.enumerators[n]; return v, ok }}
	v, err := e.all()
	if err == "" && (v < 0 || v > limit) {
		err = fmt.Sprintf("%d is not between 0 and %d", v, limit)
	}
	if err != "" {
		if !d.failed {
			d.error(d.since(start).S, "%s: %s", what, err)
		}
		return 0
	}
	return v
}

// enum reads the names and values up to the '}'.
func (d *cDecls) enum(start int, name string) {
	e := &CEnum{Name: name}
	next := int64(0)
	for !d.failed && d.peek() != "}" {
		if !d.peekIdent() {
			d.fail("expected a name, found '%s'", printable(d.peek()))
			return
		}
		n := d.peek()
		d.i++
		d.attributes(nil)
		if d.accept("=") {
			from := d.i
			depth := 0
			for d.i < len(d.out) && (depth != 0 || d.out[d.i].text != "," && d.out[d.i].text != "}") {
				switch d.out[d.i].text {
				case "(":
					depth++
				case ")":
					depth--
				}
				d.i++
			}
			eval := cEval{tokens: d.out[from:d.i], name: func(n string) (int64, bool) { v, ok := d.enumerators[n]; return v, ok }}
			v, err := eval.all()
			if err != "" {
				d.error(d.since(from).S, "the value of %s: %s", n, err)
			}
			next = v
		}
		e.Names = append(e.Names, n)
		e.Values = append(e.Values, next)
		d.enumerators[n] = next
		next++
		if !d.accept(",") {
			break
		}
	}
	d.close("after the names of the enum")
	e.At = d.since(start)
	d.c.Enums = append(d.c.Enums, e)
}
