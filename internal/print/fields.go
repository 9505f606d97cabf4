package print

import (
	"fmt"
	"strings"

	"sonde/internal/prog"
)

// UnknownFieldError says that --fields names something that the row type does not have.
type UnknownFieldError struct {
	Field      string
	Suggestion string   // a known field that is spelt much like it, or ""
	Known      []string // all keys, in the order of the type
}

func (e *UnknownFieldError) Error() string {
	msg := fmt.Sprintf("unknown field %q; ", clip(e.Field))
	if e.Suggestion != "" {
		msg += fmt.Sprintf("did you mean %q? ", e.Suggestion)
	}
	return msg + "known: " + strings.Join(e.Known, ", ")
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// CheckFields reports the first key of --fields that is not the type's (*UnknownFieldError) or that comes twice, and an
// empty list.
func CheckFields(t *prog.RowType, keys []string) error {
	if len(keys) == 0 {
		return fmt.Errorf("no field is named; known: %s", strings.Join(known(t), ", "))
	}
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		if t.Index(key) < 0 {
			return &UnknownFieldError{Field: key, Suggestion: nearest(key, known(t)), Known: known(t)}
		}
		if seen[key] {
			return fmt.Errorf("field %q is named twice; name it once", key)
		}
		seen[key] = true
	}
	return nil
}

// SelectColumns returns the columns for the fields that keys name, in that order. A field that the type has a column for
// keeps it; for others the heading is the key in capitals. The last column is open. Errors are those of CheckFields.
func SelectColumns(t *prog.RowType, keys []string) ([]prog.Column, error) {
	if err := CheckFields(t, keys); err != nil {
		return nil, err
	}
	cols := make([]prog.Column, 0, len(keys))
	for i, key := range keys {
		col := columnFor(t, key)
		if i == len(keys)-1 {
			col.Width, col.Right = 0, false
		}
		cols = append(cols, col)
	}
	return cols, nil
}

func columnFor(t *prog.RowType, key string) prog.Column {
	f := t.Fields[t.Index(key)]
	width, right := usual(f.Kind)
	for _, col := range t.Columns {
		if col.Field == key {
			if col.Width == 0 { // it was the last, open one and need not be now
				col.Width = width
			}
			return col
		}
	}
	head := strings.ToUpper(key)
	return prog.Column{Head: head, Field: key, Width: max(width, len(head)), Right: right}
}

// usual is the width and alignment of a column that nobody designed.
func usual(k prog.Kind) (width int, right bool) {
	switch k {
	case prog.Int, prog.Uint:
		return 7, true
	case prog.Duration:
		return 10, true
	case prog.Bool:
		return 5, false
	case prog.Time:
		return 8, false
	case prog.Errno:
		return 8, false
	case prog.Words:
		return 32, false
	}
	return 16, false
}

func known(t *prog.RowType) []string {
	keys := make([]string, len(t.Fields))
	for i := range t.Fields {
		keys[i] = t.Fields[i].Key
	}
	return keys
}

// nearest returns the first word that begins with s, or else the one at the smallest edit distance from it if that is
// small enough to be a slip.
func nearest(s string, words []string) string {
	if len(s) > 64 {
		return ""
	}
	s = strings.ToLower(strings.TrimSpace(s))
	best, bestDistance := "", 1+max(1, len(s)/3)
	for _, w := range words {
		if len(s) >= 3 && strings.HasPrefix(w, s) {
			return w
		}
		if d := distance(s, strings.ToLower(w)); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete, change or swap with their neighbour to turn a into b.
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

var kindNames = map[prog.Kind]string{
	prog.Int: "number", prog.Uint: "number", prog.Bool: "true/false", prog.Text: "text", prog.Words: "words",
	prog.Symbols: "flags", prog.Time: "time", prog.Duration: "duration", prog.Errno: "error",
}

// FieldsHelp lists the fields of the type for `--fields help`, a line each.
func FieldsHelp(t *prog.RowType) string {
	width := 0
	for _, key := range known(t) {
		width = max(width, len(key))
	}
	var b strings.Builder
	for _, f := range t.Fields {
		doc := f.Doc
		if f.Extra {
			doc += " (shown only when named)"
		}
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%-*s  %-10s  %s", width, f.Key, kindNames[f.Kind], doc), " "))
	}
	return b.String()
}
