package syntax

import (
	"fmt"
	"strings"
)

// typeNames are the names that are types wherever they stand. All other names become types only where nothing else
// can be meant.
var typeNames = map[string]bool{
	"bool": true, "int8": true, "int16": true, "int32": true, "int64": true, "uint8": true, "uint16": true,
	"uint32": true, "uint64": true, "string": true, "buffer": true, "inet": true, "void": true,
}

// cWords are the words that C spells its arithmetic types with: several of them make one name.
var cWords = map[string]bool{
	"unsigned": true, "signed": true, "long": true, "short": true, "int": true, "char": true, "const": true, "volatile": true,
}

// notTypes are the builtin variables: (pid)-1 is a subtraction, whereas (name)-1 casts.
var notTypes = map[string]bool{
	"args": true, "ctx": true, "kstack": true, "ustack": true, "nsecs": true, "pid": true, "tid": true, "uid": true, "gid": true,
	"comm": true, "elapsed": true, "cpu": true, "ncpus": true, "numaid": true, "jiffies": true, "rand": true, "cgroup": true,
	"usermode": true, "curtask": true, "cpid": true, "has_cpid": true, "ppid": true, "pcomm": true, "retval": true, "func": true,
	"probe": true, "probetype": true, "username": true, "leader_tid": true, "leader_comm": true, "true": true, "false": true,
}

// isNotType tells whether a name in parentheses is a value.
func (p *parser) isNotType(name string) bool {
	if notTypes[name] || p.params[name] || p.define && !typeNames[name] && !strings.HasSuffix(name, "_t") {
		return true
	}
	for _, prefix := range []string{"arg", "sarg"} {
		if len(name) > len(prefix) && name[:len(prefix)] == prefix {
			i := len(prefix)
			for i < len(name) && isDigit(name[i]) {
				i++
			}
			return i == len(name)
		}
	}
	return false
}

// typeShape is what a look ahead over a type found.
type typeShape struct {
	end             token // the token after it
	tagged          bool  // struct, union, enum, or typeof
	pointer, sized  bool  // has a '*' or [], has a [N]
	builtin, single bool  // names a type of the language, is one bare name
	name            string
}

// shape looks over a type that starts at a token, without reading typeof. ok is false if there is none.
func (p *parser) shape(t token) (s typeShape, ok bool) {
	if t.kind != tokIdent {
		return s, false
	}
	word := func() string { return string(p.text[t.start:t.end]) }
	s.name = word()
	switch {
	case s.name == "struct" || s.name == "union" || s.name == "enum":
		if t = p.scan(t.end); t.kind != tokIdent {
			return s, false
		}
		s.tagged = true
		t = p.scan(t.end)
	case s.name == "const", s.name == "volatile":
		s, ok = p.shape(p.scan(t.end))
		s.builtin, s.single = true, false
		return s, ok
	case cWords[s.name]:
		s.builtin = true
		words := 0
		for ; t.kind == tokIdent && cWords[word()]; words++ {
			t = p.scan(t.end)
		}
		s.single = words == 1
	default:
		s.builtin, s.single = typeNames[s.name], true
		t = p.scan(t.end)
	}
	for {
		switch t.kind {
		case tokStar:
			s.pointer, s.single = true, false
		case tokLBracket:
			t = p.scan(t.end)
			if t.kind == tokInt {
				s.sized = true
				t = p.scan(t.end)
			} else {
				s.pointer = true
			}
			s.single = false
			if t.kind != tokRBracket {
				return s, false
			}
		default:
			s.end = t
			return s, true
		}
		t = p.scan(t.end)
	}
}

// castAhead tells whether the '(' here opens a cast.
func (p *parser) castAhead() bool {
	s, ok := p.shape(p.scan(p.tok.end))
	if !ok || s.end.kind != tokRParen {
		return false
	}
	after := p.scan(s.end.end).kind
	switch {
	case s.tagged, s.pointer:
		return true
	case s.single && !s.builtin && p.isNotType(s.name):
		return false
	case s.builtin && after == tokInc:
		return true
	}
	return startsExpr(after)
}

// typeofAhead tells whether the '(' here is followed by typeof(.
func (p *parser) typeofAhead() bool {
	t := p.scan(p.tok.end)
	return t.kind == tokIdent && string(p.text[t.start:t.end]) == "typeof" && p.scan(t.end).kind == tokLParen
}

// typeAhead tells whether a type is spelled out here, which is no expression whatever the names mean.
func (p *parser) typeAhead() bool {
	s, ok := p.shape(p.tok)
	if !ok || s.end.kind != tokComma && s.end.kind != tokRParen {
		return false
	}
	return s.tagged || s.pointer || s.builtin && !s.single
}

// typeOrExpr reads the argument of sizeof and the like. A bare name that is no type of the language comes as an Ident.
func (p *parser) typeOrExpr() (*TypeExpr, Expr) {
	if p.is("typeof") && p.following(tokLParen) {
		return p.typeExpr(), nil
	}
	s, ok := p.shape(p.tok)
	ends := ok && (s.end.kind == tokComma || s.end.kind == tokRParen)
	if ends && (s.tagged || s.pointer || s.builtin) || p.is("struct") || p.is("union") || p.is("enum") {
		return p.typeExpr(), nil
	}
	x := p.expr()
	if name, ok := x.(*Ident); ok && (typeNames[name.Name] || cWords[name.Name]) && !p.failed { // in parentheses of its own
		return &TypeExpr{At: name.At, Name: arithmeticNameOf(name.Name)}, nil
	}
	return nil, x
}

// arithmeticNameOf is the one spelling of a name of one word.
func arithmeticNameOf(word string) string {
	if cWords[word] {
		return arithmeticName([]string{word})
	}
	return word
}

// typeExpr reads a type.
func (p *parser) typeExpr() *TypeExpr {
	t := &TypeExpr{At: At{p.tokSpan()}}
	if !p.enter() {
		return t
	}
	defer p.leave()
	start := p.tok.start
	if p.tok.kind != tokIdent {
		p.expected("a type", "")
		return t
	}
	switch word := p.word(); {
	case word == "typeof" && p.following(tokLParen):
		t = p.typeofExpr()
	case word == "struct", word == "union", word == "enum":
		t.Tag = word
		p.next()
		t.Name, _ = p.ident("the name of the " + word)
	case cWords[word]:
		t.Name = p.cTypeName(t)
	default:
		t.Name = word
		p.next()
	}
	p.typeSuffixes(t)
	t.At = p.from(start)
	return t
}

// cTypeName reads a name made of C's words; `const struct x` and `const uint8` end in another name.
func (p *parser) cTypeName(t *TypeExpr) string {
	var words []string
	for p.tok.kind == tokIdent && cWords[p.word()] {
		if w := p.word(); w != "const" && w != "volatile" {
			words = append(words, w)
		}
		p.next()
	}
	if words != nil {
		return arithmeticName(words)
	}
	if p.is("struct") || p.is("union") || p.is("enum") {
		t.Tag = p.word()
		p.next()
	}
	name, _ := p.ident("a type")
	return name
}

// typeSuffixes reads the pointers and dimensions. The first dimension of a sized type is its size.
func (p *parser) typeSuffixes(t *TypeExpr) {
	for n := 0; p.tok.kind == tokStar || p.tok.kind == tokLBracket; n++ {
		if n > 16 {
			p.fail("the type has too many pointers and dimensions", "")
			return
		}
		if p.accept(tokStar) {
			t.Suffixes = append(t.Suffixes, TypeSuffix{Pointer: true, Len: -1})
			continue
		}
		p.next()
		if p.accept(tokRBracket) {
			t.Suffixes = append(t.Suffixes, TypeSuffix{Open: true})
			continue
		}
		if p.tok.kind != tokInt {
			p.expected("a number", "as the length of the array")
			return
		}
		at := p.tokSpan()
		lit := p.intLit()
		if lit.Value > 1<<30 {
			p.report(at, fmt.Sprintf("length %s is too large", lit.Text), "")
		}
		length := int(lit.Value & (1<<30 - 1))
		p.expect(tokRBracket, "after the length")
		sized := t.Tag == "" && (t.Name == "string" || t.Name == "buffer" || t.Name == "inet")
		if sized && t.Size == 0 && len(t.Suffixes) == 0 && length > 0 {
			t.Size = length
		} else {
			t.Suffixes = append(t.Suffixes, TypeSuffix{Len: length})
		}
	}
}

// typeofExpr reads typeof(expr) or typeof(type).
func (p *parser) typeofExpr() *TypeExpr {
	start := p.tok.start
	t := &TypeExpr{}
	p.next()
	p.expect(tokLParen, "after typeof")
	t.TypeofType, t.Typeof = p.typeOrExpr()
	p.expect(tokRParen, "after the argument of typeof")
	t.At = p.from(start)
	return t
}
