package syntax

import (
	"sort"
	"strings"
)

const (
	indentText  = "  "
	formatWidth = 80
)

// Format writes a program in the one style of the language, keeping the comments. p must come from Parse(src) without
// errors. The result parses to the same tree, and formatting it again changes nothing.
func Format(p *Program, src *Source) []byte {
	f := &formatter{src: src, comments: p.Comments, lastEnd: -1}
	f.program(p)
	return f.out
}

// ExprString writes an expression on one line, as far as there are no statements in it.
func ExprString(x Expr) string {
	f := &formatter{lastEnd: -1}
	return f.expr(x, precLowest)
}

// formatter writes a tree. Comments belong to no node: before each thing is written, those that stand before it in
// the source are.
type formatter struct {
	src      *Source
	out      []byte
	indent   int
	midLine  bool // something is written on this line
	comments []*Comment
	next     int               // the first comment that may not be written yet
	written  map[*Comment]bool // those written out of order
	pending  []*Comment        // to go to the top of the next block
	lastEnd  Pos               // end of what was written last, in the source; -1 where a new list starts
}

// write appends text to the line. Text of several lines has its own indentation from the second on.
func (f *formatter) write(text string) {
	if text == "" {
		return
	}
	if !f.midLine {
		f.out = append(f.out, strings.Repeat(indentText, f.indent)...)
		f.midLine = true
	}
	f.out = append(f.out, text...)
}

func (f *formatter) newline() {
	f.out = append(f.out, '\n')
	f.midLine = false
}

// nested runs write with an output of its own, and returns what it wrote.
func (f *formatter) nested(write func()) string {
	out, mid := f.out, f.midLine
	f.out, f.midLine = nil, true
	write()
	text := string(f.out)
	f.out, f.midLine = out, mid
	return text
}

// newlines counts the line ends of the source between two places.
func (f *formatter) newlines(from, to Pos) int {
	if f.src == nil || from < 0 || from > to || int(to) > len(f.src.Text) {
		return 0
	}
	return strings.Count(string(f.src.Text[from:to]), "\n")
}

// blank keeps one empty line where the source has any.
func (f *formatter) blank(before Pos) {
	if f.lastEnd >= 0 && f.newlines(f.lastEnd, before) > 1 {
		f.newline()
	}
}

// take returns the comments not written yet that start before a place.
func (f *formatter) take(before Pos) []*Comment {
	var out []*Comment
	for ; f.next < len(f.comments) && f.comments[f.next].S.Start < before; f.next++ {
		if c := f.comments[f.next]; !f.written[c] {
			out = append(out, c)
		}
	}
	return out
}

// leading writes the comments before a place on lines of their own.
func (f *formatter) leading(before Pos) {
	for _, c := range f.take(before) {
		f.blank(c.S.Start)
		f.ownLine(c)
		f.lastEnd = c.S.End
	}
}

func (f *formatter) ownLine(c *Comment) {
	f.write(c.Text)
	f.newline()
}

// trailing writes the comments that follow on the same line of the source, and ends the line.
func (f *formatter) trailing(end, before Pos) {
	for f.next < len(f.comments) {
		c := f.comments[f.next]
		if f.written[c] {
			f.next++
			continue
		}
		if c.S.Start < end || c.S.Start >= before || f.newlines(end, c.S.Start) > 0 {
			break
		}
		f.write(" " + c.Text)
		f.next++
		end = c.S.End
		if strings.HasPrefix(c.Text, "//") {
			break
		}
	}
	f.newline()
	f.lastEnd = end
}

// hoist takes the comments inside a statement but outside of its blocks: there is no place for them but before it.
func (f *formatter) hoist(at Span, blocks []Span) []*Comment {
	var out []*Comment
	for _, c := range f.comments[f.next:] {
		if c.S.Start >= at.End {
			break
		}
		if c.S.Start < at.Start || f.written[c] || inside(c.S.Start, blocks) {
			continue
		}
		if f.written == nil {
			f.written = map[*Comment]bool{}
		}
		f.written[c] = true
		out = append(out, c)
	}
	return out
}

func inside(p Pos, spans []Span) bool {
	for _, s := range spans {
		if s.Start <= p && p < s.End {
			return true
		}
	}
	return false
}

// blocksOf lists the outermost blocks below a node.
func blocksOf(n Node) (spans []Span) {
	Walk(n, func(n Node) bool {
		if b, ok := n.(*Block); ok {
			spans = append(spans, b.S)
			return false
		}
		return true
	})
	return spans
}

func (f *formatter) program(p *Program) {
	if p.Shebang != "" {
		f.write(p.Shebang)
		f.newline()
		f.lastEnd = 0
	}
	var items []Node
	if p.C != nil {
		items = append(items, p.C)
	}
	if p.Config != nil {
		items = append(items, p.Config)
	}
	for _, i := range p.Imports {
		items = append(items, i)
	}
	for _, d := range p.Decls {
		items = append(items, d)
	}
	sort.SliceStable(items, func(i, j int) bool { return items[i].Span().Start < items[j].Span().Start })
	end := Pos(1<<31 - 1)
	for i, item := range items {
		if i > 0 && f.apart(items[i-1], item) {
			f.newline()
			f.lastEnd = -1
		}
		f.leading(item.Span().Start)
		f.blank(item.Span().Start)
		f.item(item)
		next := end
		if i+1 < len(items) {
			next = items[i+1].Span().Start
		}
		f.trailing(item.Span().End, next)
	}
	f.leading(end)
}

// apart tells whether an empty line must stand between two items.
func (f *formatter) apart(a, b Node) bool {
	single := func(n Node) bool {
		switch n.(type) {
		case *Import, *MapDecl:
			return true
		}
		return false
	}
	return !single(a) || !single(b)
}

func (f *formatter) item(n Node) {
	switch n := n.(type) {
	case *CPart:
		f.write(n.Text)
	case *Config:
		f.config(n)
	case *Import:
		f.write("import " + quote(n.Path) + ";")
	case *MapDecl:
		f.write("let " + n.Name + " = " + n.Kind + "(" + f.expr(n.Size, precLowest) + ");")
	case *Macro:
		params := make([]string, len(n.Params))
		for i, x := range n.Params {
			params[i] = f.expr(x, precLowest)
		}
		f.body("macro "+n.Name+"("+strings.Join(params, ", ")+")", n.Body)
	case *Func:
		params := make([]string, len(n.Params))
		for i, x := range n.Params {
			params[i] = x.Name + " : " + f.typ(x.Type)
		}
		f.body("fn "+n.Name+"("+strings.Join(params, ", ")+") : "+f.typ(n.Result), n.Body)
	case *Probe:
		f.probe(n)
	}
}

func (f *formatter) config(c *Config) {
	f.write("config = {")
	if len(c.Items) == 0 && !f.commentIn(c.S) {
		f.write("}")
		return
	}
	f.newline()
	f.indent++
	f.lastEnd = -1
	for i, item := range c.Items {
		f.leading(item.S.Start)
		f.blank(item.S.Start)
		f.write(item.Key + " = " + f.expr(item.Value, precLowest) + ";")
		next := c.S.End
		if i+1 < len(c.Items) {
			next = c.Items[i+1].S.Start
		}
		f.trailing(item.S.End, next)
	}
	f.leading(c.S.End)
	f.indent--
	f.write("}")
}

func (f *formatter) probe(d *Probe) {
	for i, a := range d.Points {
		f.leading(a.S.Start)
		if a.Name != "" {
			f.write(a.Name + "=")
		}
		f.write(a.Text)
		next := d.Body.S.Start
		if i+1 < len(d.Points) {
			f.write(",")
			next = d.Points[i+1].S.Start
		} else if d.Predicate != nil {
			next = d.Predicate.Span().Start
		}
		f.trailing(a.S.End, next)
		f.lastEnd = -1
	}
	if d.Predicate != nil {
		for _, c := range f.hoist(Span{0, d.Body.S.Start}, blocksOf(d.Predicate)) {
			f.ownLine(c)
		}
		f.write("/" + f.fit("/", d.Predicate, "/") + "/")
		f.newline()
	}
	f.body("", d.Body)
}

// body writes the head of a declaration and its block with the brace on a line of its own.
func (f *formatter) body(head string, b *Block) {
	if head != "" {
		f.write(head)
		f.newline()
	}
	f.lastEnd = -1
	f.leading(b.S.Start)
	f.block(b)
}

// commentIn tells whether a comment that is not written yet stands in a span.
func (f *formatter) commentIn(at Span) bool {
	for _, c := range f.comments[min(f.next, len(f.comments)):] {
		if c.S.Start >= at.End {
			return false
		}
		if c.S.Start >= at.Start && !f.written[c] {
			return true
		}
	}
	return false
}
