package cli

import (
	"fmt"
	"strings"
	"sync"

	"sonde/internal/attach"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
)

// uncovered is what a mechanism leaves open, told at the start of each run. sonde guard verify proves it.
var uncovered = map[guard.Mechanism]string{
	guard.LSM:     "reads and writes by descriptors from before the rules (see --revoke), stat, mounts over a file, and root who may load BPF programs",
	guard.FmodRet: "reads and writes by descriptors from before the rules (see --revoke), stat, mounts over a file, and root who may load BPF programs",
	guard.Override: "every other way to the file (links, mounts, descriptors, handles, io_uring, a path that changes once it was read): " +
		"it goes by the path that the caller writes, and can be got around",
	guard.Kill: "the operation itself, which completes: the kill comes late",
}

// leftOpen is what a mechanism leaves open on this kernel.
func leftOpen(m guard.Mechanism) string {
	open := uncovered[m]
	if modifies := byModifying(m); modifies != nil && !modifies(guard.Openat32()) {
		open += ", and 32-bit programs"
	}
	switch {
	case m.LeftOut() && attach.PreemptsRawTracepoints():
		return open + ", and accesses on a CPU where a program of guard is being preempted (they are counted; --mechanism lsm has no such gap)"
	case byReturns(m):
		return open + ", and all that is not an open by a system call, or an exec: this kernel has no kprobes"
	default:
		return open
	}
}

// tellStart says what is in force, by what, and what that leaves open.
func (g *guardRun) tellStart() {
	what := rulesOf(len(g.set.Rules)) + " in force"
	if g.flags.dryRun {
		what = "a dry run of " + rulesOf(len(g.set.Rules))
	}
	for _, r := range g.refused {
		g.tell("not by %s: %v", r.mechanism, r.err)
	}
	by := string(g.mechanism)
	switch g.mechanism {
	case guard.Override:
		by += " (bypassable)"
	case guard.Kill:
		by += " (late)"
	}
	if d := g.flags.deadlineTime; d > 0 {
		by += ", for " + d.String()
	}
	g.tell("%s by %s; not covered: %s", what, by, leftOpen(g.mechanism))
	if g.pins != nil {
		g.tell("persistent as %s: it outlives sonde; Ctrl-C, or sonde guard stop %s, disarms it", g.pins.name, g.pins.name)
	}
	g.tellNotes(g.armed.Notes)
}

func (g *guardRun) tell(format string, args ...any) {
	say(g.io.err, "%s: %s", g.name, fmt.Sprintf(format, args...))
}

// tellNotes says what is to be known about the rules.
func (g *guardRun) tellNotes(notes []string) {
	for _, n := range notes {
		g.tell("%s", n)
	}
}

func rulesOf(n int) string {
	if n == 1 {
		return "1 rule"
	}
	return fmt.Sprintf("%d rules", n)
}

// ruleNames finds the names of rules for records, which may be of a generation that is no longer in force.
type ruleNames struct {
	mu  sync.Mutex
	all map[uint32][]guard.ArmedRule
}

// keptGenerations is of how many sets of rules the names are kept: of those before no record can be on its way any more.
const keptGenerations = 16

func newRuleNames() *ruleNames { return &ruleNames{all: make(map[uint32][]guard.ArmedRule)} }

func (n *ruleNames) add(l *guard.Loaded) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all[l.Generation] = l.Rules
	delete(n.all, l.Generation-keptGenerations)
}

func (n *ruleNames) name(generation uint32, index int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if rules := n.all[generation]; index >= 0 && index < len(rules) {
		return rules[index].Name
	}
	return ""
}

// ruleTotals adds up the counters of rules over all sets that were in force, by name.
type ruleTotals struct {
	order []string
	by    map[string]*guard.Counts
}

func (t *ruleTotals) add(rules []guard.ArmedRule, counts []guard.Counts) {
	if t.by == nil {
		t.by = make(map[string]*guard.Counts)
	}
	for i, c := range counts {
		name := rules[i].Name
		sum := t.by[name]
		if sum == nil {
			sum = new(guard.Counts)
			t.by[name] = sum
			t.order = append(t.order, name)
		}
		sum.Add(c)
	}
}

// ruleRow is how the counters of a rule are shown in JSON, before the summary.
var ruleRow = &prog.RowType{
	Name: "guard_rule",
	Fields: []prog.Field{
		{Key: "rule", Kind: prog.Text}, {Key: "matches", Kind: prog.Uint}, {Key: "denied", Kind: prog.Uint},
		{Key: "killed", Kind: prog.Uint}, {Key: "logged", Kind: prog.Uint}, {Key: "rate_limited", Kind: prog.Uint},
		{Key: "dry_run", Kind: prog.Uint}, {Key: "allowed", Kind: prog.Uint}, {Key: "unsent", Kind: prog.Uint},
	},
}

func ruleValues(name string, c *guard.Counts) []prog.Value {
	values := []prog.Value{{Bytes: []byte(name)}}
	for _, n := range []uint64{c.Matches, c.Denied, c.Killed, c.Logged, c.Limited, c.Dry, c.Allowed, c.Unsent} {
		values = append(values, prog.Value{Num: int64(n)})
	}
	return values
}

// account gives each rule's counters: the kernel keeps them, and they are exact whatever became of the records.
func (g *guardRun) account(s *prog.Summary) (lines []string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.loaded == nil {
		return nil, nil
	}
	counts, err := g.loaded.Counts(g.run.session)
	if err != nil {
		return nil, err
	}
	g.past.add(g.loaded.Rules, counts)
	var sink print.Sink
	if g.out.json {
		sink = print.NewJSON(g.run.file, ruleRow, nil)
	}
	quiet := 0
	for _, name := range g.past.order {
		c := g.past.by[name]
		if sink != nil {
			if err := sink.Row(&prog.Row{Type: ruleRow, Values: ruleValues(name, c)}); err != nil {
				break // the summary says so
			}
		}
		if c.Matches == 0 && len(g.past.order) > mostQuietRules {
			quiet++
			continue
		}
		lines = append(lines, fmt.Sprintf("rule %s: %s matched; %s", name, times(c.Matches), c))
	}
	if quiet > 0 {
		lines = append(lines, fmt.Sprintf("and %s that matched nothing", rulesOf(quiet)))
	}
	full, err := g.run.session.Word(guard.LearntFullWord)
	if full > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d files that rules are about could not be remembered by their identity: by other names they may be reached", full))
	}
	return lines, err
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// ruleText is a rule in a line.
func ruleText(r *rule.Rule) string {
	var b strings.Builder
	b.WriteString(r.Action.String())
	if r.Access != rule.AllAccess {
		for _, w := range r.Access.Words() {
			b.WriteString(" --" + w)
		}
	}
	const most = 4
	for i, p := range r.What {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(r.What)-most)
			break
		}
		b.WriteString(" " + p.String())
	}
	if !r.Who.IsZero() {
		b.WriteString(", of some")
	}
	if len(r.Except) > 0 {
		b.WriteString(", with exceptions")
	}
	return b.String()
}
