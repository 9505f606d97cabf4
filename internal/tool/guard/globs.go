package guard

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"sonde/internal/tool/guard/rule"
)

func nativeWord(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

// wideGlob is a pattern for names in more than one directory: one for all directories that have it below them.
type wideGlob struct {
	pattern  string
	rule     int
	anywhere bool
}

// demand counts what a set needs of the tables.
func demand(a *Armed) Sizes {
	s := Sizes{
		Rules: len(a.Rules), Objects: len(a.Objects), Entries: len(a.Entries), Trees: len(a.Trees) + len(a.Globs) + 1, Names: len(a.Names),
		DirGlobs: len(a.Globs), Globs: len(a.Globs) + wideMax, Steps: len(a.Steps),
	}
	for i := range a.Rules {
		for _, w := range append([]ArmedWho{a.Rules[i].Who}, a.Rules[i].Except...) {
			s.Whos += len(w.Exes) + len(w.UIDs) + len(w.PIDs) + len(w.Comms) + len(w.Cgroups) + len(w.Mntns)
		}
	}
	s.Lists = len(a.Globs) + min(len(a.Trees), listMax)
	for _, lists := range []func(func([]int) bool){values(a.Objects), values(a.Entries), values(a.Trees), values(a.Names)} {
		lists(func(rules []int) bool { s.Lists += len(rules); return true })
	}
	return s
}

func values[K comparable](m map[K][]int) func(func([]int) bool) { return maps.Values(m) }

// putGlobs writes globs and trees, which share a table: a directory may be the top of both.
func (l *loader) putGlobs() error {
	wide := make(map[wideGlob]uint32)
	trees := make(map[Object]tableTree)
	inDir := make(map[Object][]uint32)
	var anywhere uint32
	for _, wideFirst := range []bool{true, false} { // their numbers are bits
		for _, g := range l.armed.Globs {
			everywhere := g.Dir == Object{}
			if isWide := g.Below || everywhere; isWide != wideFirst {
				continue
			}
			if !wideFirst {
				number, err := l.glob(g.Pattern, g.Rule)
				if err != nil {
					return err
				}
				inDir[g.Dir] = append(inDir[g.Dir], number)
				continue
			}
			key := wideGlob{g.Pattern, g.Rule, everywhere}
			number, ok := wide[key]
			if !ok {
				if len(wide) == wideMax {
					return fmt.Errorf("guard: rule %s: more than %d patterns for names anywhere or anywhere below a directory", l.armed.Rules[g.Rule].Name, wideMax)
				}
				var err error
				if number, err = l.glob(g.Pattern, g.Rule); err != nil {
					return err
				}
				wide[key] = number
			}
			if everywhere {
				anywhere |= 1 << number
				continue
			}
			tree := trees[g.Dir]
			tree.Globs |= 1 << number
			trees[g.Dir] = tree
		}
	}
	for dir, globs := range inDir {
		if len(globs) > globsMax {
			return fmt.Errorf("guard: %d patterns for names in one directory; at most %d are possible", len(globs), globsMax)
		}
		list, err := l.numbers(globs)
		if err == nil {
			err = l.put(bpfMapGuardDirGlobs, l.object(dir), list, "patterns")
		}
		if err != nil {
			return err
		}
		l.loaded.has |= hasGlobs
	}
	l.loaded.has |= uint64(len(wide))<<hasWideShift | uint64(anywhere)<<32
	return l.putTrees(trees)
}

func (l *loader) putTrees(trees map[Object]tableTree) error {
	protecting := make(map[int]bool)
	for dir, rules := range l.armed.Trees {
		list, err := l.list(rules)
		if err != nil {
			return err
		}
		tree := trees[dir]
		tree.List = list
		trees[dir] = tree
		for _, r := range rules {
			protecting[r] = protects(l.armed.Rules[r].Action)
		}
		l.loaded.has |= hasTrees
	}
	// What lies deeper than the programs climb is taken to be below every tree that something is forbidden in.
	var deep []int
	for _, r := range slices.Sorted(maps.Keys(protecting)) {
		if protecting[r] {
			deep = append(deep, r)
		}
	}
	if len(deep) > 0 {
		if deep = l.deciding(deep); len(deep) > listMax {
			deep = deep[:listMax]
		}
		list, err := l.list(deep)
		if err != nil {
			return err
		}
		trees[Object{}] = tableTree{List: list}
	}
	for dir, tree := range trees {
		if err := l.put(bpfMapGuardTrees, l.object(dir), tree, "directories"); err != nil {
			return err
		}
	}
	return nil
}

// glob writes a pattern and returns its number.
func (l *loader) glob(pattern string, ruleAt int) (uint32, error) {
	entry, err := compileGlob(pattern)
	if err != nil {
		return 0, fmt.Errorf("guard: rule %s: %w", l.armed.Rules[ruleAt].Name, err)
	}
	entry.Rule = uint32(ruleAt)
	if entry.List, err = l.numbers([]uint32{entry.Rule}); err != nil {
		return 0, err
	}
	if l.globbed >= l.room.globs {
		return 0, fmt.Errorf("guard: more than the %d patterns that the tables that are loaded hold; start sonde anew with them", l.room.globs)
	}
	number := l.globbed
	if err := l.tables.Put(bpfMapGuardGlobs, l.base.globs+number, entry); err != nil {
		return 0, fmt.Errorf("guard: patterns of the rules: %w", err)
	}
	l.globbed++
	return number, nil
}

// Elements of a pattern are bits of a word, and one more stands for none of them.
const globElements = 63

// compileGlob makes of a pattern (* ? [..] [!..] \x, for one name) the machine that decide.bpf.h runs.
func compileGlob(pattern string) (*tableGlob, error) {
	g := &tableGlob{}
	element := 0
	next := func(set func(c byte) bool) error {
		if element == globElements {
			return fmt.Errorf("pattern %q: more than %d letters and marks", pattern, globElements)
		}
		element++
		for c := 1; c < 256; c++ {
			if c != '/' && set(byte(c)) {
				g.Next[c] |= 1 << element
			}
		}
		return nil
	}
	for i := 0; i < len(pattern); {
		c := pattern[i]
		i++
		var err error
		switch c {
		case '*':
			g.Stay |= 1 << element
		case '?':
			err = next(func(byte) bool { return true })
		case '[':
			class := classIn(pattern[i-1:])
			if class == "" {
				return nil, fmt.Errorf("pattern %q: a [ without its ]", pattern)
			}
			i += len(class) - 1
			err = next(func(d byte) bool { return rule.MatchName(class, string([]byte{d})) })
		case '\\':
			if i == len(pattern) {
				return nil, fmt.Errorf("pattern %q: a \\ with nothing behind it", pattern)
			}
			c = pattern[i]
			i++
			fallthrough
		default:
			err = next(func(d byte) bool { return d == c })
		}
		if err != nil {
			return nil, err
		}
	}
	g.Accept = 1 << element
	return g, nil
}

// classIn returns the [..] that a pattern begins with, empty where no ] closes it. A ] that comes first is one of the bytes.
func classIn(p string) string {
	from := 1
	if from < len(p) && (p[from] == '!' || p[from] == '^') {
		from++
	}
	for i := from; i < len(p); i++ {
		switch {
		case p[i] == '\\':
			i++
		case p[i] == ']' && i > from:
			return p[:i+1]
		}
	}
	return ""
}

// matches runs the machine on a name, as glob_matches of decide.bpf.h does.
func (g *tableGlob) matches(name string) bool {
	state := uint64(1)
	for i := range len(name) {
		state = state<<1&g.Next[name[i]] | state&g.Stay
	}
	return bits.OnesCount64(state&g.Accept) != 0
}
