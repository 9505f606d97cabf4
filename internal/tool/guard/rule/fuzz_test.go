package rule

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// yamlTests are texts that the reader takes, and what it makes of them.
var yamlTests = []struct{ text, want string }{
	{"a", "str a"}, {"a: b", "{str a: str b}"}, {"a:", "{str a: null }"}, {"a:   # none\nb: c # d\n", "{str a: null , str b: str c}"},
	{"- a\n- b", "[str a, str b]"}, {"-\n- b\n-", "[null , str b, null ]"}, {"- - a\n  - b\n- c", "[[str a, str b], str c]"},
	{"a:\n- b\n- c\nd: e", "{str a: [str b, str c], str d: str e}"}, {"a:\n  - b\n  -   c: d\n      e: f\n  - g", "{str a: [str b, {str c: str d, str e: str f}, str g]}"},
	{"a:\n  b:\n    c: d\n  e: f\n", "{str a: {str b: {str c: str d}, str e: str f}}"}, {"a:\n  b", "{str a: str b}"},
	{"[a, b c , 'd,', \"e]\"]", "[str a, str b c, str d,, str e]]"}, {"{a: b, 'c': d, e, f: , \"g\": [h]}", "{str a: str b, str c: str d, str e: null , str f: null , str g: [str h]}"},
	{"[]", "[]"}, {"{}", "{}"}, {"[a,\n # x\nb,\n]", "[str a, str b]"}, {"--- # doc\na: b\n", "{str a: str b}"}, {"\ufeffa", "str a"},
	{"a: 'it''s' # x", "{str a: str it's}"}, {`a: "\x41\u00e9\U0001F600\n\t\\\" "`, "{str a: str Aé😀\n\t\\\" }"},
	{"a#b: c#d", "{str a#b: str c#d}"}, {"a:b: c:d", "{str a:b: str c:d}"}, {"-a: -b", "{str -a: str -b}"}, {"a: b\r\nc: d\r\n", "{str a: str b, str c: str d}"},
	{"[1, -1, +1, 0x1f, 0o17, 017, 1_000, 99999999999999999999, 1.5, .5, 1e3, .inf, -.inf, .nan, 089]", ""},
	{"[true, False, null, ~, yes, no, on, 2024-01-01, 2024-01-01T00:00:00Z, 1:2, 1.2.3, 1-2, -, 0x, 1a, e3]", "! "},
	{"[true, False, null, ~, yes, no, on, 2024-01-01, 2024-01-01T00:00:00Z, 1:2, 1.2.3, 1-2, 0x, 1a, e3, .a, ., +, '1', \"~\"]", ""},
	{"!!binary YQ==", "str a"}, {"!!str 7", "str 7"}, {"- !!str 'x'", "[str x]"}, {"é: ü", "{str é: str ü}"},
	{"a: b\n c: d", "! "}, {"a: b\n  c", "! "}, {"- a\nb: c", "! "}, {"a: - b", "! "}, {"a: b: c", "! "}, {"\ta: b", "! "}, {"a: |\n b", "! "}, {"? a", "! "},
	{"a: 'b\nc'", "! "}, {"a: \"b", "! "}, {"a: 'b' c", "! "}, {"a: [b", "! "}, {"a: [b c: d]", "! "}, {"a: {b: c", "! "}, {"a: ]", "! "}, {"a: @b", "! "}, {"a: \"\\q\"", "! "},
	{"a: *b", "! "}, {"a: &b c", "! "}, {"a: !b c", "! "}, {"a\n--- b", "! "}, {"%YAML 1.2\n---\na", "! "}, {"a: b\n...\nc", "! "}, {"a:\n - b\n  - c", "! "}, {"[a: b]", "! "}, {"{a:b}", ""},
	{"", "! "}, {"# x", "! "}, {"a: b\n- c", "! "}, {"[a]: b", "! "}, {"[a] b", "! "}, {"a: [b]c", "! "}, {"a: [b\n---\n]", "! "},
}

func (n *node) dump() string {
	if n.kind == scalar {
		return n.tag + " " + n.text
	}
	var items []string
	for i := 0; i < len(n.items); i++ {
		text := n.items[i].dump()
		if n.kind == mapping {
			i++
			text += ": " + n.items[i].dump()
		}
		items = append(items, text)
	}
	text := strings.Join(items, ", ")
	if n.kind == mapping {
		return "{" + text + "}"
	}
	return "[" + text + "]"
}

// reads checks that what the reader takes is what a library for all of YAML makes of it, with the same places. It returns
// nil for what the reader does not take.
func reads(t *testing.T, text string) *node {
	t.Helper()
	p := &fileParser{set: Set{File: "f"}}
	got := p.readYAML([]byte(text))
	if len(p.problems) > 0 || got == nil {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%q is read as %s: %v", text, got.dump(), err)
	}
	var same func(n *node, y *yaml.Node) error
	same = func(n *node, y *yaml.Node) error {
		kind := map[yaml.Kind]nodeKind{yaml.ScalarNode: scalar, yaml.SequenceNode: list, yaml.MappingNode: mapping}
		tag := strings.TrimPrefix(y.ShortTag(), "!!")
		text := y.Value
		switch {
		case n.kind != kind[y.Kind] || len(n.items) != len(y.Content):
			return fmt.Errorf("%v: %s, not %v", n.pos, n.dump(), y)
		case n.kind == scalar && tag == "binary":
			return nil
		case n.kind == scalar && n.text != text:
			return fmt.Errorf("%v: %q, not %q", n.pos, n.text, text)
		case n.kind == scalar && n.tag == "str" && tag != "str" && tag != "merge",
			n.kind == scalar && (n.tag == "null" || n.tag == "bool") && n.tag != tag,
			n.kind == scalar && n.tag == "int" && tag != "int" && tag != "float" && tag != "str":
			// What might be a number or a date is no text to the reader, whatever it is to the library.
			return fmt.Errorf("%v: %s is taken for %s, not %s", n.pos, n.text, n.tag, tag)
		case n.tag != "null" && n.pos != (Pos{y.Line, y.Column}):
			return fmt.Errorf("%v: %s is at %d:%d", n.pos, n.dump(), y.Line, y.Column)
		}
		for i := range n.items {
			if err := same(n.items[i], y.Content[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := same(got, doc.Content[0]); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return got
}

func TestYAML(t *testing.T) {
	for _, tt := range yamlTests {
		got := reads(t, tt.text)
		switch {
		case tt.want == "! " && got != nil:
			t.Errorf("%q is read as %s", tt.text, got.dump())
		case tt.want != "! " && got == nil:
			p := &fileParser{set: Set{File: "f"}}
			p.readYAML([]byte(tt.text))
			t.Errorf("%q: %v", tt.text, p.problems)
		case tt.want != "! " && tt.want != "" && got.dump() != tt.want:
			t.Errorf("%q is read as %s", tt.text, got.dump())
		}
	}
}

func FuzzYAML(f *testing.F) {
	for _, tt := range yamlTests {
		f.Add(tt.text)
	}
	for _, file := range append(files(f, "testdata/good/*.yaml"), files(f, "testdata/bad/*.yaml")...) {
		f.Add(string(read(f, file)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		// The library knows fewer places for tabs than YAML, and takes a ? within a text for a mark.
		reads(t, strings.NewReplacer("\t", " ", "?", "x").Replace(text))
	})
}

func FuzzParseFile(f *testing.F) {
	for _, file := range append(files(f, "testdata/good/*.yaml"), files(f, "testdata/bad/*.yaml")...) {
		f.Add(read(f, file))
	}
	for _, tt := range lineTests {
		if set, err := ParseWords(strings.Fields(tt.line), "/w/d"); err == nil {
			f.Add([]byte(set.YAML()))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseFile("f", data)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if strings.ContainsFunc(line, func(r rune) bool { return r != '\n' && (r < ' ' || r == 0x7f) }) {
					t.Errorf("%q", line)
				}
			}
			return
		}
		stable(t, set)
	})
}

func FuzzParseWords(f *testing.F) {
	for _, tt := range lineTests {
		f.Add(strings.Join(strings.Fields(tt.line), "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		set, err := ParseWords(strings.Split(line, "\n"), "/w/d")
		if err == nil {
			stable(t, set)
		}
	})
}
