package bypass

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// Verdict is what a guard is worth against a way.
type Verdict uint8

// The verdicts, in ascending order of what they weigh when several tries are put together.
const (
	NotMeant   Verdict = iota + 1 // no rule that was tried means the file when it is reached so
	NotHere                       // the way does not exist on this machine: without a rule it leads nowhere either
	Covered                       // it was refused, and the file is as it was
	Late                          // the process was killed; the call that it made may have been completed
	Unproven                      // the try went wrong in another way: nothing is known
	NotCovered                    // it led to the file in spite of the rule
)

var verdictNames = map[Verdict]string{
	NotMeant: "not meant", NotHere: "not possible here", Covered: "covered", Late: "kills late", Unproven: "not proven", NotCovered: "NOT COVERED",
}

func (v Verdict) String() string { return verdictNames[v] }

// Judge compares a try under a rule with one without, which alone shows that the way exists here. Why is a clause for all
// verdicts but Covered.
func Judge(control, guarded Result) (v Verdict, why string) {
	switch control.Outcome {
	case 0:
		return Unproven, "it was not tried without a rule"
	case Outside:
		return NotMeant, control.Why
	case Impossible:
		return NotHere, control.Why
	case Refused:
		return NotHere, "it is refused without a rule too: " + errnoName(control.Errno)
	case Killed:
		return NotHere, "the process was killed without a rule too"
	}
	done := ""
	if changed := guarded.changedByWay(); len(changed) > 0 {
		done = "changed: " + strings.Join(changed, ", ")
	}
	switch guarded.Outcome {
	case Reached:
		switch {
		case guarded.Effect == WasChanged:
			return NotCovered, done
		case guarded.Tries > 0:
			return NotCovered, fmt.Sprintf("%s, in %d of %d tries", guarded.Effect, guarded.Hits, guarded.Tries)
		}
		return NotCovered, guarded.Effect
	case Killed:
		return Late, done
	case Refused:
		if done != "" {
			return NotCovered, fmt.Sprintf("it was refused (%s), and yet it %s", errnoName(guarded.Errno), done)
		}
		return Covered, ""
	}
	return Unproven, guarded.Why
}

// changedByWay is what has changed, of what the way is about: who reads a file by way of a new link need not be kept from
// making the link.
func (r Result) changedByWay() []string {
	if r.Way.Access == "read" || r.Way.Access == "exec" {
		return nil
	}
	return r.Changed
}

// Finding is what one try under a mechanism has shown.
type Finding struct {
	Try
	Verdict Verdict
	Why     string
	Errno   syscall.Errno // of Covered
	Changed []string
	// Tries and Hits are those of a way that is tried again and again.
	Tries, Hits int
}

// Column is all that is known of one mechanism.
type Column struct {
	Mechanism string
	Refused   string // why it does not work here; there are no findings then
	Findings  []Finding
}

// Cell is what a column says of one way, all tries put together: the gravest verdict, and the shapes of rules for which it
// was so, none if for all of them.
type Cell struct {
	Verdict Verdict
	Shapes  []Shape
	Why     string
}

// Cell is what the column says of a way.
func (c *Column) Cell(w *Way) (cell Cell) {
	var asked, so []Shape
	for _, f := range c.Findings {
		if f.Way != w {
			continue
		}
		if f.Verdict > NotHere && !slices.Contains(asked, f.Shape) {
			asked = append(asked, f.Shape)
		}
		switch {
		case f.Verdict > cell.Verdict:
			cell, so = Cell{Verdict: f.Verdict, Why: f.Why}, []Shape{f.Shape}
		case f.Verdict == cell.Verdict && !slices.Contains(so, f.Shape):
			so = append(so, f.Shape)
		}
		if f.Verdict == cell.Verdict && cell.Why == "" {
			cell.Why = f.Why
		}
	}
	if cell.Verdict > Covered && len(so) < len(asked) {
		cell.Shapes = so
	}
	return cell
}

func (c Cell) String() string {
	s := c.Verdict.String()
	if c.Verdict == 0 {
		return "-"
	}
	if c.Verdict == Late && c.Why != "" {
		s += ", too late"
	}
	if len(c.Shapes) > 0 {
		var names []string
		for _, shape := range c.Shapes {
			names = append(names, shape.String())
		}
		s += " (" + strings.Join(names, ", ") + ")"
	}
	return s
}

// Tally counts the ways of a group by what became of them; ways that do not exist here, or that no rule means, are not counted.
func (c *Column) Tally(g Group) (covered, late, all int) {
	for _, w := range Ways() {
		if w.Group != g {
			continue
		}
		switch cell := c.Cell(w); cell.Verdict {
		case Covered:
			covered++
			all++
		case Late:
			late++
			all++
		case Unproven, NotCovered:
			all++
		}
	}
	return covered, late, all
}

// Enforces says that every way to open a file that exists here is covered, and that there is one.
func (c *Column) Enforces() bool {
	covered, _, all := c.Tally(Opens)
	return covered > 0 && covered == all
}
