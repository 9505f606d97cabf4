package syntax

import (
	"bytes"
	"fmt"
)

// program reads the sections in their order: #! line, C part, config and imports, declarations.
func (p *parser) program() *Program {
	prog := &Program{At: At{p.span(0, len(p.text))}}
	i := 0
	if p.hasPrefix(0, "\xef\xbb\xbf") { // the byte order mark of some editors
		i = 3
	}
	i = p.skip(i)
	if p.hasPrefix(i, "#!") {
		end := p.lineEnd(i)
		prog.Shebang = string(bytes.TrimRight(p.text[i:end], "\r"))
		i = end
	}
	prog.C, i = p.cPart(i)
	p.tok = p.scan(i)
	for p.tok.kind != tokEOF {
		before := p.tok.start
		p.declaration(prog)
		if p.failed {
			p.skipDeclaration()
		}
		if p.tok.kind != tokEOF && p.tok.start == before {
			p.next() // whatever it is, it has been told about
		}
	}
	return prog
}

// declaration reads one of anything that stands outside of blocks, complaining about what stands too late.
func (p *parser) declaration(prog *Program) {
	p.unclosed, p.lost = false, false
	start := p.tokSpan()
	late := func(what string) {
		if len(prog.Decls) > 0 {
			p.report(start, what+" must stand before the first probe, macro and function", "move it up")
		}
	}
	switch {
	case p.tok.kind == tokSemicolon:
		p.next()
	case p.tok.kind == tokRBrace:
		p.report(start, "'}' without a '{' before it", "")
		p.next()
	case p.cItemEnd(p.tok.start) > 0:
		p.report(start, "C definitions must stand before everything else", "move it to the top of the script")
		p.tok = p.scan(p.cItemEnd(p.tok.start))
	case p.is("config") && p.following(tokAssign, tokLBrace):
		late("config")
		if prog.Config != nil {
			p.report(start, "there is a config block already", "put the settings into one block")
		}
		prog.Config = p.config()
	case p.is("import") && p.following(tokString):
		late("an import")
		prog.Imports = append(prog.Imports, p.importDecl())
	case p.is("let") && p.following(tokMap, tokVar, tokIdent):
		if d := p.mapDecl(); !p.failed {
			prog.Decls = append(prog.Decls, d)
		}
	case p.is("macro") && p.following(tokIdent, tokLParen):
		prog.Decls = append(prog.Decls, p.macro())
	case p.is("fn") && p.following(tokIdent):
		prog.Decls = append(prog.Decls, p.function())
	default:
		prog.Decls = append(prog.Decls, p.probe())
	}
}

// following tells whether the token after the current one is of one of the kinds.
func (p *parser) following(kinds ...kind) bool {
	after := p.scan(p.tok.end).kind
	for _, k := range kinds {
		if after == k {
			return true
		}
	}
	return false
}

// skipDeclaration goes on after an error outside of blocks: at what looks like a declaration, or after a whole {}.
func (p *parser) skipDeclaration() {
	p.goOn()
	for depth := 0; p.tok.kind != tokEOF; p.next() {
		switch p.tok.kind {
		case tokLBrace:
			depth++
			continue
		case tokRBrace:
			if depth--; depth <= 0 {
				p.next()
				return
			}
			continue
		}
		if p.firstOnLine() && p.atDecl() {
			return
		}
	}
}

func (p *parser) config() *Config {
	start := p.tok.start
	p.next()
	c := &Config{}
	if p.expect(tokAssign, "after config") && p.expect(tokLBrace, "to open the config block") {
		for p.tok.kind != tokRBrace && p.tok.kind != tokEOF {
			if item := p.configItem(); !p.failed {
				c.Items = append(c.Items, item)
				continue
			}
			p.skipStatement()
			if p.tok.kind == tokLBrace || p.atDecl() {
				break
			}
		}
		p.expect(tokRBrace, "to close the config block")
	}
	c.At = p.from(start)
	return c
}

func (p *parser) configItem() *ConfigItem {
	start := p.tok.start
	item := &ConfigItem{}
	item.Key, _ = p.ident("the name of a setting")
	p.expect(tokAssign, "after the name of the setting")
	switch p.tok.kind {
	case tokInt, tokString, tokIdent:
		item.Value = p.literalOrName()
	default:
		p.expected("a number, a string, a word, true or false", "as the value of the setting")
	}
	item.At = p.from(start)
	p.statementEnd("after the setting")
	return item
}

// literalOrName reads an integer, a string, true, false or a bare name.
func (p *parser) literalOrName() Expr {
	switch p.tok.kind {
	case tokInt:
		return p.intLit()
	case tokString:
		return p.stringLit()
	}
	at, name := At{p.tokSpan()}, p.word()
	p.next()
	if name == "true" || name == "false" {
		return &BoolLit{at, name == "true"}
	}
	return &Ident{at, name}
}

func (p *parser) importDecl() *Import {
	start := p.tok.start
	p.next()
	d := &Import{Path: p.stringLit().Value, At: p.from(start)}
	p.statementEnd("after the import")
	return d
}

func (p *parser) mapDecl() *MapDecl {
	start := p.tok.start
	p.next()
	d := &MapDecl{}
	if p.tok.kind != tokMap {
		p.fail("outside of blocks, let declares a map, found "+p.found(), "write let @name = hash(1000);")
		return d
	}
	d.Name = p.word()
	p.next()
	p.expect(tokAssign, "after the name of the map")
	d.Kind, _ = p.ident("the kind of the map, as hash or lruhash")
	p.expect(tokLParen, "before the number of entries")
	if p.tok.kind == tokInt {
		d.Size = p.intLit()
	} else {
		p.expected("the number of entries", "of the map")
	}
	p.expect(tokRParen, "after the number of entries")
	d.At = p.from(start)
	p.accept(tokSemicolon)
	return d
}

func (p *parser) macro() *Macro {
	start := p.tok.start
	p.next()
	m := &Macro{}
	m.Name, _ = p.ident("the name of the macro")
	p.params = map[string]bool{}
	if p.expect(tokLParen, "after the name of the macro") {
		for p.tok.kind != tokRParen {
			switch p.tok.kind {
			case tokVar, tokMap:
				m.Params = append(m.Params, p.primary())
				if ref, ok := m.Params[len(m.Params)-1].(*MapRef); ok && ref.Key != nil {
					p.failAt(ref.S, "a macro takes a whole map, without a key", "")
				}
			case tokIdent:
				p.params[p.word()] = true
				m.Params = append(m.Params, &Ident{At{p.tokSpan()}, p.word()})
				p.next()
			default:
				p.expected("$name, @name or name", "as a parameter of the macro")
			}
			if !p.accept(tokComma) {
				break
			}
		}
		p.expect(tokRParen, "after the parameters of the macro")
	}
	p.skipToBody()
	m.Body = p.block("of the macro")
	p.params = nil
	m.At = p.from(start)
	return m
}

func (p *parser) function() *Func {
	start := p.tok.start
	p.next()
	f := &Func{}
	f.Name, _ = p.ident("the name of the function")
	if p.expect(tokLParen, "after the name of the function") {
		for p.tok.kind == tokVar {
			param := &Param{Name: p.word()}
			from := p.tok.start
			p.next()
			if p.expect(tokColon, "and a type after the parameter") {
				param.Type = p.typeExpr()
			}
			param.At = p.from(from)
			f.Params = append(f.Params, param)
			if !p.accept(tokComma) {
				break
			}
			if p.tok.kind != tokVar {
				p.expected("$name", "as a parameter of the function")
			}
		}
		p.expect(tokRParen, "after the parameters of the function")
	}
	if p.expect(tokColon, "and the type of the function's result") {
		f.Result = p.typeExpr()
	}
	p.skipToBody()
	f.Body = p.statements("of the function")
	f.At = p.from(start)
	return f
}

// probe reads attach points, predicate and body.
func (p *parser) probe() *Probe {
	start := p.tok.start
	d := &Probe{}
	var end int
	d.Points, end = p.attachPoints(start)
	if p.failed {
		p.skipToBody()
	} else {
		p.prevEnd = d.Points[len(d.Points)-1].S.end(p.base)
		p.tok = p.scan(end)
		d.Predicate = p.predicate()
		if !p.failed && p.tok.kind != tokLBrace {
			point := d.Points[len(d.Points)-1]
			p.expected("'{' or a /predicate/", fmt.Sprintf("after the probe %s", printable(point.Text)))
		}
		p.skipToBody()
	}
	d.Body = p.statements("of the probe")
	d.At = p.from(start)
	return d
}

// predicate reads /expr/, if there is one.
func (p *parser) predicate() Expr {
	if p.tok.kind != tokSlash && p.tok.kind != tokEndPredicate {
		return nil
	}
	p.next()
	x := p.expr()
	if !p.accept(tokEndPredicate) && !p.failed {
		if p.tok.kind == tokLBrace {
			p.fail("the predicate is not closed", "write a '/' before the '{'")
		} else {
			p.expected("'/'", "to close the predicate")
		}
	}
	return x
}

// end is the offset of a span's end in a text that starts at base.
func (s Span) end(base Pos) int { return int(s.End - base) }
