package malloc

import (
	"io"
	"strconv"
	"time"

	"sonde/internal/print"
	"sonde/internal/prog"
)

// Text is a print.Sink that writes a paragraph for each stack.
type Text struct {
	w io.Writer
	// classic writes as mallocstacks does.
	classic bool
	rows    int
	began   bool
	buf     []byte
}

// NewText returns a Text; classic has it write as mallocstacks does.
func NewText(w io.Writer, classic bool) *Text { return &Text{w: w, classic: classic} }

// Heading writes the time, above what was counted until then.
func (t *Text) Heading(wall int64) error {
	b := t.buf[:0]
	if t.began {
		b = append(b, '\n')
	}
	t.began, t.rows = true, 0
	t.buf = append(time.Unix(0, wall).AppendFormat(b, "15:04:05"), '\n')
	_, err := t.w.Write(t.buf)
	return err
}

// Marks of stacks that are not whole, below their last function.
var marks = map[string]string{
	"no_frame_pointer": "[the rest is not known: code without frame pointers]",
	"cut":              "[there are more]",
	"missing":          "[no stack]",
}

// Row writes one stack.
func (t *Text) Row(r *prog.Row) error {
	v := r.Values
	b := t.buf[:0]
	indent := "    "
	if t.classic {
		indent = "\t"
		b = append(strconv.AppendInt(b, v[fBytes].Num, 10), " bytes allocated at:\n"...)
	} else {
		if t.rows > 0 {
			b = append(b, '\n')
		}
		b = t.head(b, v)
	}
	t.rows++
	for _, frame := range v[fStack].List {
		b = append(b, indent...)
		b = append(print.AppendText(b, frame), '\n')
	}
	if mark := marks[string(v[fEnd].Bytes)]; mark != "" {
		b = append(append(append(b, indent...), mark...), '\n')
	}
	t.buf = b
	_, err := t.w.Write(b)
	return err
}

// head is the line above a stack.
func (t *Text) head(b []byte, v []prog.Value) []byte {
	number := func(n int64, what string) {
		b = append(append(strconv.AppendInt(b, n, 10), ' '), what...)
		if n == 1 {
			b = b[:len(b)-1]
		}
	}
	if v[fKeptCalls].Null {
		number(v[fBytes].Num, "bytes")
		b = append(b, " in "...)
		number(v[fCalls].Num, "calls")
	} else {
		number(v[fKeptBytes].Num, "bytes")
		b = append(b, " in "...)
		number(v[fKeptCalls].Num, "pieces")
		b = append(b, " not given back, "...)
		b = append(b, age(v[fNewest].Num)...)
		if oldest := age(v[fOldest].Num); v[fKeptCalls].Num > 1 && oldest != age(v[fNewest].Num) {
			b = append(append(b, " to "...), oldest...)
		}
		b = append(b, " old, of "...)
		number(v[fBytes].Num, "bytes")
		b = append(b, " in "...)
		number(v[fCalls].Num, "calls")
	}
	b = append(print.AppendText(append(b, "; "...), v[fComm].Bytes), " ("...)
	return append(strconv.AppendInt(b, v[fPID].Num, 10), ")\n"...)
}

// age is a duration as people say it.
func age(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// Flush is print.Sink's.
func (t *Text) Flush() error {
	if f, ok := t.w.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// Summary is print.Sink's: text has none.
func (t *Text) Summary(*prog.Summary) error { return t.Flush() }
