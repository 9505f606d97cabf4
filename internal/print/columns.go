package print

import (
	"io"
	"time"

	"sonde/internal/prog"
)

// ColumnOptions says for whom the columns are. The zero value is a pipe or a file: no colour, nothing fitted.
type ColumnOptions struct {
	// Width of the terminal in cells; 0 is no terminal. On a terminal too narrow for the columns and 16 cells of the
	// last one, Text columns that align left give way, the widest first, down to 6 cells or their heading; what does
	// not fit a column that gave way is cut and marked "…". A value too wide for any other column pushes those to its
	// right within its line. The last column (of Width 0) is never cut: a whole record matters more than a neat one.
	Width int
	// Colour makes the heading bold and what says that a row failed (an error number, a negative Int) red.
	Colour bool
	// Exact is for the drop-in names, whose output programs parse: columns as wide as printf makes them ("%-16s"
	// counts bytes), one space between, never cut, fitted or coloured; an empty word is nothing. Escapes stay on.
	Exact bool
	// NoHeading leaves the heading out.
	NoHeading bool
	// Start is the zero of TimeRelative; where it is not set, the first row's time is.
	Start time.Time
	// Location is for clock times; nil is local time.
	Location *time.Location
}

const (
	minOpen = 16 // cells that fitting leaves to the last column
	minText = 6  // cells that fitting leaves to a Text column
)

// NewColumns returns a sink for text columns. The heading is written at once (Flush shows it) and is no row.
// A column whose Field the type does not have shows "-".
func NewColumns(w io.Writer, t *prog.RowType, cols []prog.Column, opt ColumnOptions) Sink {
	c := &columns{w: w, typ: t, exact: opt.Exact, colour: opt.Colour && !opt.Exact}
	c.clock.loc = opt.Location
	if c.clock.loc == nil {
		c.clock.loc = time.Local
	}
	if !opt.Start.IsZero() {
		c.start, c.started = opt.Start.UnixNano(), true
	}
	for i, col := range cols {
		p := column{Column: col, value: t.Index(col.Field), mark: t.Index(col.Mark), width: max(col.Width, 0)}
		if p.value >= 0 {
			p.kind = t.Fields[p.value].Kind
		}
		if head := textWidth(col.Head); !c.exact && p.width < head && (p.width > 0 || i < len(cols)-1) {
			p.width = head
		}
		c.cols = append(c.cols, p)
	}
	if opt.Width > 0 && !c.exact {
		fit(c.cols, opt.Width)
	}
	if !opt.NoHeading {
		// An error shows again with the first row or flush.
		_ = writeNote(w, c.heading())
	}
	return c
}

type column struct {
	prog.Column
	kind        prog.Kind
	value, mark int // indices of fields; -1 is none
	width       int
	cut         bool // fitting made it narrower: cut what is wider
}

type columns struct {
	w       io.Writer
	typ     *prog.RowType
	cols    []column
	exact   bool
	colour  bool
	clock   clock
	start   int64 // of TimeRelative, nanoseconds since the epoch
	started bool
	line    line
}

func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func fit(cols []column, width int) {
	need := 0
	for i := range cols {
		if i == len(cols)-1 && cols[i].width == 0 {
			need += max(minOpen, textWidth(cols[i].Head))
		} else {
			need += cols[i].width
		}
	}
	for need += len(cols) - 1; need > width; need-- {
		widest := -1
		for i := range cols {
			c := &cols[i]
			if c.kind == prog.Text && !c.Right && c.width > max(minText, textWidth(c.Head)) &&
				(widest < 0 || c.width > cols[widest].width) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		cols[widest].width--
		cols[widest].cut = true
	}
}

func (c *columns) heading() []byte {
	c.line.reset(c.exact)
	if c.colour {
		c.line.buf = append(c.line.buf, bold...)
	}
	for i := range c.cols {
		col := &c.cols[i]
		from := c.line.open(col)
		c.line.buf = append(c.line.buf, col.Head...)
		c.line.close(col, from, textWidth(col.Head))
	}
	c.line.trim()
	if c.colour {
		c.line.buf = append(c.line.buf, plainly...)
	}
	c.line.buf = append(c.line.buf, '\n')
	return c.line.buf
}

func (c *columns) Row(r *prog.Row) error {
	if err := checkType(c.typ, r); err != nil {
		return err
	}
	// On the stack, where storing a slice needs no write barrier.
	l := c.line
	l.reset(c.exact)
	for i := range c.cols {
		col := &c.cols[i]
		from := l.open(col)
		v := value(r, col.value)
		red := c.colour && failed(col.kind, v)
		if red {
			l.buf = append(l.buf, redly...)
		}
		cell := len(l.buf)
		var n int
		l.buf, n = c.appendCell(l.buf, col, v, value(r, col.mark))
		if c.exact {
			n = len(l.buf) - cell
		}
		if red {
			l.buf = append(l.buf, plainly...)
		}
		l.close(col, from, n)
	}
	l.trim()
	l.buf = append(l.buf, '\n')
	_, err := c.w.Write(l.buf)
	if c.line.buf = l.buf; cap(l.buf) > keepLine {
		c.line.buf = nil
	}
	return err
}

func (c *columns) Flush() error { return flush(c.w) }

// Summary writes nothing to w: in text the account goes to stderr, see Accounting.
func (c *columns) Summary(*prog.Summary) error { return c.Flush() }

func failed(k prog.Kind, v *prog.Value) bool {
	return !v.Null && (k == prog.Errno && v.Num != 0 || k == prog.Int && v.Num < 0)
}

const (
	bold    = "\x1b[1m"
	redly   = "\x1b[31m"
	plainly = "\x1b[0m"
)

// line places cells. A column begins at a fixed cell of the line; where what stands before is too wide, one space after
// that. So a line that was pushed comes back into its columns as soon as there is room, except in exact mode, where
// the beginnings move as those of printf do.
type line struct {
	buf   []byte
	exact bool
	first bool
	start int // where the next column begins
	pos   int // cells placed so far
	end   int // of buf, behind the last cell with something in it
}

func (l *line) reset(exact bool) {
	*l = line{buf: l.buf[:0], exact: exact, first: true}
}

// open pads to where the cell of col may begin and returns that place in buf.
func (l *line) open(col *column) int {
	at := l.pos + 1
	if l.first {
		at, l.first = 0, false
	}
	if (l.exact || !col.Right) && at < l.start {
		at = l.start
	}
	l.buf = appendSpaces(l.buf, at-l.pos)
	l.pos = at
	return len(l.buf)
}

// close tells that the cell of col begins at from and takes n cells.
func (l *line) close(col *column, from, n int) {
	if len(l.buf) > from {
		if shift := l.start + col.width - n - l.pos; col.Right && shift > 0 {
			end := len(l.buf)
			l.buf = appendSpaces(l.buf, shift)
			copy(l.buf[from+shift:], l.buf[from:end])
			for i := from; i < from+shift; i++ {
				l.buf[i] = ' '
			}
			l.pos += shift
		}
		l.end = len(l.buf)
	}
	l.pos += n
	if l.exact {
		l.start = max(l.pos, l.start+col.width) + 1
	} else {
		l.start += col.width + 1
	}
}

// trim ends the line: exact mode pads its last column too, as printf does; else no space is left at the end.
func (l *line) trim() {
	if l.exact {
		l.buf = appendSpaces(l.buf, l.start-1-l.pos)
	} else if l.end > 0 {
		l.buf = l.buf[:l.end]
	} else {
		l.buf = l.buf[:0]
	}
}

const spaces = "                                                                "

func appendSpaces(dst []byte, n int) []byte {
	for ; n > len(spaces); n -= len(spaces) {
		dst = append(dst, spaces...)
	}
	if n > 0 {
		dst = append(dst, spaces[:n]...)
	}
	return dst
}

// asciiOnly is the width of what was written by a formatter that only knows ASCII.
func asciiOnly(dst []byte, from int) ([]byte, int) { return dst, len(dst) - from }
