package rule

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ParseFile reads the text of a rule file, which is called name in messages. docs/guard-rules.md describes it. The error is a
// Problems: all that is wrong, each with its place.
func ParseFile(name string, data []byte) (*Set, error) {
	p := fileParser{set: Set{File: name}}
	if top := p.readYAML(data); top != nil {
		p.top(top)
	}
	if len(p.problems) == 0 && len(p.set.Rules) == 0 {
		p.problem(Pos{1, 1}, "no rules in it", "begin with `rules:`")
	}
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b *Problem) int {
			return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
		})
		return nil, p.problems
	}
	p.set.finish()
	return &p.set, nil
}

type fileParser struct {
	set      Set
	problems Problems
}

func (p *fileParser) problem(pos Pos, what, todo string) {
	p.problems = append(p.problems, &Problem{File: p.set.File, Pos: pos, What: what, Todo: todo})
}

func (p *fileParser) fault(pos Pos, f *fault) {
	if f != nil {
		p.problems = append(p.problems, f.at(p.set.File, pos))
	}
}

// wrong says that a value is of the wrong type. A value that was complained of already is passed over.
func (p *fileParser) wrong(n *node, key, want string) {
	if n.kind == refused {
		return
	}
	todo := "write " + want
	if n.kind == scalar && n.tag != "str" && n.tag != "null" && strings.Contains(want, "text") {
		todo = fmt.Sprintf("put it in quotes: %q", n.text)
	}
	p.problem(n.pos, fmt.Sprintf("%s: %s", key, n), todo)
}

// fields calls read for each key of a mapping with its value. Keys that are not known or come twice are problems.
func (p *fileParser) fields(n *node, what string, known []string, read func(key string, at Pos, v *node)) {
	seen := make(map[string]Pos)
	for i := 0; i+1 < len(n.items); i += 2 {
		k, v := n.items[i], n.items[i+1]
		if k.kind == refused {
			continue
		}
		if k.kind != scalar || k.tag != "str" {
			p.problem(k.pos, fmt.Sprintf("%s as a key", k), "keys of "+what+": "+strings.Join(known, ", "))
			continue
		}
		if first, again := seen[k.text]; again {
			p.problem(k.pos, fmt.Sprintf("the key %s again", quote(k.text)), fmt.Sprintf("it is in line %d already; join the two", first.Line))
			continue
		}
		seen[k.text] = k.pos
		if !slices.Contains(known, k.text) {
			p.problem(k.pos, fmt.Sprintf("%s is no key of %s", quote(k.text), what), oneOf(k.text, known))
			continue
		}
		read(k.text, k.pos, v)
	}
}

func (p *fileParser) top(n *node) {
	if n.kind != mapping {
		p.wrong(n, "the file", "`rules:` and a list of rules")
		return
	}
	p.fields(n, "a rule file", []string{"rules"}, func(key string, _ Pos, v *node) {
		if !p.list(v, key, "rules") {
			return
		}
		if len(v.items) > maxRules {
			p.problem(v.items[maxRules].pos, fmt.Sprintf("more than %d rules", maxRules), "a tree or a glob says the same in one")
			return
		}
		names := make(map[string]Pos)
		for _, item := range v.items {
			p.rule(item, names)
		}
	})
}

// list says whether n is a list with something in it.
func (p *fileParser) list(n *node, key, of string) bool {
	switch {
	case n.kind != list:
		p.wrong(n, key, "a list of "+of+", each behind `- `")
		return false
	case len(n.items) == 0:
		p.problem(n.pos, key+": an empty list", "write "+of+", or leave the key out")
		return false
	}
	return true
}

// oneOrMore returns the elements of a list, or n itself if it is not one.
func (p *fileParser) oneOrMore(n *node, key, of string) []*node {
	if n.kind != list {
		return []*node{n}
	}
	if !p.list(n, key, of) {
		return nil
	}
	return n.items
}

// text returns the text of n.
func (p *fileParser) text(n *node, key, want string) (string, bool) {
	if n.kind != scalar || n.tag != "str" {
		p.wrong(n, key, want)
		return "", false
	}
	return n.text, true
}

var (
	ruleKeys = []string{"name", "action", "errno", "files", "what", "access", "who", "except"}
	whoKeys  = []string{"exe", "uid", "user", "pid", "comm", "cgroup", "container", "tree"}
)

func (p *fileParser) rule(n *node, names map[string]Pos) {
	if n.kind != mapping {
		p.wrong(n, "a rule", "its keys: "+strings.Join(ruleKeys, ", "))
		return
	}
	before := len(p.problems)
	r := Rule{Pos: n.pos}
	var action, files, errno Pos
	p.fields(n, "a rule", ruleKeys, func(key string, at Pos, v *node) {
		switch key {
		case "name":
			p.name(&r, v, names)
		case "action":
			action = at
			p.action(&r, v)
		case "errno":
			errno = v.pos
			p.errno(&r, v)
		case "files", "what":
			if files != (Pos{}) {
				p.problem(at, "both files and what", "they are one; join the two lists")
			}
			files = at
			for _, item := range p.oneOrMore(v, key, "paths") {
				p.pattern(&r, item, key)
			}
		case "access":
			p.access(&r, v)
		case "who":
			p.who(v, key, &r.Who)
		case "except":
			items := p.oneOrMore(v, key, "descriptions of processes")
			if len(items) > maxExcept {
				p.problem(items[maxExcept].pos, fmt.Sprintf("more than %d exceptions", maxExcept), "put an `action: allow` rule before this one")
				return
			}
			for _, item := range items {
				var w Who
				p.who(item, key, &w)
				r.Except = append(r.Except, w)
			}
		}
	})
	if action == (Pos{}) {
		p.problem(n.pos, "a rule without an action", "write `action:` and one of "+strings.Join(actionNames[Log:], ", "))
	}
	if files == (Pos{}) {
		p.problem(n.pos, "a rule without files", "write `files:` and a list of paths")
	}
	if len(p.problems) == before {
		p.fault(errno, r.complete())
	}
	p.set.Rules = append(p.set.Rules, r)
}

func (p *fileParser) name(r *Rule, v *node, names map[string]Pos) {
	text, ok := p.text(v, "name", "a text")
	if !ok {
		return
	}
	if f := plainWord("a rule's name", text, maxRuleName); f != nil {
		p.fault(v.pos, f)
		return
	}
	if first, again := names[text]; again {
		p.problem(v.pos, fmt.Sprintf("a second rule with the name %s", quote(text)), fmt.Sprintf("the first is in line %d; give each a name of its own", first.Line))
		return
	}
	names[text] = v.pos
	r.Name = text
}

func (p *fileParser) action(r *Rule, v *node) {
	text, ok := p.text(v, "action", "one of "+strings.Join(actionNames[Log:], ", "))
	if !ok {
		return
	}
	if r.Action, ok = actionOf(text); !ok {
		p.problem(v.pos, quote(text)+" is no action", oneOf(text, actionNames[Log:]))
	}
}

func (p *fileParser) errno(r *Rule, v *node) {
	text, ok := p.text(v, "errno", "one of EACCES, EPERM, ENOENT")
	if !ok {
		return
	}
	if r.Errno, ok = errnoOf(text); !ok {
		p.problem(v.pos, quote(text)+" is no error to deny with", oneOf(text, []string{"EACCES", "EPERM", "ENOENT"}))
	}
}

func (p *fileParser) access(r *Rule, v *node) {
	for _, item := range p.oneOrMore(v, "access", "accesses") {
		text, ok := p.text(item, "access", "one of "+strings.Join(accessList(), ", "))
		if !ok {
			continue
		}
		access, ok := accessOf(text)
		if !ok {
			p.problem(item.pos, quote(text)+" is no access", oneOf(text, accessList()))
		}
		r.Access |= access
	}
}

// pattern reads a path, or a mapping of one key that says what the path is.
func (p *fileParser) pattern(r *Rule, n *node, key string) {
	var got Pattern
	var f *fault
	if n.kind == mapping {
		if len(n.items) != 2 {
			p.problem(n.pos, fmt.Sprintf("%s: a mapping of %d keys", key, len(n.items)/2), "write one of file, tree, glob, name, and the path behind it")
			return
		}
		ok := false
		p.fields(n, key, kindNames[:], func(kind string, _ Pos, v *node) {
			var text string
			if text, ok = p.text(v, kind, "a path as a text"); ok {
				n = v
				got, f = patternOf(Kind(slices.Index(kindNames[:], kind)), true, text, "")
			}
		})
		if !ok {
			return
		}
	} else {
		text, ok := p.text(n, key, "a path as a text")
		if !ok {
			return
		}
		got, f = parsePattern(text, "")
		if f != nil && strings.HasPrefix(text, "./") && path.IsAbs(p.set.File) {
			f.todo = "write it from /: " + path.Join(path.Dir(p.set.File), text)
		}
	}
	if f != nil {
		p.fault(n.pos, f)
		return
	}
	got.Pos = n.pos
	r.What = append(r.What, got)
}

func (p *fileParser) who(n *node, key string, w *Who) {
	if n.kind != mapping {
		p.wrong(n, key, "keys: "+strings.Join(whoKeys, ", "))
		return
	}
	if len(n.items) == 0 {
		p.problem(n.pos, key+": an empty mapping", "say who, or leave it out for everybody")
		return
	}
	w.Pos = n.pos
	p.fields(n, key, whoKeys, func(key string, _ Pos, v *node) {
		if key == "container" || key == "tree" {
			p.whoWord(w, v, key)
			return
		}
		for _, item := range p.oneOrMore(v, key, "values") {
			p.whoValue(w, item, key)
		}
	})
	p.fault(n.pos, w.full())
}

func (p *fileParser) whoWord(w *Who, v *node, key string) {
	if key == "tree" {
		if text, ok := p.text(v, key, "`command`: COMMAND and its descendants"); ok && text != "command" {
			p.problem(v.pos, "tree: "+quote(text), "write `tree: command`: COMMAND and its descendants")
		}
		w.Tree = true
		return
	}
	if text, ok := p.text(v, key, "a text"); ok {
		p.fault(v.pos, plainWord("a container", text, maxPath))
		w.Container = text
	}
}

func (p *fileParser) whoValue(w *Who, v *node, key string) {
	if key == "uid" || key == "pid" || key == "user" && v.kind == scalar && v.tag == "int" {
		p.number(w, v, key)
		return
	}
	text, ok := p.text(v, key, "a text")
	if !ok {
		return
	}
	switch key {
	case "user":
		p.fault(v.pos, w.parseUser(text))
	case "exe":
		p.fault(v.pos, w.parseExe(text, ""))
	case "comm":
		p.fault(v.pos, w.parseComm(text))
	case "cgroup":
		p.fault(v.pos, plainWord("a cgroup", text, maxPath))
		w.Cgroups = append(w.Cgroups, text)
	}
}

func (p *fileParser) number(w *Who, v *node, key string) {
	least, most := uint64(0), uint64(maxUID)
	if key == "pid" {
		least, most = 1, maxPID
	}
	if v.kind != scalar || v.tag != "int" {
		want := fmt.Sprintf("a number from %d to %d", least, most)
		if key == "uid" {
			want += ", or `user:` and a name"
		}
		p.wrong(v, key, want)
		return
	}
	n, err := strconv.ParseUint(v.text, 10, 64)
	if err != nil || n < least || n > most || len(v.text) > 1 && v.text[0] == '0' {
		p.problem(v.pos, fmt.Sprintf("%s: %s is none", key, quote(v.text)), fmt.Sprintf("write a decimal number from %d to %d", least, most))
		return
	}
	if key == "pid" {
		w.PIDs = append(w.PIDs, uint32(n))
	} else {
		w.UIDs = append(w.UIDs, uint32(n))
	}
}
