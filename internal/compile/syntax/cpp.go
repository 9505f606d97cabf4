package syntax

import (
	"fmt"
	"sort"
	"strings"
)

const (
	// maxCTokens bounds what macros can blow the preamble up to, maxCDepth the nesting of anything in it.
	maxCTokens = 1 << 18
	maxCDepth  = 64
)

// Preprocess runs the preprocessor over the C part and reads its definitions: it fills Defines, Includes, Structs,
// Enums and Typedefs. defined holds the names that are defined beforehand, with their text. #if, #ifdef, #else, #elif,
// #define of plain names, #undef and defined() work as in C. An #include is recorded, not followed.
func Preprocess(src *Source, c *CPart, defined map[string]string) []Diagnostic {
	if c == nil {
		return nil
	}
	c.Defines, c.Includes, c.Structs, c.Enums, c.Typedefs = nil, nil, nil, nil, nil
	pp := &preprocessor{
		src: src, c: c,
		scanner: scanner{text: []byte(c.Text), base: c.S.Start},
		macros:  map[string]*cMacro{},
	}
	for name, text := range defined {
		pp.macros[name] = &cMacro{name: name, text: text, offset: c.S.Start, tokens: cTokens(text, c.S.Start)}
	}
	pp.run()
	if len(pp.conds) == 0 && pp.work <= maxCTokens { // else what is left makes no sense
		pp.collect()
		d := &cDecls{preprocessor: pp, enumerators: map[string]int64{}, tags: map[string]bool{}}
		d.declarations()
	}
	sort.SliceStable(pp.diags, func(i, j int) bool { return pp.diags[i].Span.Start < pp.diags[j].Span.Start })
	return pp.diags
}

// cMacro is an object-like macro, or a function-like one that is known only by name.
type cMacro struct {
	name, text string
	nameAt     Span
	offset     Pos
	tokens     []cToken
	order      int // of its #define; 0 for names defined beforehand
	function   bool
	busy       bool // being expanded
}

type preprocessor struct {
	scanner
	src    *Source
	c      *CPart
	macros map[string]*cMacro
	count  int      // of #define lines
	work   int      // expansions done
	conds  []cCond  // open #if lines, the innermost last
	out    []cToken // what is left when all lines are done
	diags  []Diagnostic
}

// cCond is an open #if. Of its arms at most one is active.
type cCond struct {
	at             Span
	active, taken  bool
	parent, inElse bool
}

func (pp *preprocessor) error(at Span, format string, args ...any) {
	if len(pp.diags) < maxErrors {
		pp.diags = append(pp.diags, Diagnostic{Span: at, Message: fmt.Sprintf(format, args...)})
	}
}

func (pp *preprocessor) warn(at Span, format string, args ...any) {
	if len(pp.diags) < maxErrors {
		pp.diags = append(pp.diags, Diagnostic{Severity: Warning, Span: at, Message: fmt.Sprintf(format, args...), Kind: "preprocessor"})
	}
}

func (pp *preprocessor) active() bool { return len(pp.conds) == 0 || pp.conds[len(pp.conds)-1].active }

// run goes over the lines: directives act, the tokens of active lines are kept with macros expanded.
func (pp *preprocessor) run() {
	lineStart := true
	for i := 0; ; {
		next := pp.layoutEnd(i, nil)
		lineStart = lineStart || strings.Contains(string(pp.text[i:next]), "\n")
		if i = next; i >= len(pp.text) {
			break
		}
		if lineStart && pp.text[i] == '#' {
			end := pp.directiveEnd(i)
			pp.directive(i, end)
			i = end
			continue
		}
		lineStart = false
		t := scanC(&pp.scanner, i)
		i = int(t.at.End - pp.base)
		if pp.active() {
			pp.emit(t, &pp.out, 0)
		}
	}
	for _, c := range pp.conds {
		pp.error(c.at, "this #if has no #endif")
	}
}

// emit appends a token, or what its macro stands for.
func (pp *preprocessor) emit(t cToken, out *[]cToken, depth int) {
	m := pp.macros[t.text]
	if pp.work++; pp.work > maxCTokens {
		if pp.work == maxCTokens+1 {
			pp.error(t.at, "the C part is too large once its macros are expanded")
		}
		return
	}
	if t.kind != cIdent || m == nil || m.busy || m.function || depth > maxCDepth {
		*out = append(*out, t)
		return
	}
	m.busy = true
	for _, sub := range m.tokens {
		sub.at = t.at
		if pp.work > maxCTokens {
			break
		}
		pp.emit(sub, out, depth+1)
	}
	m.busy = false
}

// directive acts on one preprocessor line, from its '#' to its end.
func (pp *preprocessor) directive(from, end int) {
	text := blankOut(pp.text[from:end])
	i := 1
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	word := i
	for i < len(text) && isIdentPart(text[i]) {
		i++
	}
	name := text[word:i]
	at := pp.span(from, from+i)
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	rest := strings.TrimRight(text[i:], " \t\r\n")
	offset := from + i
	switch name {
	case "if":
		pp.open(at, pp.active() && pp.condition(at, rest, offset))
		return
	case "ifdef", "ifndef":
		_, ok := pp.macros[pp.macroName(at, rest)]
		pp.open(at, ok == (name == "ifdef"))
		return
	case "else", "elif", "endif":
		pp.alternate(name, at, rest, offset)
		return
	}
	if !pp.active() {
		return
	}
	switch name {
	case "define":
		pp.define(at, rest, offset)
	case "undef":
		delete(pp.macros, pp.macroName(at, rest))
	case "include", "include_next", "import":
		pp.include(at, rest, offset)
	case "error":
		pp.error(at, "#error %s", printable(rest))
	case "warning":
		pp.warn(at, "#warning %s", printable(rest))
	case "", "pragma", "line", "ident":
	default:
		pp.error(at, "unknown preprocessor line #%s", name)
	}
}

// blankOut replaces the comments and joined line ends of a directive by as many spaces.
func blankOut(text []byte) string {
	s := scanner{text: text}
	out := []byte(string(text))
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && (s.hasPrefix(i+1, "\n") || s.hasPrefix(i+1, "\r\n")):
			out[i] = ' '
		case c == '\n', c == '\r':
			out[i] = ' '
		case quote != 0:
			switch c {
			case '\\':
				i++
			case quote:
				quote = 0
			}
		case c == '"', c == '\'':
			quote = c
		case s.hasPrefix(i, "//"), s.hasPrefix(i, "/*"):
			end := s.commentEnd(i)
			if end < 0 {
				end = len(text)
			}
			for ; i < end; i++ {
				out[i] = ' '
			}
			i--
		}
	}
	return string(out)
}

// macroName is the name that a line like #undef is about.
func (pp *preprocessor) macroName(at Span, rest string) string {
	s := scanner{text: []byte(rest)}
	if rest == "" || !isIdentStart(rest[0]) {
		pp.error(at, "expected a name after this")
		return ""
	}
	return rest[:s.identEnd(0)]
}

// open enters an #if whose condition is known.
func (pp *preprocessor) open(at Span, cond bool) {
	parent := pp.active()
	pp.conds = append(pp.conds, cCond{at: at, parent: parent, active: parent && cond, taken: cond})
}

// alternate handles #else, #elif and #endif.
func (pp *preprocessor) alternate(name string, at Span, rest string, offset int) {
	if len(pp.conds) == 0 {
		pp.error(at, "#%s without an #if before it", name)
		return
	}
	c := &pp.conds[len(pp.conds)-1]
	switch {
	case name == "endif":
		pp.conds = pp.conds[:len(pp.conds)-1]
	case c.inElse:
		pp.error(at, "#%s after #else", name)
	case name == "else":
		c.inElse = true
		c.active = c.parent && !c.taken
	default:
		c.active = c.parent && !c.taken && pp.condition(at, rest, offset)
		c.taken = c.taken || c.active
	}
}

// condition is the value of an #if. The names that are not defined count as 0.
func (pp *preprocessor) condition(at Span, rest string, offset int) bool {
	var tokens []cToken
	in := cTokens(rest, pp.base+Pos(offset))
	for i := 0; i < len(in); i++ {
		if in[i].text != "defined" {
			pp.emit(in[i], &tokens, 0)
			continue
		}
		j := i + 1
		paren := j < len(in) && in[j].text == "("
		if paren {
			j++
		}
		if j >= len(in) || in[j].kind != cIdent || paren && (j+1 >= len(in) || in[j+1].text != ")") {
			pp.error(at, "expected defined(NAME)")
			return false
		}
		value := "0"
		if pp.macros[in[j].text] != nil {
			value = "1"
		}
		tokens = append(tokens, cToken{cNumber, value, in[j].at})
		if i = j; paren {
			i++
		}
	}
	if pp.work > maxCTokens {
		return false
	}
	e := cEval{tokens: tokens, name: func(string) (int64, bool) { return 0, true }}
	v, err := e.all()
	if err != "" {
		pp.error(at, "the condition of this line: %s", err)
	}
	return v != 0
}

func (pp *preprocessor) define(at Span, rest string, offset int) {
	name := pp.macroName(at, rest)
	if name == "" {
		return
	}
	pp.count++
	m := &cMacro{name: name, order: pp.count, nameAt: pp.span(offset, offset+len(name))}
	pp.macros[name] = m
	text := rest[len(name):]
	if strings.HasPrefix(text, "(") {
		m.function = true
		pp.warn(m.nameAt, "the #define of %s is ignored: it takes parameters; write a macro of this language instead", name)
		return
	}
	m.text = strings.TrimLeft(text, " \t\r")
	m.offset = pp.base + Pos(offset+len(rest)-len(m.text))
	m.tokens = cTokens(m.text, m.offset)
}

func (pp *preprocessor) include(at Span, rest string, offset int) {
	closing := map[string]string{"<": ">", `"`: `"`}
	if len(rest) > 2 {
		if end := strings.Index(rest[1:], closing[rest[:1]]); closing[rest[:1]] != "" && end > 0 {
			pp.c.Includes = append(pp.c.Includes, Include{At{pp.span(offset, offset+end+2)}, rest[1 : end+1]})
			return
		}
	}
	pp.error(at, `expected "file" or <file> after #include`)
}

// collect turns the macros that are left at the end into Defines.
func (pp *preprocessor) collect() {
	var left []*cMacro
	for _, m := range pp.macros {
		if m.order > 0 && !m.function {
			left = append(left, m)
		}
	}
	sort.Slice(left, func(i, j int) bool { return left[i].order < left[j].order })
	for _, m := range left {
		d := Define{At: At{m.nameAt}, Name: m.name, Text: m.text}
		if m.text != "" {
			if x, diags := parseExpr(m.offset, m.text, true); len(diags) == 0 {
				d.Value = x
			}
		}
		pp.c.Defines = append(pp.c.Defines, d)
	}
}
