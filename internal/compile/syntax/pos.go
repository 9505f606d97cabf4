package syntax

import "fmt"

// Pos is a byte offset into the source, counted from 0; NoPos is no place at all.
type Pos int32

// NoPos is the position of what has none in the source.
const NoPos Pos = -1

// Span is a stretch of source: from Start up to, not including, End.
type Span struct{ Start, End Pos }

// Severity says what a Diagnostic is.
type Severity uint8

const (
	Error Severity = iota
	Warning
)

// Diagnostic is something to tell the writer of a script, about a place in it.
type Diagnostic struct {
	Severity Severity
	Span     Span
	Message  string
	Hint     string // what to do; may be empty
	// Kind is a short name for a warning that can be switched off as a group; empty for errors.
	Kind string
}

// Source is the text of a script with its name, for turning positions into lines.
type Source struct {
	Name string // as shown in messages: a path, "stdin" or "-e"
	Text []byte

	lines []Pos // of the first byte of every line
}

// NewSource indexes the lines of text.
func NewSource(name string, text []byte) *Source {
	s := &Source{Name: name, Text: text, lines: []Pos{0}}
	for i, c := range text {
		if c == '\n' {
			s.lines = append(s.lines, Pos(i+1))
		}
	}
	return s
}

// Position returns line and column, both from 1; columns count bytes.
func (s *Source) Position(p Pos) (line, col int) {
	if p < 0 {
		return 0, 0
	}
	lo, hi := 0, len(s.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.lines[mid] <= p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + 1, int(p-s.lines[lo]) + 1
}

// Line returns the text of a line, from 1, without its end.
func (s *Source) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	from, to := int(s.lines[n-1]), len(s.Text)
	if n < len(s.lines) {
		to = int(s.lines[n]) - 1
	}
	return string(s.Text[from:to])
}

// Where is "name:line:col".
func (s *Source) Where(p Pos) string {
	line, col := s.Position(p)
	return fmt.Sprintf("%s:%d:%d", s.Name, line, col)
}
