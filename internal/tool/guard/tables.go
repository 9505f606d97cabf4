package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// Tables are the kernel's tables of a running guard. Keys and values are as ebpf.Map takes them.
type Tables interface {
	Put(table string, key, value any) error
	Get(table string, key, value any) error // value is a pointer
	Delete(table string, key any) error     // of what is not there, too
	Word(name string) (uint64, error)
	SetWord(name string, n uint64) error
}

// The structs of guard.h.
type (
	tableObject struct {
		Generation uint32
		Object
	}
	tableList    struct{ First, Count uint32 }
	tableWatched struct {
		List                  tableList
		Seen, InodeGeneration uint32
	}
	tableEntry struct {
		Generation uint32
		Dir        Object
		Name       uint64
	}
	tableName struct {
		Generation, _ uint32
		Name          uint64
	}
	tableTree struct {
		List                     tableList
		Globs                    uint32
		Seen, InodeGeneration, _ uint32
	}
	tableGlob struct {
		Next         [256]uint64
		Stay, Accept uint64
		Rule, _      uint32
		List         tableList // of this rule alone
	}
	tableRule struct {
		Access           uint16
		Action, Errno    uint8
		Excepts, _, _, _ uint8
		Who              [1 + maxExcepts]uint32
		_                uint32
	}
	tableStep struct {
		Ino       uint64
		Dev, Link uint32
	}
	tableWho struct {
		Generation, Who uint32
		Value           [2]uint64
	}
)

// Counts are those of one rule. They are exact.
type Counts struct {
	Matches uint64 // how often it decided
	Denied  uint64
	Killed  uint64
	Logged  uint64
	Limited uint64 // would have been denied or killed, but for --max-denies
	Dry     uint64 // would have been denied or killed, but for --dry-run
	Allowed uint64
	Unsent  uint64 // records of it that found no room
}

// Add sums two counts.
func (c *Counts) Add(d Counts) {
	c.Matches += d.Matches
	c.Denied += d.Denied
	c.Killed += d.Killed
	c.Logged += d.Logged
	c.Limited += d.Limited
	c.Dry += d.Dry
	c.Allowed += d.Allowed
	c.Unsent += d.Unsent
}

// What the programs know; guard.h.
const (
	listMax    = 32
	globsMax   = 64
	wideMax    = 32
	maxExcepts = 4

	hasObjects   = 1
	hasEntries   = 2
	hasTrees     = 4
	hasNames     = 8
	hasGlobs     = 16
	hasWideShift = 8
)

// Loaded is a set of rules in the tables, under the generation that it was given.
type Loaded struct {
	Generation uint32
	Rules      []ArmedRule
	has        uint64
	keys       map[string][]any // what to delete, by table
}

// Load writes a set of rules into the tables as the given generation, which is one more than that in force. It changes
// nothing for anybody until Switch. Where it fails the tables are as they were.
func Load(t Tables, a *Armed, generation uint32) (*Loaded, error) {
	l := &loader{tables: t, armed: a, generation: generation, loaded: &Loaded{
		Generation: generation, Rules: a.Rules, keys: make(map[string][]any),
	}, lists: make(map[string]tableList)}
	if err := l.load(); err != nil {
		l.loaded.clear(t)
		return nil, err
	}
	return l.loaded, nil
}

// Switch puts these rules in force: for every access that begins from now on, in the place of those before.
func (l *Loaded) Switch(t Tables) error {
	if err := t.SetWord(hasWord(l.Generation), l.has); err != nil {
		return err
	}
	return t.SetWord(GenerationWord, uint64(l.Generation))
}

// Drop takes rules that are no longer in force out of the tables, once no program can be in the middle of asking for them.
// It returns what their counters have come to.
func (l *Loaded) Drop(t Tables) ([]Counts, error) {
	waitForPrograms()
	counts, err := l.Counts(t)
	l.clear(t)
	return counts, errors.Join(err, l.forget(t))
}

// forget takes out what the programs have learnt of these rules. Tables that cannot be listed keep it.
func (l *Loaded) forget(t Tables) error {
	listed, ok := t.(interface {
		Keys(table string) ([][]byte, error)
	})
	if !ok {
		return nil
	}
	for _, table := range []string{bpfMapGuardLearnt, bpfMapGuardTrees} {
		keys, err := listed.Keys(table)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if len(key) >= 4 && binary.NativeEndian.Uint32(key) == l.Generation {
				if err := t.Delete(table, key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Counts returns the counters, parallel to Rules.
func (l *Loaded) Counts(t Tables) ([]Counts, error) {
	half, err := t.Word(bpfVarGuardRulesHalf)
	if err != nil {
		return nil, err
	}
	counts := make([]Counts, len(l.Rules))
	for i := range counts {
		counts[i], err = ReadCounts(func(key uint32, into any) error { return t.Get(CountsMap, key, into) }, uint64(l.Generation), half, i)
		if err != nil {
			return nil, fmt.Errorf("guard: counters of rule %s: %w", l.Rules[i].Name, err)
		}
	}
	return counts, nil
}

// RulesHalf names the constant that ReadCounts wants: for how many rules there is room in a generation.
const RulesHalf = bpfVarGuardRulesHalf

// ReadCounts reads the counters of one rule, of which there are half in each generation, from the map CountsMap.
func ReadCounts(get func(key uint32, into any) error, generation, half uint64, rule int) (c Counts, err error) {
	err = get(uint32(generation&1*half)+uint32(rule), &c)
	return c, err
}

// String lists what is not zero.
func (c Counts) String() string {
	var parts []string
	for _, n := range []struct {
		n    uint64
		what string
	}{
		{c.Denied, "denied"}, {c.Killed, "killed"}, {c.Logged, "logged"}, {c.Limited, "rate-limited"}, {c.Dry, "in a dry run"},
		{c.Allowed, "allowed"}, {c.Unsent, "not told"},
	} {
		if n.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.n, n.what))
		}
	}
	if len(parts) == 0 {
		return "no match"
	}
	return strings.Join(parts, ", ")
}

func (l *Loaded) clear(t Tables) {
	for _, table := range slices.Sorted(maps.Keys(l.keys)) {
		for _, key := range l.keys[table] {
			_ = t.Delete(table, key)
		}
	}
	clear(l.keys)
}

// waitForPrograms returns when all programs that were running have come to their end.
func waitForPrograms() {
	// MEMBARRIER_CMD_GLOBAL is synchronize_rcu, and programs run in RCU's read sections. Kernels with nohz_full refuse it.
	const cmdGlobal = 1
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, cmdGlobal, 0, 0); errno != 0 {
		settle()
	}
}

func hasWord(generation uint32) string {
	if generation&1 != 0 {
		return bpfVarGuardHas1
	}
	return bpfVarGuardHas0
}

// loader writes one generation.
type loader struct {
	tables     Tables
	armed      *Armed
	generation uint32
	loaded     *Loaded
	seed       uint64
	base       struct{ rules, lists, globs, whole uint32 } // of this half of the arrays
	room       struct{ rules, lists, globs uint32 }
	lists      map[string]tableList // by content
	listed     uint32
	globbed    uint32
}

func (l *loader) load() error {
	if err := l.measure(); err != nil {
		return err
	}
	if err := l.putRules(); err != nil {
		return err
	}
	if err := l.putObjects(); err != nil {
		return err
	}
	if err := l.putGlobs(); err != nil {
		return err
	}
	if err := l.putSteps(); err != nil {
		return err
	}
	var access rule.Access
	for i := range l.armed.Rules {
		access |= l.armed.Rules[i].Access
	}
	l.loaded.has |= uint64(access) << 16
	return nil
}

// measure asks the tables how large they are.
func (l *loader) measure() error {
	for _, c := range []struct {
		name       string
		room, base *uint32
	}{
		{bpfVarGuardRulesHalf, &l.room.rules, &l.base.rules},
		{bpfVarGuardListsHalf, &l.room.lists, &l.base.lists},
		{bpfVarGuardGlobsHalf, &l.room.globs, &l.base.globs},
	} {
		n, err := l.tables.Word(c.name)
		if err != nil {
			return err
		}
		*c.room = uint32(n)
		if l.generation&1 != 0 {
			*c.base = uint32(n)
		}
	}
	seed, err := l.tables.Word(bpfVarGuardSeed)
	l.seed = seed
	return err
}

// put writes an entry of a hash, and keeps its key.
func (l *loader) put(table string, key, value any, what string) error {
	if err := l.tables.Put(table, key, value); err != nil {
		return noRoom(what, err)
	}
	l.loaded.keys[table] = append(l.loaded.keys[table], key)
	return nil
}

func (l *loader) putRules() error {
	if n := len(l.armed.Rules); uint64(n) > uint64(l.room.rules) {
		return fmt.Errorf("guard: %d rules, and the tables that are loaded hold %d; start sonde anew with them", n, l.room.rules)
	}
	for i := range l.armed.Rules {
		r := &l.armed.Rules[i]
		entry, err := l.ruleOf(i, r)
		if err != nil {
			return fmt.Errorf("guard: rule %s: %w", r.Name, err)
		}
		at := l.base.rules + uint32(i)
		if err := l.tables.Put(bpfMapGuardRules, at, entry); err != nil {
			return fmt.Errorf("guard: rule %s: %w", r.Name, err)
		}
		if err := l.tables.Put(bpfMapGuardCounts, at, Counts{}); err != nil {
			return fmt.Errorf("guard: rule %s: %w", r.Name, err)
		}
	}
	return nil
}

func (l *loader) ruleOf(i int, r *ArmedRule) (entry tableRule, err error) {
	if len(r.Except) > maxExcepts {
		return entry, fmt.Errorf("%d exceptions; at most %d are possible", len(r.Except), maxExcepts)
	}
	entry = tableRule{Access: uint16(r.Access), Action: uint8(r.Action), Errno: uint8(r.Errno), Excepts: uint8(len(r.Except))}
	for n, who := range append([]ArmedWho{r.Who}, r.Except...) {
		if entry.Who[n], err = l.putWho(uint32(i*(1+maxExcepts)+n), &who); err != nil {
			return entry, err
		}
	}
	return entry, nil
}

func (l *loader) putObjects() error {
	for o, rules := range l.armed.Objects {
		list, err := l.list(rules)
		if err == nil {
			err = l.put(bpfMapGuardObjects, l.object(o), tableWatched{List: list}, "files")
		}
		if err != nil {
			return err
		}
		l.loaded.has |= hasObjects
	}
	for e, rules := range l.armed.Entries {
		list, err := l.list(rules)
		if err == nil {
			err = l.put(bpfMapGuardEntries, tableEntry{l.generation, e.Dir, nameHash(l.seed, e.Name)}, list, "paths")
		}
		if err != nil {
			return err
		}
		l.loaded.has |= hasEntries
	}
	for name, rules := range l.armed.Names {
		list, err := l.list(rules)
		if err == nil {
			err = l.put(bpfMapGuardNames, tableName{Generation: l.generation, Name: nameHash(l.seed, name)}, list, "names")
		}
		if err != nil {
			return err
		}
		l.loaded.has |= hasNames
	}
	return nil
}

func (l *loader) object(o Object) tableObject { return tableObject{l.generation, o} }

// list writes a list of rules and says where it is. Lists of the same rules are one.
func (l *loader) list(rules []int) (tableList, error) {
	if rules = l.deciding(rules); len(rules) > listMax {
		return tableList{}, fmt.Errorf("guard: %d rules with conditions of their own are about one thing (%s, %s and more); at most %d are possible",
			len(rules), l.armed.Rules[rules[0]].Name, l.armed.Rules[rules[1]].Name, listMax)
	}
	numbers := make([]uint32, len(rules))
	for i, r := range rules {
		numbers[i] = uint32(r)
	}
	return l.numbers(numbers)
}

func (l *loader) numbers(numbers []uint32) (tableList, error) {
	var content []byte
	for _, n := range numbers {
		content = binary.NativeEndian.AppendUint32(content, n)
	}
	if list, ok := l.lists[string(content)]; ok {
		return list, nil
	}
	list := tableList{l.listed, uint32(len(numbers))}
	if uint64(list.First)+uint64(list.Count) > uint64(l.room.lists) {
		return list, fmt.Errorf("guard: more combinations of rules than the %d that the tables that are loaded hold; start sonde anew with them", l.room.lists)
	}
	for i, n := range numbers {
		if err := l.tables.Put(bpfMapGuardLists, l.base.lists+list.First+uint32(i), n); err != nil {
			return list, fmt.Errorf("guard: lists of rules: %w", err)
		}
	}
	l.listed += list.Count
	l.lists[string(content)] = list
	return list, nil
}

// deciding leaves out rules that never decide, because one before them is about everybody and all that they are about.
func (l *loader) deciding(rules []int) []int {
	var taken rule.Access
	return slices.DeleteFunc(slices.Clone(rules), func(i int) bool {
		r := &l.armed.Rules[i]
		if r.Access&^taken == 0 {
			return true
		}
		if r.Who.everybody() && len(r.Except) == 0 {
			taken |= r.Access
		}
		return false
	})
}

// nameHash is name_hash of decide.bpf.h.
func nameHash(seed uint64, name string) uint64 {
	b := append([]byte(name), make([]byte, 8)...) // the NUL is hashed too
	for n := 0; n <= len(name); n += 8 {
		seed = (seed ^ binary.NativeEndian.Uint64(padded(b[n:]))) * 0x9e3779b97f4a7c15
		seed ^= seed >> 29
	}
	return seed
}

func padded(b []byte) []byte {
	var word [8]byte
	copy(word[:], b)
	return word[:]
}
