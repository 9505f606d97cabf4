package rule

import (
	"fmt"
	"strings"
)

// flags are the flags of a rule on the command line, without the dashes, and whether each takes a value. One for each word
// of accessWords comes in addition.
var flags = map[string]bool{
	"errno": true, "exe": true, "except-exe": true, "uid": true, "except-uid": true, "comm": true, "name": true,
}

// Flag says whether --name is a flag of a rule on the command line, and whether it takes a value.
func Flag(name string) (takesValue, ok bool) {
	if takesValue, ok = flags[name]; ok {
		return takesValue, ok
	}
	_, ok = accessOf(name)
	return false, ok
}

// ParseWords reads rules from the words of a command line:
//
//	ACTION [FLAG...] PATTERN... [[,] ACTION ...]
//
// ACTION is log, kill, deny, deny+kill or allow. It begins a rule, and so ends the one before it; a comma by itself may
// stand between the two. A file that is called like an action is written ./kill, or name:kill for all of that name.
//
// A PATTERN without a slash is the last name of files anywhere, and may be a glob; a path with * ? or [ in it is a glob, and
// ** in it any number of directories; any other path is a file or, if it leads to a directory, that directory and all below
// it. file:, tree:, glob: or name: before it says which is meant. Relative paths start from dir, the physical path of the
// working directory.
//
// FLAG is --read, --write (all that changes a file, its name, or what is at its path: see Change), --content, --create,
// --delete, --rename, --link, --truncate, --exec, --metadata: the accesses meant, added up. Without one, all are. Besides
// --errno EACCES|EPERM|ENOENT (of deny), --exe PATH, --uid USER, --comm NAME (any of those given), --except-exe PATH,
// --except-uid USER, --name NAME. Values follow behind = or as the next word.
//
// The error is a Problems, with all that is wrong.
func ParseWords(words []string, dir string) (*Set, error) {
	p := wordParser{dir: dir}
	for len(words) > 0 {
		words = p.next(words)
	}
	p.end()
	if len(p.set.Rules) == 0 && len(p.problems) == 0 {
		p.problem(&fault{"no rule", "write for example: deny /etc/shadow"})
	}
	p.uniqueNames()
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	p.set.finish()
	return &p.set, nil
}

type wordParser struct {
	dir       string
	set       Set
	problems  Problems
	rule      *Rule // being read
	exceptExe Who
	exceptUID Who
}

func (p *wordParser) problem(f *fault) {
	if f == nil {
		return
	}
	where := ""
	if p.rule != nil && p.rule.Action != 0 {
		where = fmt.Sprintf("rule %d (%s): ", len(p.set.Rules)+1, p.rule.Action)
	}
	p.problems = append(p.problems, &Problem{What: where + f.what, Todo: f.todo})
}

// next reads one word, with its value, and returns those behind it.
func (p *wordParser) next(words []string) []string {
	word := words[0]
	words = words[1:]
	if action, ok := actionOf(word); ok {
		p.end()
		p.rule = &Rule{Action: action}
		return words
	}
	switch {
	case word == ",":
		if p.rule == nil {
			p.problem(&fault{"a comma with no rule before it", "a comma stands between two rules"})
		}
		p.end()
	case p.rule == nil:
		p.problem(&fault{quote(word) + ": a rule begins with its action", oneOf(word, actionNames[Log:])})
		p.rule = &Rule{} // the rest is read for what else is wrong
	case len(word) > 2 && strings.HasPrefix(word, "--"):
		return p.flag(word[2:], words)
	case len(word) > 1 && word[0] == '-':
		p.problem(&fault{quote(word) + " is no flag of a rule", "flags of guard itself come before the first rule; a file of that name is written ./" + word})
	default:
		pattern, f := parsePattern(word, p.dir)
		if f != nil {
			p.problem(f)
		}
		p.rule.What = append(p.rule.What, pattern)
	}
	return words
}

// flag reads a flag of the rule, whose value may be the next word.
func (p *wordParser) flag(flag string, words []string) []string {
	name, value, given := strings.Cut(flag, "=")
	takes, known := Flag(name)
	switch {
	case !known:
		var all []string
		for f := range flags {
			all = append(all, "--"+f)
		}
		for _, w := range accessList() {
			all = append(all, "--"+w)
		}
		todo := "flags of guard itself come before the first rule"
		if near := nearest("--"+name, all); near != "" {
			todo = "did you mean " + near + "? " + todo
		}
		p.problem(&fault{quote("--"+name) + " is no flag of a rule", todo})
		return words
	case !takes && given:
		p.problem(&fault{"--" + name + " takes no value", "write --" + name})
		return words
	case takes && !given:
		if len(words) == 0 {
			p.problem(&fault{"--" + name + ": its value is missing", "write it as the next word"})
			return words
		}
		value, words = words[0], words[1:]
	}
	if access, ok := accessOf(name); ok {
		p.rule.Access |= access
		return words
	}
	f := p.value(name, value)
	if f != nil {
		f.what = "--" + name + ": " + f.what
	}
	p.problem(f)
	return words
}

func (p *wordParser) value(name, value string) *fault {
	switch name {
	case "errno":
		n, ok := errnoOf(value)
		if !ok {
			return &fault{quote(value) + " is no error to deny with", "one of EACCES, EPERM, ENOENT"}
		}
		p.rule.Errno = n
	case "exe":
		return p.rule.Who.parseExe(value, p.dir)
	case "except-exe":
		return p.exceptExe.parseExe(value, p.dir)
	case "uid":
		return p.rule.Who.parseUser(value)
	case "except-uid":
		return p.exceptUID.parseUser(value)
	case "comm":
		return p.rule.Who.parseComm(value)
	case "name":
		if p.rule.Name != "" {
			return &fault{"given twice", "a rule has one name"}
		}
		p.rule.Name = value
		return plainWord("a rule's name", value, maxRuleName)
	}
	return nil
}

// end takes the rule that was being read into the set.
func (p *wordParser) end() {
	r := p.rule
	if r == nil {
		return
	}
	for _, w := range []*Who{&p.exceptExe, &p.exceptUID} {
		if !w.IsZero() {
			p.problem(w.full())
			r.Except = append(r.Except, *w)
		}
		*w = Who{}
	}
	p.problem(r.Who.full())
	if len(r.What) == 0 && r.Action != 0 {
		p.problem(&fault{"it names no file", "write a path, a glob or a name behind it; a file that is called " + r.Action.String() + " is written ./" + r.Action.String()})
	}
	if r.Action != 0 {
		p.problem(r.complete())
	}
	p.set.Rules = append(p.set.Rules, *r)
	if len(p.set.Rules) == maxRules+1 {
		p.problem(&fault{fmt.Sprintf("more than %d rules", maxRules), "a tree or a glob says the same in one"})
	}
	p.rule = nil
}

// complete fills in what a rule does not say, and returns what does not fit together.
func (r *Rule) complete() *fault {
	if r.Access == 0 {
		r.Access = AllAccess
	}
	if r.Action.Denies() {
		if r.Errno == 0 {
			r.Errno = EACCES
		}
	} else if r.Errno != 0 {
		return &fault{fmt.Sprintf("errno with the action %s", r.Action), "only deny and deny+kill make an operation fail; leave it out"}
	}
	return nil
}

func (p *wordParser) uniqueNames() {
	seen := make(map[string]bool)
	for i := range p.set.Rules {
		name := p.set.Rules[i].Name
		if name != "" && seen[name] {
			p.problem(&fault{"two rules are called " + quote(name), "give each a name of its own"})
		}
		seen[name] = true
	}
}
