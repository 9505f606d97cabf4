package exec

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"sonde/internal/print"
	"sonde/internal/prog"
)

// pack and unpack turn records into the bytes that a fuzzer works on: type, CPU, sequence number, time, length, body.
func pack(to []byte, r prog.Record) []byte {
	le := binary.LittleEndian
	to = append(to, byte(r.Type), byte(r.CPU))
	to = le.AppendUint16(to, uint16(r.Seq))
	to = le.AppendUint32(to, uint32(r.Time))
	to = le.AppendUint16(to, uint16(len(r.Body)))
	return append(to, r.Body...)
}

func unpack(b []byte, each func(prog.Record)) {
	const head = 10
	le := binary.LittleEndian
	for len(b) >= head {
		r := prog.Record{Type: uint16(b[0]), CPU: uint16(b[1]), Seq: uint64(le.Uint16(b[2:])), Time: uint64(le.Uint32(b[4:]))}
		n := min(int(le.Uint16(b[8:])), len(b)-head)
		r.Body = b[head : head+n : head+n]
		each(r)
		b = b[head+n:]
	}
}

// Whatever comes through the ring, the Tracer and both forms of output take it: no panic, a line a record, and no more
// rows than records.
func FuzzRecords(f *testing.F) {
	add := func(records ...prog.Record) {
		var b []byte
		for _, r := range records {
			b = pack(b, r)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	for _, body := range hostileExecs {
		add(prog.Record{Type: recordExec, Seq: 1, Time: 1, Body: body})
	}
	for _, body := range hostileChunks {
		open := sample
		open.flags |= flagMore
		add(prog.Record{Type: recordExec, Seq: 1, Time: 1, Body: open.body()}, prog.Record{Type: recordArgs, Seq: 2, Body: body})
	}
	add(prog.Record{Type: recordExec, Seq: 1, Time: 1, Body: sample.body()}, prog.Record{Type: recordTreeEnded, Time: 2})
	for _, e := range shownEvents {
		add(e.records(1)...)
	}
	add(step{seq: 1, time: 9, exec: &made{ret: -2, flags: flagMore, exe: words("memfd:x")}}.record(),
		step{cpu: 200, seq: 1, time: 5, exec: begun("a\x00")}.record(),
		step{seq: 2, args: &chunk{seq: 1, data: words("", "x"), unreadable: ^uint64(0), flags: flagArgsFault}}.record(),
		step{cpu: 200, seq: 2, args: &chunk{seq: 1, data: "b", last: true, flags: flagArgsCut}}.record(),
		step{seq: 3, args: &chunk{seq: 1, data: "\xff\x1b[2J", last: true}}.record())

	f.Fuzz(func(t *testing.T, data []byte, classic bool) {
		var text, json bytes.Buffer
		both := &twoSinks{
			a: print.NewColumns(&text, RowType, RowType.Columns, print.ColumnOptions{NoHeading: true, Exact: classic}),
			b: print.NewJSON(&json, RowType, allFields()),
		}
		tr := NewTracer(Show{Sink: both, Classic: classic})
		execs := 0
		unpack(data, func(r prog.Record) {
			if r.Type == recordExec {
				execs++
			}
			if err := tr.Record(r); err != nil {
				t.Fatal(err)
			}
			if r.Time&3 == 0 {
				if err := tr.Release(r.Time); err != nil {
					t.Fatal(err)
				}
			}
		})
		if err := tr.Finish(); err != nil {
			t.Fatal(err)
		}
		if err := both.Flush(); err != nil {
			t.Fatal(err)
		}
		if tr.Holds() || tr.Events() > uint64(execs) || tr.Events() != uint64(both.rows) {
			t.Errorf("%d execs, %d events, %d rows, holds more: %v", execs, tr.Events(), both.rows, tr.Holds())
		}
		for name, out := range map[string]*bytes.Buffer{"text": &text, "json": &json} {
			if n := bytes.Count(out.Bytes(), []byte("\n")); n != both.rows {
				t.Errorf("%s: %d lines for %d rows", name, n, both.rows)
			}
			for _, c := range out.Bytes() {
				if c < ' ' && c != '\n' || c == 0x7f {
					t.Fatalf("%s: byte %#x gets out: %q", name, c, out)
				}
			}
		}
		_ = tr.Notes()
	})
}

type twoSinks struct {
	a, b print.Sink
	rows int
}

func (s *twoSinks) Row(r *prog.Row) error {
	s.rows++
	if err := s.a.Row(r); err != nil {
		return err
	}
	return s.b.Row(r)
}

func (s *twoSinks) Flush() error {
	if err := s.a.Flush(); err != nil {
		return err
	}
	return s.b.Flush()
}

func (s *twoSinks) Summary(*prog.Summary) error { return io.ErrUnexpectedEOF }
