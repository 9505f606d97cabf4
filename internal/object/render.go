package object

import (
	"io"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"

	"sonde/internal/print"
)

// Writer shows records, text that programs print, and maps: as columns, or as JSON lines. Every line is one Write to Out.
type Writer struct {
	Out  io.Writer
	JSON bool
	// Many says that lines come from several places, so each says from which.
	Many bool
	// Clock appends a time of the host's clock, in nanoseconds: as RFC 3339 in JSON, as the time of day in columns.
	Clock func(dst []byte, ns int64) []byte

	buf     []byte
	headed  map[string]bool // by stream and struct: the heading was written
	printed bool            // the heading of printed text was written
}

// column is a member of a struct as it is shown.
type column struct {
	head  string
	width int
	right bool
}

// Heading writes the heading of a stream whose struct is known, in columns.
func (w *Writer) Heading(s *Stream) error {
	if w.JSON || s.layout == nil {
		return nil
	}
	return w.heading(s, s.layout)
}

func (w *Writer) heading(s *Stream, t *btf.Struct) error {
	key := s.Map + " " + t.Name + " " + strconv.Itoa(int(t.Size))
	if w.headed[key] {
		return nil
	}
	if w.headed == nil {
		w.headed = make(map[string]bool)
	}
	w.headed[key] = true
	b := append(w.buf[:0], "TIME    "...)
	if w.Many {
		b = pad(append(b, ' '), "MAP", mapWidth, false)
	}
	var cols []column
	appendEach(t.Members, nil, 0, func(m *btf.Member, _ []byte, _ uint64, _ memberKind) { cols = append(cols, columnOf(m)) })
	for i, c := range cols {
		b = append(b, ' ')
		if i == len(cols)-1 && !c.right {
			c.width = 0
		}
		b = pad(b, c.head, c.width, c.right)
	}
	return w.note(trimmed(b))
}

// mapWidth is that of the column of maps' names, which the kernel cuts to 15 bytes.
const mapWidth = 15

func pad(dst []byte, text string, width int, right bool) []byte {
	blank := strings.Repeat(" ", max(0, width-len([]rune(text))))
	if right {
		return append(append(dst, blank...), text...)
	}
	return append(append(dst, text...), blank...)
}

func trimmed(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return append(b, '\n')
}

func columnOf(m *btf.Member) column {
	c := column{head: strings.ToUpper(m.Name), width: 10}
	switch t := bare(m.Type).(type) {
	case *btf.Int:
		c.right = true
		c.width = map[uint32]int{1: 4, 2: 6, 4: 7, 8: 12}[t.Size]
		if t.Encoding == btf.Bool {
			c.width, c.right = 5, false
		}
	case *btf.Enum:
		for _, v := range t.Values {
			c.width = max(c.width, min(len(v.Name), 24))
		}
	case *btf.Pointer:
		c.width = 18
	case *btf.Array:
		if isChar(t.Type) {
			c.width = min(max(int(t.Nelems)-1, 4), 16)
		}
	}
	c.width = max(c.width, len(c.head))
	return c
}

// Record shows one record.
func (w *Writer) Record(s *Stream, ns int64, cpu int, body []byte) error {
	t, n := s.typeOf(len(body))
	rest := body[n:]
	if t != nil && !openEnded(t) && n > int(t.Size) {
		rest, n = body[t.Size:], int(t.Size)
	} else if n < len(body) {
		rest = nil // the kernel's filling
	}
	body = body[:n]
	if w.JSON {
		return w.recordJSON(s, ns, cpu, t, body, rest)
	}
	if t != nil {
		if err := w.heading(s, t); err != nil {
			return err
		}
	}
	b := w.Clock(w.buf[:0], ns)
	if w.Many {
		b = pad(append(b, ' '), s.Map, mapWidth, false)
	}
	switch {
	case t != nil:
		b = appendColumns(b, t, body)
	case s.scalar != nil:
		b = appendText(append(b, ' '), s.scalar, body, 0)
	default:
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = appendHex(append(b, " bytes "...), body)
	}
	if len(rest) > 0 {
		b = append(b, " +"...)
		b = strconv.AppendInt(b, int64(len(rest)), 10)
		b = appendHex(append(b, " bytes "...), rest)
	}
	return w.row(trimmed(b))
}

// appendColumns appends the members of a struct, each in its column.
func appendColumns(dst []byte, t *btf.Struct, body []byte) []byte {
	type cell struct {
		column
		text string
	}
	var cells []cell
	var b []byte
	appendEach(t.Members, body, 0, func(m *btf.Member, part []byte, n uint64, kind memberKind) {
		switch b = b[:0]; kind {
		case memberMissing:
			b = append(b, '-')
		case memberBits:
			b = appendBits(b, m.Type, n, false)
		case memberBytes:
			if a, ok := bare(m.Type).(*btf.Array); ok && isChar(a.Type) {
				b = appendSafe(b, textOf(a, part))
			} else {
				b = appendText(b, m.Type, part, 1)
			}
		}
		cells = append(cells, cell{columnOf(m), string(b)})
	})
	for i, c := range cells {
		if i == len(cells)-1 && !c.right {
			c.width = 0
		}
		dst = pad(append(dst, ' '), c.text, c.width, c.right)
	}
	return dst
}

// textOf is the text in an array of char: up to its NUL, or, where the array is all that is left of the record, all of it but NULs
// at its end.
func textOf(a *btf.Array, b []byte) []byte {
	if a.Nelems > 0 {
		return untilNUL(b)
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

func (w *Writer) recordJSON(s *Stream, ns int64, cpu int, t *btf.Struct, body, rest []byte) error {
	b := append(w.buf[:0], `{"type":"record","time":"`...)
	b = append(w.Clock(b, ns), `","map":`...)
	b = print.AppendJSON(b, []byte(s.Map))
	if cpu >= 0 {
		b = strconv.AppendInt(append(b, `,"cpu":`...), int64(cpu), 10)
	}
	switch {
	case t != nil:
		b = append(b, `,"struct":`...)
		b = print.AppendJSON(b, []byte(t.Name))
		b = appendJSON(append(b, `,"data":`...), t, body, 0)
	case s.scalar != nil:
		b = appendJSON(append(b, `,"data":`...), s.scalar, body, 0)
	default:
		b = appendHexJSON(append(b, `,"hex":`...), body)
	}
	if len(rest) > 0 {
		b = appendHexJSON(append(b, `,"rest_hex":`...), rest)
	}
	return w.row(append(b, '}', '\n'))
}

// Printed shows a text that a program printed. comm is nil where the process has ended already.
func (w *Writer) Printed(ns int64, cpu int, pid uint32, comm, text []byte) error {
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	if w.JSON {
		b := append(w.buf[:0], `{"type":"printk","time":"`...)
		b = append(w.Clock(b, ns), `","cpu":`...)
		b = strconv.AppendInt(b, int64(cpu), 10)
		b = strconv.AppendUint(append(b, `,"tid":`...), uint64(pid), 10)
		b = append(b, `,"comm":`...)
		if comm == nil {
			b = append(b, "null"...)
		} else {
			b = print.AppendJSON(b, comm)
		}
		b = print.AppendJSON(append(b, `,"text":`...), text)
		return w.row(append(b, '}', '\n'))
	}
	if err := w.PrintedHeading(); err != nil {
		return err
	}
	b := w.Clock(w.buf[:0], ns)
	if w.Many {
		b = pad(append(b, ' '), "bpf_printk", mapWidth, false)
	}
	b = pad(append(b, ' '), strconv.FormatUint(uint64(pid), 10), 7, true)
	if comm == nil {
		comm = []byte("-")
	}
	b = pad(append(b, ' '), string(appendSafe(nil, comm)), 16, false)
	return w.row(trimmed(appendSafe(append(b, ' '), text)))
}

// PrintedHeading writes the heading above texts that programs print, in columns.
func (w *Writer) PrintedHeading() error {
	if w.JSON || w.printed {
		return nil
	}
	w.printed = true
	b := append(w.buf[:0], "TIME    "...)
	if w.Many {
		b = pad(append(b, ' '), "MAP", mapWidth, false)
	}
	return w.note(append(b, "     TID COMM             TEXT\n"...))
}

func (w *Writer) row(b []byte) error {
	_, err := w.Out.Write(b)
	w.keep(b)
	return err
}

// note writes a line that is no record: it is not counted if it is lost.
func (w *Writer) note(b []byte) (err error) {
	if n, ok := w.Out.(interface{ WriteNote([]byte) (int, error) }); ok {
		_, err = n.WriteNote(b)
	} else {
		_, err = w.Out.Write(b)
	}
	w.keep(b)
	return err
}

func (w *Writer) keep(b []byte) {
	if w.buf = b; cap(b) > maxShown {
		w.buf = nil
	}
}

// Line shows a line of text as it is, of iterators.
func (w *Writer) Line(text []byte) error {
	if w.JSON {
		return w.row(append(print.AppendJSON(append(w.buf[:0], `{"type":"text","text":`...), text), '}', '\n'))
	}
	return w.row(append(print.AppendVisible(w.buf[:0], text), '\n'))
}
