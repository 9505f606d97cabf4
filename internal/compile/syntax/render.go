package syntax

import "strings"

const (
	renderWidth = 120 // columns of source shown at most
	tabWidth    = 8
	cutMark     = "..."
)

// String is "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Render writes a diagnostic for a terminal: the place and message, the line of source with the span underlined, and
// the hint. Control characters come out as escapes. The text ends with a newline.
func (s *Source) Render(d Diagnostic, colour bool) string {
	var b strings.Builder
	paint := func(code, text string) string {
		if colour {
			return "\x1b[" + code + "m" + text + "\x1b[0m"
		}
		return text
	}
	severity, code := d.Severity.String(), "1;31"
	if d.Severity == Warning {
		code = "1;35"
	}
	where := s.Name
	if d.Span.Start >= 0 {
		where = s.Where(d.Span.Start)
	}
	b.WriteString(paint("1", printable(where)+":") + " " + paint(code, severity+":") + " " + printable(d.Message) + "\n")
	if d.Span.Start >= 0 && int(d.Span.Start) <= len(s.Text) {
		line, mark := s.excerpt(d.Span)
		b.WriteString(line + "\n" + paint(code, mark) + "\n")
	}
	if d.Hint != "" {
		b.WriteString(paint("1", "hint:") + " " + printable(d.Hint) + "\n")
	}
	return b.String()
}

// excerpt is the line on which a span starts, as shown, and the marks below the span.
func (s *Source) excerpt(at Span) (line, mark string) {
	number, col := s.Position(at.Start)
	text := strings.TrimRight(s.Line(number), "\r")
	from, to := col-1, col-1+int(at.End-at.Start)
	cells, starts := showLine(text)
	column := func(offset int) int { return starts[max(0, min(offset, len(text)))] }
	first, last := column(from), column(to)
	last = max(last, first+1) // a place at the end of the line has a mark too
	left, right := 0, len(cells)
	if right > renderWidth {
		left = max(0, min(first-renderWidth/3, right-renderWidth))
		right = left + renderWidth
	}
	last = min(last, max(right, first+1))
	line = strings.Join(cells[left:right], "")
	prefix := first - left
	if left > 0 {
		line = cutMark + line
		prefix += len(cutMark)
	}
	if right < len(cells) {
		line += cutMark
	}
	return strings.TrimRight(line, " "), strings.Repeat(" ", prefix) + strings.Repeat("~", last-first)
}

// showLine turns a line into cells of one column each, and says at which column each byte offset starts.
func showLine(text string) (cells []string, starts []int) {
	starts = make([]int, len(text)+1)
	offset := 0
	for _, r := range splitRunes(text) {
		for i := range len(r) {
			starts[offset+i] = len(cells)
		}
		switch {
		case r == "\t":
			cells = append(cells, " ")
			for len(cells)%tabWidth != 0 {
				cells = append(cells, " ")
			}
		case isPrintable(r):
			cells = append(cells, r)
		default:
			cells = append(cells, strings.Split(printableRune(r), "")...)
		}
		offset += len(r)
	}
	starts[offset] = len(cells)
	return cells, starts
}
