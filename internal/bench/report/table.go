package report

import (
	"fmt"
	"strings"

	"sonde/internal/bench/measure"
)

// Row is one measured figure.
type Row struct {
	ID     string // the key in Results.Samples
	Title  string
	Unit   string // "" for a count
	Target Target
	// Second is the target relative to the second reference.
	Second Target
	// Section, when set, begins a new group of rows.
	Section string
}

// none stands where nothing was measured.
const none = "–"

// Table is the layout of a report: its rows, which column is judged, and which it is compared with.
type Table struct {
	Rows              []Row
	Judged, Reference string // column keys; without a Reference no target may be a ratio
	// Second, when set, is another column to compare with.
	Second string
}

// IDs are the keys of the rows; an error is a row without a title or with the key of another, whose figures nobody would see.
func (t Table) IDs() (map[string]bool, error) {
	ids := map[string]bool{}
	for _, row := range t.Rows {
		if ids[row.ID] || row.Title == "" {
			return nil, fmt.Errorf("row %q: its key is taken or it has no title", row.ID)
		}
		ids[row.ID] = true
	}
	return ids, nil
}

// Markdown writes the table: medians, and the range where rounds differ; then the notes and what failed. Rows without
// any sample are left out; without any row only the failures are left.
func (t Table) Markdown(r *Results) string {
	var b strings.Builder
	if len(r.Samples) > 0 {
		t.writeRows(&b, r)
	}
	if len(r.Failures) > 0 {
		b.WriteString("\nRounds without a figure:\n\n")
		for _, failure := range r.Failures {
			fmt.Fprintf(&b, "- %s\n", oneLine(failure))
		}
	}
	return b.String()
}

func (t Table) writeRows(b *strings.Builder, r *Results) {
	heads := []string{""}
	for _, c := range r.Columns {
		heads = append(heads, strings.TrimSpace(c.Title+" "+c.Version))
	}
	rule := []string{"---"}
	for range r.Columns {
		rule = append(rule, "---:")
	}
	for _, reference := range t.references() {
		if reference != "" {
			heads, rule = append(heads, t.ratioHead(r, reference)), append(rule, "---:")
		}
		heads, rule = append(heads, "target", ""), append(rule, "---:", "---")
	}
	writeRow(b, heads)
	writeRow(b, rule)
	section := ""
	for _, row := range t.Rows {
		if row.Section != "" {
			section = row.Section
		}
		if len(r.Samples[row.ID]) == 0 {
			continue
		}
		if section != "" {
			writeRow(b, append([]string{"**" + section + "**"}, make([]string, len(heads)-1)...))
			section = ""
		}
		writeRow(b, t.cells(r, row))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(b, "\n%s\n", note)
	}
}

func (t Table) references() []string {
	if t.Second == "" {
		return []string{t.Reference}
	}
	return []string{t.Reference, t.Second}
}

func (t Table) ratioHead(r *Results, reference string) string {
	title := func(key string) string {
		for _, c := range r.Columns {
			if c.Key == key {
				return c.Title
			}
		}
		return key
	}
	return title(t.Judged) + " ÷ " + title(reference)
}

func (t Table) cells(r *Results, row Row) []string {
	title := row.Title
	if row.Unit != "" {
		title += ", " + row.Unit
	}
	cells := []string{title}
	for _, c := range r.Columns {
		figures, ok := r.Of(row.ID, c.Key)
		cells = append(cells, figureCell(figures, ok))
	}
	own, ownOK := r.Of(row.ID, t.Judged)
	targets := []Target{row.Target, row.Second}
	for i, key := range t.references() {
		reference, referenceOK := r.Of(row.ID, key)
		if key != "" {
			share := none
			if ownOK && referenceOK && reference.Median > 0 {
				share = fmt.Sprintf("%.2f", own.Median/reference.Median)
			}
			cells = append(cells, share)
		}
		cells = append(cells, targets[i].text(row.Unit), targets[i].verdict(own, reference))
	}
	return cells
}

func figureCell(s measure.Summary, ok bool) string {
	switch {
	case !ok:
		return none
	case number(s.Min) == number(s.Max):
		return number(s.Median)
	}
	return fmt.Sprintf("%s [%s–%s]", number(s.Median), number(s.Min), number(s.Max))
}

func writeRow(b *strings.Builder, cells []string) {
	b.WriteByte('|')
	for _, cell := range cells {
		if cell = oneLine(cell); cell != "" {
			b.WriteByte(' ')
			b.WriteString(strings.ReplaceAll(cell, "|", "\\|"))
		}
		b.WriteString(" |")
	}
	b.WriteByte('\n')
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
