package bypass

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Report is what verifying has shown, for people and for programs.
type Report struct {
	Release string // of the kernel
	Columns []*Column
}

// Best is the first column whose mechanism works here, nil if none does: columns are in order of preference.
func (r *Report) Best() *Column {
	for _, c := range r.Columns {
		if c.Refused == "" {
			return c
		}
	}
	return nil
}

// groups are all of them, in the order in which they are shown.
var groups = []Group{Opens, More, Changes, Creates, Held}

var headings = map[Group]string{
	Opens:   "opening it by another name, or by another call",
	More:    "opening and running it in further ways",
	Changes: "changing or removing it without opening it",
	Creates: "making something of its name",
	Held:    "using what was opened before the rule",
}

// WriteText writes the table for people, and below it what must be known of it.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	shown := r.working()
	for _, c := range r.Columns {
		if c.Refused != "" {
			fmt.Fprintf(&b, "%s: not here: %s\n", c.Mechanism, c.Refused)
		}
	}
	if len(shown) > 0 {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		r.table(&b, shown)
		b.WriteByte('\n')
		r.gaps(&b, shown)
		for _, c := range shown {
			fmt.Fprintf(&b, "%s: %s\n", c.Mechanism, c.sum())
		}
	}
	b.WriteString(r.verdict() + "\n")
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) working() (columns []*Column) {
	for _, c := range r.Columns {
		if c.Refused == "" {
			columns = append(columns, c)
		}
	}
	return columns
}

func (r *Report) table(b *bytes.Buffer, columns []*Column) {
	wide := 0
	for _, w := range Ways() {
		wide = max(wide, len(w.Name)+2)
	}
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = len(c.Mechanism)
		for _, w := range Ways() {
			widths[i] = max(widths[i], len(c.Cell(w).String()))
		}
	}
	line := func(first string, cells func(i int) string) {
		text := fmt.Sprintf("%-*s", wide, first)
		for i := range columns {
			text += fmt.Sprintf("  %-*s", widths[i], cells(i))
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	line("WAY", func(i int) string { return strings.ToUpper(columns[i].Mechanism) })
	for _, g := range groups {
		b.WriteString(headings[g] + "\n")
		for _, w := range Ways() {
			if w.Group == g {
				line("  "+w.Name, func(i int) string { return columns[i].Cell(w).String() })
			}
		}
	}
}

// gaps tells of each way that the best mechanism does not cover what it is and what came of it, and why ways are not possible.
func (r *Report) gaps(b *bytes.Buffer, columns []*Column) {
	best := columns[0]
	any := false
	for _, w := range Ways() {
		cell := best.Cell(w)
		why := cell.Why
		switch {
		case cell.Verdict == Covered || cell.Verdict == NotMeant || cell.Verdict == 0:
			continue
		case cell.Verdict == Late && why == "":
			continue
		}
		any = true
		fmt.Fprintf(b, "%s, %v: %s", w.Name, cell, w.Does)
		if why != "" {
			fmt.Fprintf(b, "; %s", why)
		}
		b.WriteByte('\n')
	}
	if any {
		b.WriteByte('\n')
	}
}

// sum says in one line how much a mechanism covers.
func (c *Column) sum() string {
	var parts []string
	for _, g := range groups {
		covered, late, all := c.Tally(g)
		if all == 0 {
			continue
		}
		part := fmt.Sprintf("%s %d of %d", g, covered, all)
		if late > 0 {
			part += fmt.Sprintf(" (killed late: %d)", late)
		}
		parts = append(parts, part)
	}
	return "covered: " + strings.Join(parts, ", ")
}

func (r *Report) verdict() string {
	best := r.Best()
	if best == nil {
		return "This kernel lets no mechanism guard anything: rules cannot be enforced here."
	}
	covered, late, all := best.Tally(Opens)
	switch {
	case best.Enforces():
		return fmt.Sprintf("%s is enforced: every one of the %d ways to open a file is covered.", best.Mechanism, all)
	case late > 0 && covered == 0:
		return fmt.Sprintf("%s does not deny: what a process does before it is killed is done.", best.Mechanism)
	}
	return fmt.Sprintf("%s is NOT enforced: %d of %d ways to open a file are covered.", best.Mechanism, covered, all)
}

// The JSON form. The keys are a promise to scripts.
type jsonFinding struct {
	Type      string   `json:"type"`
	Mechanism string   `json:"mechanism"`
	Way       string   `json:"way"`
	Group     string   `json:"group"`
	Rule      string   `json:"rule"`
	Place     string   `json:"place"`
	Verdict   string   `json:"verdict"`
	Why       *string  `json:"why"`
	Errno     *string  `json:"errno"`
	Changed   []string `json:"changed"`
	Tries     int      `json:"tries,omitempty"` // of a way that is tried again and again
	Hits      int      `json:"hits,omitempty"`
}

type jsonSum struct {
	Type       string       `json:"type"`
	Release    string       `json:"release"`
	Best       *string      `json:"best"`
	Enforced   bool         `json:"enforced"`
	Mechanisms []jsonColumn `json:"mechanisms"`
}

type jsonColumn struct {
	Mechanism string  `json:"mechanism"`
	Works     bool    `json:"works"`
	Why       *string `json:"why"`
	Covered   int     `json:"opens_covered"`
	All       int     `json:"opens"`
}

// WriteJSON writes one object for each try, and one that sums them up, a line each.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	sum := jsonSum{Type: "guard_verify_summary", Release: r.Release, Mechanisms: []jsonColumn{}}
	for _, c := range r.Columns {
		for _, f := range c.Findings {
			line := jsonFinding{
				Type: "guard_verify", Mechanism: c.Mechanism, Way: f.Way.Name, Group: f.Way.Group.String(), Rule: f.Shape.String(),
				Place: f.Place, Verdict: strings.ToLower(f.Verdict.String()), Why: orNull(f.Why), Changed: f.Changed, Tries: f.Tries, Hits: f.Hits,
			}
			if line.Changed == nil {
				line.Changed = []string{}
			}
			if f.Errno != 0 {
				line.Errno = orNull(errnoName(f.Errno))
			}
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
		covered, _, all := c.Tally(Opens)
		sum.Mechanisms = append(sum.Mechanisms, jsonColumn{c.Mechanism, c.Refused == "", orNull(c.Refused), covered, all})
	}
	if best := r.Best(); best != nil {
		sum.Best, sum.Enforced = &best.Mechanism, best.Enforces()
	}
	return enc.Encode(sum)
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
