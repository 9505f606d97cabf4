package rule

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"unicode/utf8"
)

// What of YAML a rule file may have: mappings and lists by indentation or in brackets, texts in one line, plain or in either
// quotes, comments. Anchors, aliases, tags, texts over several lines and several documents are refused by name. Whatever is read is
// read as YAML has it. It is written here, and not taken from a library, because a message must say in which column the fault
// is, and because reading must not cost a file's author more than the file is long.

const (
	maxFile  = 4 << 20 // bytes of a rule file
	maxDepth = 8       // of lists and mappings; rules need 6
	maxKey   = 1024    // bytes of a key: YAML's own limit
)

// node is a value of a rule file with its place.
type node struct {
	kind  nodeKind
	tag   string // of a scalar: "str", "int", "null", "bool", "float", "timestamp"
	text  string // of a scalar
	pos   Pos
	items []*node // of a list its elements, of a mapping keys and values by turns
}

type nodeKind uint8

const (
	scalar nodeKind = iota
	list
	mapping
	refused // it was complained of
)

// String names what a node is, as messages say it.
func (n *node) String() string {
	switch n.kind {
	case list:
		return "a list"
	case mapping:
		return "a mapping"
	}
	switch n.tag {
	case "null":
		return "nothing"
	case "int", "float":
		return "the number " + quote(n.text)
	case "bool":
		return "the truth value " + quote(n.text)
	case "timestamp":
		return "the date " + quote(n.text)
	}
	return "the text " + quote(n.text)
}

// reader goes through the text once.
type reader struct {
	*fileParser
	text  []byte
	at    int
	line  int // from 1
	start int // of the line
	open  int // brackets around

	counted, runes int // how far characters of the line were counted: a line may be the whole file
}

// syntax ends the reading: behind it nothing could be relied on.
type syntax struct{ *Problem }

// readYAML turns the text of a rule file into nodes. nil: there is nothing, or it was complained of.
func (p *fileParser) readYAML(data []byte) (top *node) {
	if len(data) > maxFile {
		p.problem(Pos{1, 1}, fmt.Sprintf("a rule file of %d bytes", len(data)), fmt.Sprintf("at most %d; a tree or a glob says the same in one rule", maxFile))
		return nil
	}
	if !p.checkText(data) {
		return nil
	}
	r := &reader{fileParser: p, text: bytes.TrimPrefix(data, []byte("\ufeff")), line: 1}
	defer func() {
		if e := recover(); e != nil {
			s, ok := e.(syntax)
			if !ok {
				panic(e)
			}
			p.problems = append(p.problems, s.Problem)
			top = nil
		}
	}()
	if r.blank(); r.marker("---") {
		r.at += 3
		if !r.blank() && r.more() {
			r.fail(r.pos(), "more behind ---", "begin a new line")
		}
	}
	if !r.more() {
		return nil
	}
	top = r.block(-1, 0)
	switch {
	case r.at == len(r.text):
	case r.marker("---"), r.marker("..."):
		r.fail(r.pos(), "a second document", "a rule file is one; take this and what is behind it out")
	default:
		r.fail(r.pos(), "what is here belongs to nothing before it", "indent it like the line that it belongs to; a text stays in one line")
	}
	return top
}

// checkText finds bytes that no YAML has.
func (p *fileParser) checkText(data []byte) bool {
	pos := Pos{1, 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			p.problem(pos, fmt.Sprintf("byte 0x%02x is not UTF-8", data[i]), "save the file as UTF-8; a path of other bytes is written !!binary and its base64")
			return false
		case r < ' ' && r != '\n' && r != '\t' && r != '\r' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff && i > 0 || r == 0xfffe || r == 0xffff:
			p.problem(pos, fmt.Sprintf("a control character, %U", r), `take it out; in double quotes \x.. or \u.... writes one`)
			return false
		case r == '\r' && !bytes.HasPrefix(data[i+1:], []byte("\n")):
			p.problem(pos, "a carriage return within a line", "end lines with a line feed")
			return false
		}
		pos.Col++
		if r == '\n' {
			pos = Pos{pos.Line + 1, 1}
		}
		i += size
	}
	return true
}

func (r *reader) fail(pos Pos, what, todo string) {
	panic(syntax{&Problem{File: r.set.File, Pos: pos, What: what, Todo: todo}})
}

// pos is the place of what comes next.
func (r *reader) pos() Pos {
	if r.counted < r.start || r.counted > r.at {
		r.counted, r.runes = r.start, 0
	}
	r.runes += utf8.RuneCount(r.text[r.counted:r.at])
	r.counted = r.at
	return Pos{r.line, r.runes + 1}
}

// column is how far what comes next is indented.
func (r *reader) column() int { return r.at - r.start }

// more says whether the document goes on.
func (r *reader) more() bool {
	return r.at < len(r.text) && !r.marker("---") && !r.marker("...")
}

// peek is the next byte, 0 at the end of the line or text.
func (r *reader) peek() byte { return r.byteAt(r.at) }

func (r *reader) byteAt(i int) byte {
	if i >= len(r.text) || r.text[i] == '\n' || r.text[i] == '\r' {
		return 0
	}
	return r.text[i]
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == 0 }

// marker says whether a line begins with a mark of documents.
func (r *reader) marker(mark string) bool {
	return r.at == r.start && bytes.HasPrefix(r.text[r.at:], []byte(mark)) && isBlank(r.byteAt(r.at+len(mark)))
}

// blank goes on to the next thing that is no blank and no comment. It says whether that is in another line.
func (r *reader) blank() (newLine bool) {
	newLine = r.at == r.start
	tab := -1
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == ' ':
		case c == '\t':
			if newLine && tab < 0 {
				tab = r.at
			}
		case c == '#' && (r.at == r.start || isBlank(r.text[r.at-1])):
			for r.at+1 < len(r.text) && r.text[r.at+1] != '\n' {
				r.at++
			}
		case c == '\r':
		case c == '\n':
			r.line++
			r.start = r.at + 1
			newLine, tab = true, -1
		default:
			if tab >= 0 && r.open == 0 {
				r.at = tab
				r.fail(r.pos(), "a tab at the beginning of a line", "indent by spaces")
			}
			return newLine
		}
		r.at++
	}
	return newLine
}

// deeper refuses what is nested beyond use.
func (r *reader) deeper(depth int) {
	if depth > maxDepth {
		r.fail(r.pos(), "nested too deep", "see docs/guard-rules.md for the form of a rule")
	}
}

// block reads what begins here, which may go on in lines that are indented more than indent.
func (r *reader) block(indent, depth int) *node {
	r.deeper(depth)
	if r.peek() == '-' && isBlank(r.byteAt(r.at+1)) {
		return r.blockList(depth)
	}
	column, pos := r.column(), r.pos()
	n, begun := r.value(depth)
	if !r.colon() {
		r.lineEnds(n)
		return n
	}
	if begun != r.line {
		r.fail(pos, "a key over several lines", "write it in one")
	}
	return r.blockMapping(n, column, depth)
}

// blockList reads a list whose elements each stand behind a dash in this column.
func (r *reader) blockList(depth int) *node {
	n := &node{kind: list, pos: r.pos()}
	column := r.column()
	for {
		r.at++
		dash := r.pos()
		switch r.blank(); {
		case !r.more() || r.column() <= column:
			n.items = append(n.items, &node{tag: "null", pos: dash})
		default:
			n.items = append(n.items, r.block(column, depth+1))
		}
		if !r.goesOn(column) || r.peek() != '-' || !isBlank(r.byteAt(r.at+1)) {
			return n
		}
	}
}

// goesOn says whether the next line belongs to what stands in this column.
func (r *reader) goesOn(column int) bool {
	r.blank()
	if !r.more() || r.column() < column {
		return false
	}
	if r.column() > column {
		r.fail(r.pos(), "indented more than what it follows", "indent it like the lines that it belongs to; a text stays in one line")
	}
	return true
}

// blockMapping reads a mapping whose keys stand in this column; the first is read, up to its colon.
func (r *reader) blockMapping(key *node, column, depth int) *node {
	n := &node{kind: mapping, pos: key.pos}
	for {
		r.checkKey(key)
		r.at++
		after := r.pos()
		newLine := r.blank()
		dash := r.peek() == '-' && isBlank(r.byteAt(r.at+1))
		var v *node
		switch {
		case !r.more() || newLine && (r.column() < column || r.column() == column && !dash):
			v = &node{tag: "null", pos: after}
		case newLine && dash:
			r.deeper(depth + 1)
			v = r.blockList(depth + 1)
		case newLine:
			v = r.block(column, depth+1)
		case dash:
			r.fail(r.pos(), "a list behind a key", "begin it in the next line, or write it in brackets")
		default:
			r.deeper(depth + 1)
			v, _ = r.value(depth + 1)
			if r.colon() {
				r.fail(r.pos(), "a second `:` in this line", "put the text that it is in into quotes")
			}
			r.lineEnds(v)
		}
		n.items = append(n.items, key, v)
		if !r.goesOn(column) {
			return n
		}
		at := r.pos()
		if r.peek() == '-' && isBlank(r.byteAt(r.at+1)) {
			r.fail(at, "an element of a list between keys", "indent it more than the key that it belongs to")
		}
		key, _ = r.value(depth + 1)
		if !r.colon() {
			r.fail(at, "a key without its `:`", "write `key: value`; a text stays in one line")
		}
	}
}

// checkKey refuses what YAML allows as a key and nobody writes.
func (r *reader) checkKey(key *node) {
	if key.kind == list || key.kind == mapping {
		r.fail(key.pos, key.String()+" as a key", "write a word")
	}
	if len(key.text) > maxKey {
		r.fail(key.pos, "a key of more than 1,024 bytes", "write one of the known ones")
	}
}

// colon goes on to a colon that makes a key of what was read, if that is what follows in the line.
func (r *reader) colon() bool {
	at := r.at
	for at < len(r.text) && (r.text[at] == ' ' || r.text[at] == '\t') {
		at++
	}
	if r.byteAt(at) != ':' || !isBlank(r.byteAt(at+1)) {
		return false
	}
	r.at = at
	return true
}

// lineEnds refuses more in the line than a comment.
func (r *reader) lineEnds(n *node) {
	at := r.at
	for isBlank(r.byteAt(at)) && r.byteAt(at) != 0 {
		at++
	}
	if c := r.byteAt(at); c == 0 || c == '#' && at > r.at {
		return
	}
	r.at = at
	r.fail(r.pos(), "more behind "+n.String(), "begin a new line, or put all of the text into quotes")
}

// value reads a value that is no block, and says in which line it began.
func (r *reader) value(depth int) (n *node, line int) {
	line = r.line
	pos := r.pos()
	switch c := r.peek(); c {
	case '[':
		return r.flowList(depth), line
	case '{':
		return r.flowMapping(depth), line
	case '"':
		return &node{tag: "str", text: r.doubleQuoted(), pos: pos}, line
	case '\'':
		return &node{tag: "str", text: r.singleQuoted(), pos: pos}, line
	case '&', '*', '!':
		return r.special(c, depth), line
	}
	text := r.plain()
	return &node{tag: tagOf(text), text: text, pos: pos}, line
}

// special reads what begins with one of YAML's marks for other purposes.
func (r *reader) special(c byte, depth int) *node {
	pos := r.pos()
	word := r.word()
	n := &node{kind: refused, pos: pos}
	switch {
	case c == '*':
		r.problem(pos, quote(word)+": a * at the beginning is YAML's for something else", fmt.Sprintf("put it in quotes: %q", word))
		return n
	case c == '&':
		r.problem(pos, "an anchor, "+quote(word), "take it out, and write the value out where it is wanted; a text that begins with & stands in quotes")
	case word != "!!binary" && word != "!!str":
		r.problem(pos, "the tag "+quote(word), "take it out; a text that begins with ! stands in quotes")
	default:
		n = nil
	}
	for r.peek() == ' ' || r.peek() == '\t' {
		r.at++
	}
	if next := r.peek(); next == 0 || next == '#' || next == '&' || next == '*' || next == '!' || r.open > 0 && bytes.IndexByte([]byte(",]}"), next) >= 0 {
		r.fail(r.pos(), quote(word)+" and no value behind it in the line", "take it out")
	}
	v, _ := r.value(depth)
	switch {
	case n != nil:
		return n
	case v.kind != scalar:
		r.problem(pos, "the tag "+quote(word)+" of "+v.String(), "take it out")
		return &node{kind: refused, pos: pos}
	case word == "!!binary":
		data, err := base64.StdEncoding.DecodeString(v.text)
		if err != nil {
			r.problem(pos, quote(v.text)+" is not base64", "write the path in quotes, without !!binary")
			return &node{kind: refused, pos: pos}
		}
		v.text = string(data)
	}
	v.tag, v.pos = "str", pos
	return v
}

// word reads up to a blank or, in brackets, to what ends a value there.
func (r *reader) word() string {
	from := r.at
	for !isBlank(r.peek()) && (r.open == 0 || bytes.IndexByte([]byte(",[]{}"), r.peek()) < 0) {
		r.at++
	}
	return string(r.text[from:r.at])
}

// flowList reads a list in brackets.
func (r *reader) flowList(depth int) *node {
	n := &node{kind: list, pos: r.pos()}
	r.deeper(depth)
	r.enter()
	for r.inside(n, ']') {
		v, _ := r.value(depth + 1)
		n.items = append(n.items, v)
		ended := r.line
		if r.blank(); r.peek() == ':' {
			r.fail(r.pos(), "`key: value` in a list", "put it in braces: {key: value}")
		}
		r.separator(n, ']', ended)
	}
	return n
}

// flowMapping reads a mapping in braces.
func (r *reader) flowMapping(depth int) *node {
	n := &node{kind: mapping, pos: r.pos()}
	r.deeper(depth)
	r.enter()
	for r.inside(n, '}') {
		key, begun := r.value(depth + 1)
		r.checkKey(key)
		v := &node{tag: "null", pos: r.pos()}
		ended := r.line
		if newLine := r.blank(); r.peek() == ':' {
			if newLine || begun != r.line {
				r.fail(r.pos(), "a key over several lines", "write the key and its : in one line")
			}
			r.at++
			if c := r.peek(); !isBlank(c) && c != ',' && c != '}' {
				r.fail(r.pos(), "no blank behind the `:` of a key", "put one there")
			}
			v.pos = r.pos()
			if r.blank(); r.peek() != ',' && r.peek() != '}' && r.more() {
				r.deeper(depth + 1)
				v, _ = r.value(depth + 1)
				ended = r.line
			}
		}
		n.items = append(n.items, key, v)
		r.separator(n, '}', ended)
	}
	return n
}

func (r *reader) enter() {
	r.at++
	r.open++
}

// inside says whether there is another element before the end of n, which it goes behind.
func (r *reader) inside(n *node, end byte) bool {
	r.blank()
	if !r.more() {
		r.fail(n.pos, fmt.Sprintf("%s that is never closed", n), fmt.Sprintf("put a %c at its end", end))
	}
	if r.peek() != end {
		return true
	}
	r.at++
	r.open--
	return false
}

// separator goes behind the comma after an element that ended in that line.
func (r *reader) separator(n *node, end byte, ended int) {
	r.blank()
	switch {
	case !r.more() || r.peek() == end: // inside tells
	case r.peek() == ',':
		r.at++
	case r.line > ended:
		r.fail(n.pos, fmt.Sprintf("%s that is not closed, or a comma is missing before line %d", n, r.line), fmt.Sprintf("put a %c at its end, or the comma", end))
	default:
		r.fail(r.pos(), fmt.Sprintf("no comma before this in %s", n), fmt.Sprintf("put one there, or a %c; a text with special characters stands in quotes", end))
	}
}
