package rule

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxFile  = 4 << 20 // bytes of a rule file
	maxDepth = 8       // of lists and mappings; rules need 6
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
)

// String names what a node is, as messages say it.
func (n *node) String() string {
	switch {
	case n.kind == list:
		return "a list"
	case n.kind == mapping:
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

// readYAML turns the text of a rule file into nodes: one document, without what YAML has for other purposes.
func (p *fileParser) readYAML(data []byte) *node {
	if len(data) > maxFile {
		p.problem(Pos{1, 1}, fmt.Sprintf("a rule file of %d bytes", len(data)), fmt.Sprintf("at most %d; a tree or a glob says the same in one rule", maxFile))
		return nil
	}
	if !p.checkText(data) {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := decode(decoder, &doc)
	if err == nil {
		err = decode(decoder, &more)
		if err == nil {
			p.problem(Pos{more.Line, more.Column}, "a second document", "a rule file is one; take the --- out")
			return nil
		}
	}
	switch {
	case !errors.Is(err, io.EOF):
		pos := locate(data, err)
		p.problem(pos, "not YAML: "+syntaxMessage(err), "see docs/guard-rules.md for the form; a text with : # or quotes in it stands in quotes")
		return nil
	case doc.Kind != yaml.DocumentNode || len(doc.Content) != 1:
		p.problem(Pos{1, 1}, "no rules in it", "begin with `rules:`")
		return nil
	}
	return p.convert(doc.Content[0], 0)
}

// decode keeps a panic of the library from being one of ours: the text is whoever's.
func decode(d *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: it cannot be read (%v)", r)
		}
	}()
	return d.Decode(n)
}

func syntaxMessage(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if _, after, ok := strings.Cut(rest, ": "); ok {
			text = after
		}
	}
	return strings.Join(strings.Fields(text), " ")
}

// locate finds where a text stops being YAML, which the library tells by the line only, and not always: the longest
// beginning that is whole ends there. A bracket or quote that is never closed is found where it opens.
func locate(data []byte, err error) Pos {
	const (
		budget  = 8 << 20 // bytes read again
		longest = 160     // of a line in which the column is looked for
	)
	left := budget
	whole := func(n int) bool {
		left -= n + 32<<10 // reading nothing has its price too
		var doc yaml.Node
		d := yaml.NewDecoder(bytes.NewReader(data[:n]))
		for {
			if err := decode(d, &doc); err != nil {
				return errors.Is(err, io.EOF)
			}
		}
	}
	starts := []int{0} // of lines
	for i, c := range data {
		if c == '\n' && i+1 < len(data) {
			starts = append(starts, i+1)
		}
	}
	line := len(starts)
	var told int
	if n, scanErr := fmt.Sscanf(err.Error(), "yaml: line %d:", &told); scanErr == nil && n == 1 {
		line = min(line, told+1) // it may be one too low
	}
	for line < len(starts) && left > 0 && whole(starts[line]) {
		line++
	}
	for line > 1 && left > 0 && !whole(starts[line-1]) {
		line--
	}
	end := len(data)
	if line < len(starts) {
		end = starts[line]
	}
	begin := starts[line-1]
	text := bytes.TrimRight(data[begin:end], "\r\n")
	first := len(text) - len(bytes.TrimLeft(text, " \t"))
	good := max(first, len(text)-1)
	for len(text) <= longest && good > first && left > 0 && !whole(begin+good) {
		good--
	}
	if left <= 0 || len(text) > longest {
		good = first
	}
	for good > 0 && good < len(text) && !utf8.RuneStart(text[good]) {
		good--
	}
	return Pos{line, utf8.RuneCount(text[:good]) + 1}
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
		case r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f || r >= 0x80 && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff:
			p.problem(pos, fmt.Sprintf("a control character, %U", r), `take it out; in double quotes \x.. writes one`)
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

// convert takes over what rules are made of. It returns nil for what it has complained of.
func (p *fileParser) convert(y *yaml.Node, depth int) *node {
	pos := Pos{y.Line, y.Column}
	switch {
	case y.Kind == yaml.AliasNode:
		p.problem(pos, "an alias, *"+quote(y.Value), "write the value out")
		return nil
	case y.Anchor != "":
		p.problem(pos, "an anchor, &"+quote(y.Anchor), "take it out, and write the value out where it is wanted")
		return nil
	case depth > maxDepth:
		p.problem(pos, "nested too deep", "see docs/guard-rules.md for the form of a rule")
		return nil
	}
	n := &node{pos: pos}
	switch y.Kind {
	case yaml.SequenceNode:
		n.kind = list
	case yaml.MappingNode:
		n.kind = mapping
	default:
		n.text = y.Value
		n.tag = strings.TrimPrefix(y.ShortTag(), "!!")
		if n.tag == "merge" {
			n.tag = "str"
		}
	}
	if y.Style&yaml.TaggedStyle != 0 && !p.tagged(y, n) {
		return nil
	}
	for _, item := range y.Content {
		c := p.convert(item, depth+1)
		if c == nil {
			c = &node{pos: Pos{item.Line, item.Column}, kind: refused}
		}
		n.items = append(n.items, c)
	}
	return n
}

// refused is a node that was complained of.
const refused nodeKind = 255

// tagged reads a value with a tag of its own: of these only bytes make sense in a rule.
func (p *fileParser) tagged(y *yaml.Node, n *node) bool {
	switch {
	case n.kind == scalar && n.tag == "binary":
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(y.Value), ""))
		if err != nil {
			p.problem(n.pos, quote(y.Value)+" is not base64", "write the path in quotes, without !!binary")
			return false
		}
		n.tag, n.text = "str", string(data)
		return true
	case n.kind == scalar && n.tag == "str":
		return true
	}
	p.problem(n.pos, "the tag "+quote(y.Tag), "take it out")
	return false
}
