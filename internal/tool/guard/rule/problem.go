package rule

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a rule: where, what, and what to do about it.
type Problem struct {
	File string // "" for a command line
	Pos  Pos
	What string
	Todo string
}

// Error is one line: FILE:LINE:COL: what; what to do.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:", p.File)
		if p.Pos.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", p.Pos.Line, p.Pos.Col)
		}
		b.WriteByte(' ')
	}
	b.WriteString(p.What)
	if p.Todo != "" {
		b.WriteString("; " + p.Todo)
	}
	return b.String()
}

// Problems is all that is wrong with a set of rules, in the order of the file; never empty where it is returned.
type Problems []*Problem

// maxProblems are shown; a file that is something else entirely has one for every line.
const maxProblems = 50

// Error has one line for each problem, and one for those that are too many to be shown.
func (p Problems) Error() string {
	shown := p[:min(len(p), maxProblems)]
	lines := make([]string, len(shown), len(shown)+1)
	for i, one := range shown {
		lines[i] = one.Error()
	}
	if more := len(p) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Problem.
func (p Problems) Unwrap() []error {
	all := make([]error, len(p))
	for i, one := range p {
		all[i] = one
	}
	return all
}

// quote shows a word of the user's on one line, cut where it is long.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// oneOf says which words are known, and first the one that may have been meant.
func oneOf(word string, known []string) string {
	list := strings.Join(known, ", ")
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %s? known: %s", near, list)
	}
	return "known: " + list
}

// nearest returns the known word that takes the fewest single-byte changes to be the given one, "" if none is near.
func nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := left
			if a[i] != b[j] {
				change++
			}
			left = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
