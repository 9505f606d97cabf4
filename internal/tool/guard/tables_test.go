package guard

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// fakeTables keeps entries as they are written, by table and key.
type fakeTables struct {
	entries map[string]map[string]any
	words   map[string]uint64
	full    string // a table that takes nothing
}

func newFakeTables() *fakeTables {
	return &fakeTables{entries: make(map[string]map[string]any), words: map[string]uint64{
		bpfVarGuardRulesHalf: 8, bpfVarGuardListsHalf: 16, bpfVarGuardGlobsHalf: 40, bpfVarGuardSeed: 5,
	}}
}

func (f *fakeTables) Put(table string, key, value any) error {
	if table == f.full {
		return unix.E2BIG
	}
	if f.entries[table] == nil {
		f.entries[table] = make(map[string]any)
	}
	f.entries[table][fmt.Sprint(key)] = value
	return nil
}

func (f *fakeTables) Get(table string, key, value any) error {
	v, ok := f.entries[table][fmt.Sprint(key)]
	if !ok {
		return errors.New("not there")
	}
	*value.(*Counts) = v.(Counts)
	return nil
}

func (f *fakeTables) Delete(table string, key any) error {
	delete(f.entries[table], fmt.Sprint(key))
	return nil
}

func (f *fakeTables) Word(name string) (uint64, error) { return f.words[name], nil }

func (f *fakeTables) SetWord(name string, n uint64) error {
	f.words[name] = n
	return nil
}

// list reads a list of rules back.
func (f *fakeTables) list(generation uint32, l tableList) string {
	var out []uint32
	for i := range l.Count {
		at := generation&1*uint32(f.words[bpfVarGuardListsHalf]) + l.First + i
		out = append(out, f.entries[bpfMapGuardLists][fmt.Sprint(at)].(uint32))
	}
	return fmt.Sprint(out)
}

func someRules(n int) (rules []ArmedRule) {
	for i := range n {
		rules = append(rules, ArmedRule{Name: fmt.Sprintf("r%d", i), Access: rule.Write, Action: rule.Deny, Errno: 13, Who: ArmedWho{UIDs: []uint32{uint32(i)}}})
	}
	return rules
}

func TestLoad(t *testing.T) {
	f := newFakeTables()
	dir, other := Object{1, 2}, Object{1, 3}
	rules := someRules(4)
	rules[1].Access = rule.Read
	rules[1].Who = ArmedWho{}
	rules[2].Access = rule.Read // never decides where rule 1 is
	rules[3].Except = []ArmedWho{{Comms: []string{"cp"}}, {Tree: true}}
	a := &Armed{
		Rules:   rules,
		Objects: map[Object][]int{{1, 9}: {0, 1, 2, 3}},
		Entries: map[Entry][]int{{dir, "shadow"}: {2}},
		Trees:   map[Object][]int{dir: {3}},
		Names:   map[string][]int{"x": {2, 3}},
		Globs: []GlobAt{
			{Dir: other, Pattern: "*.a", Rule: 0},
			{Dir: dir, Below: true, Pattern: "*.b", Rule: 1},
			{Dir: other, Below: true, Pattern: "*.b", Rule: 1},
			{Pattern: "*.c", Rule: 2},
		},
	}
	const generation = 7
	l, err := Load(f, a, generation)
	if err != nil {
		t.Fatal(err)
	}
	if f.words[GenerationWord] != 0 || f.words[bpfVarGuardHas1] != 0 {
		t.Error("it is in force before Switch")
	}
	if err := l.Switch(f); err != nil {
		t.Fatal(err)
	}
	wantHas := uint64(hasObjects|hasEntries|hasTrees|hasNames|hasGlobs) | 2<<hasWideShift | uint64(rule.Write|rule.Read)<<16 | 2<<32
	if f.words[GenerationWord] != generation || f.words[bpfVarGuardHas1] != wantHas {
		t.Errorf("generation %d, has %#x, want %#x", f.words[GenerationWord], f.words[bpfVarGuardHas1], wantHas)
	}
	object := func(o Object) string { return fmt.Sprint(tableObject{generation, o}) }
	if got := f.list(generation, f.entries[bpfMapGuardObjects][object(Object{1, 9})].(tableWatched).List); got != "[0 1 3]" {
		t.Errorf("rules of the file: %s", got)
	}
	if got := f.list(generation, f.entries[bpfMapGuardEntries][fmt.Sprint(tableEntry{generation, dir, nameHash(5, "shadow")})].(tableList)); got != "[2]" {
		t.Errorf("rules of the path: %s", got)
	}
	trees := f.entries[bpfMapGuardTrees]
	if tree := trees[object(dir)].(tableTree); f.list(generation, tree.List) != "[3]" || tree.Globs != 1 {
		t.Errorf("tree: %+v", tree)
	}
	if tree := trees[object(other)].(tableTree); tree.List.Count != 0 || tree.Globs != 1 {
		t.Errorf("directory of a glob: %+v", tree)
	}
	if tree := trees[object(Object{})].(tableTree); f.list(generation, tree.List) != "[3]" {
		t.Errorf("what is too deep: %+v", tree)
	}
	// The wide globs have the numbers from 0 on, and are of the odd half.
	if g := f.entries[bpfMapGuardGlobs]["41"].(*tableGlob); g.Rule != 2 || !g.matches("x.c") {
		t.Errorf("the second wide glob is of rule %d", g.Rule)
	}
	if r := f.entries[bpfMapGuardRules]["11"].(tableRule); r.Excepts != 2 || r.Who != [5]uint32{whoUID, whoComm, whoTree} || r.Errno != 13 {
		t.Errorf("rule 3: %+v", r)
	}
	if len(f.entries[bpfMapGuardWhos]) != 4 {
		t.Errorf("%d conditions", len(f.entries[bpfMapGuardWhos]))
	}
	counts, err := l.Drop(f)
	if err != nil || len(counts) != 4 {
		t.Errorf("dropped: %v %v", counts, err)
	}
	for _, table := range []string{bpfMapGuardObjects, bpfMapGuardEntries, bpfMapGuardTrees, bpfMapGuardNames, bpfMapGuardDirGlobs, bpfMapGuardWhos} {
		if left := f.entries[table]; len(left) != 0 {
			t.Errorf("%s: %v is left", table, maps.Keys(left))
		}
	}
}

// Sets that do not fit are refused in a sentence, and leave nothing behind.
func TestLoadRefuses(t *testing.T) {
	dir := Object{1, 2}
	everybody := someRules(2)
	many := func(n int) (numbers []int) {
		for i := range n {
			numbers = append(numbers, i)
		}
		return numbers
	}
	var wide, inDir []GlobAt
	for i := range wideMax + 1 {
		wide = append(wide, GlobAt{Pattern: fmt.Sprintf("*%d", i)})
		inDir = append(inDir, GlobAt{Dir: dir, Pattern: fmt.Sprintf("*%d", i)})
	}
	for _, c := range []struct {
		name, want string
		armed      Armed
		prepare    func(*fakeTables)
	}{
		{"rules", "9 rules, and the tables that are loaded hold 8", Armed{Rules: someRules(9)}, nil},
		{"lists", "more combinations of rules than the 16", Armed{Rules: someRules(8), Objects: map[Object][]int{
			{1, 1}: many(8), {1, 2}: many(7), {1, 3}: many(6),
		}}, nil},
		{"about one thing", "33 rules with conditions of their own are about one thing (r0, r1 and more); at most 32", Armed{
			Rules: someRules(33), Objects: map[Object][]int{{1, 1}: many(33)},
		}, func(f *fakeTables) { f.words[bpfVarGuardRulesHalf], f.words[bpfVarGuardListsHalf] = 100, 100 }},
		{"wide globs", "rule r0: more than 32 patterns", Armed{Rules: everybody, Globs: wide}, nil},
		{"globs", "more than the 40 patterns", Armed{Rules: everybody, Globs: append(inDir, inDir...)}, nil},
		{"glob", "a [ without its ]", Armed{Rules: everybody, Globs: []GlobAt{{Dir: dir, Pattern: "["}}}, nil},
		{"objects", "more files in the rules than", Armed{Rules: everybody, Objects: map[Object][]int{{1, 1}: {0}}}, func(f *fakeTables) { f.full = bpfMapGuardObjects }},
		{"paths", "more paths in the rules than", Armed{Rules: everybody, Entries: map[Entry][]int{{dir, "x"}: {0}}}, func(f *fakeTables) { f.full = bpfMapGuardEntries }},
		{"exceptions", "5 exceptions; at most 4", Armed{Rules: []ArmedRule{{Name: "x", Except: make([]ArmedWho, 5)}}}, nil},
		{"cgroup", "cgroup /nowhere/at/all: no such file", Armed{Rules: []ArmedRule{{Name: "x", Who: ArmedWho{Cgroups: []string{"/nowhere/at/all"}}}}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeTables()
			if c.prepare != nil {
				c.prepare(f)
			}
			_, err := Load(f, &c.armed, 1)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, c.want)
			}
			for table, left := range f.entries {
				switch table {
				case bpfMapGuardRules, bpfMapGuardLists, bpfMapGuardGlobs, bpfMapGuardCounts: // arrays: nothing points there
				default:
					if len(left) != 0 {
						t.Errorf("%s: %d entries are left", table, len(left))
					}
				}
			}
		})
	}
}

func TestSizesFor(t *testing.T) {
	a := &Armed{Rules: someRules(10000), Objects: map[Object][]int{}}
	for i := range 10000 {
		a.Objects[Object{1, uint64(i)}] = []int{i}
	}
	s := SizesFor(a)
	if s.Rules < 20000 || s.Objects < 20000 || s.Lists < 20000 || s.Whos < 20000 {
		t.Errorf("%+v has no room for twice as much", s)
	}
	if least := SizesFor(&Armed{}); least != SizesFor(nil) {
		t.Errorf("%+v for an empty set", least)
	}
}
