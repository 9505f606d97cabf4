package print

import (
	"io"
	"strconv"
	"strings"
	"time"

	"sonde/internal/prog"
)

// NewJSON returns a sink for JSON lines: one object a line, "type" first, then the fields that are named by their keys,
// in that order; nil is all of the type that are not Extra. A key that the type does not have is null; SelectColumns
// and CheckFields find such keys.
//
//	Int, Uint, Duration   a number, all digits of it (durations are nanoseconds)
//	Bool                  true, false
//	Text                  a string; how bytes come back from it says RecoverBytes
//	Words, Symbols        an array of strings; null for a word that is not known
//	Time                  RFC 3339 with nine digits of nanoseconds, UTC
//	Errno                 the symbol, "ENOENT"; "E" and the number if it has none; null for 0
//	not known             null
//
// The last line is {"type":"summary", ...}. Nothing in a line can command a terminal: what text columns escape is
// escaped here as \uXXXX.
func NewJSON(w io.Writer, t *prog.RowType, fields []string) Sink {
	j := &jsonLines{w: w, typ: t}
	j.clock.loc = time.UTC
	if fields == nil {
		for i := range t.Fields {
			if !t.Fields[i].Extra {
				fields = append(fields, t.Fields[i].Key)
			}
		}
	}
	j.head = appendString([]byte(`{"type":`), []byte(t.Name))
	for _, key := range fields {
		f := jsonField{value: t.Index(key)}
		if f.value >= 0 {
			f.kind = t.Fields[f.value].Kind
		}
		f.key = append(appendString([]byte{','}, []byte(key)), ':')
		j.fields = append(j.fields, f)
	}
	return j
}

type jsonField struct {
	key   []byte // `,"key":`
	kind  prog.Kind
	value int // index of the field; -1 is none
}

type jsonLines struct {
	w      io.Writer
	typ    *prog.RowType
	head   []byte // `{"type":"exec"`
	fields []jsonField
	clock  clock
	buf    []byte
}

func (j *jsonLines) Row(r *prog.Row) error {
	if err := checkType(j.typ, r); err != nil {
		return err
	}
	b := append(j.buf[:0], j.head...)
	for i := range j.fields {
		f := &j.fields[i]
		b = append(b, f.key...)
		b = j.appendValue(b, f.kind, value(r, f.value))
	}
	b = append(b, '}', '\n')
	_, err := j.w.Write(b)
	j.buf = b
	if cap(b) > keepLine {
		j.buf = nil
	}
	return err
}

func (j *jsonLines) appendValue(b []byte, kind prog.Kind, v *prog.Value) []byte {
	if v.Null {
		return append(b, "null"...)
	}
	switch kind {
	case prog.Uint:
		return strconv.AppendUint(b, uint64(v.Num), 10)
	case prog.Bool:
		return strconv.AppendBool(b, v.Num != 0)
	case prog.Text:
		return appendString(b, v.Bytes)
	case prog.Words, prog.Symbols:
		b = append(b, '[')
		for i, s := range v.List {
			if i > 0 {
				b = append(b, ',')
			}
			if s == nil {
				b = append(b, "null"...)
				continue
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	case prog.Time:
		return append(j.clock.appendFull(append(b, '"'), v.Num), '"')
	case prog.Errno:
		if v.Num == 0 {
			return append(b, "null"...)
		}
		return append(appendErrno(append(b, '"'), v.Num), '"')
	}
	return strconv.AppendInt(b, v.Num, 10)
}

func (j *jsonLines) Flush() error { return flush(j.w) }

// Summary writes the last line. lost_by_reason has every reason that is listed, spaces in them as "_"; "unwritten" and
// "notes" are there only if there is something to tell; kernel_ns is null where the kernel keeps no such statistics.
func (j *jsonLines) Summary(s *prog.Summary) error {
	b := append(j.buf[:0], `{"type":"summary","events":`...)
	b = strconv.AppendUint(b, s.Events, 10)
	b = strconv.AppendUint(append(b, `,"lost":`...), s.LostTotal(), 10)
	b = append(b, `,"lost_by_reason":{`...)
	for i, c := range s.Lost {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, []byte(strings.ReplaceAll(c.Reason, " ", "_")))
		b = strconv.AppendUint(append(b, ':'), c.N, 10)
	}
	b = append(b, `},"kernel_ns":`...)
	if s.KernelKnown {
		b = strconv.AppendUint(b, s.KernelNS, 10)
	} else {
		b = append(b, "null"...)
	}
	b = strconv.AppendUint(append(b, `,"user_ns":`...), s.UserNS, 10)
	if s.Unwritten > 0 {
		b = strconv.AppendUint(append(b, `,"unwritten":`...), s.Unwritten, 10)
	}
	if len(s.Notes) > 0 {
		b = append(b, `,"notes":[`...)
		for i, note := range s.Notes {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, []byte(note))
		}
		b = append(b, ']')
	}
	b = append(b, '}', '\n')
	j.buf = b
	if err := writeNote(j.w, b); err != nil {
		return err
	}
	return j.Flush()
}
