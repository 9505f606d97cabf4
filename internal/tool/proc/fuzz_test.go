package proc

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"testing"

	"sonde/internal/prog"
)

// pack and unpack turn records into the bytes that a fuzzer works on: type, CPU, sequence number, time, length, body.
func pack(to []byte, r prog.Record) []byte {
	le := binary.LittleEndian
	to = append(to, byte(r.Type), byte(r.CPU))
	to = le.AppendUint16(to, uint16(r.Seq))
	to = le.AppendUint64(to, r.Time)
	to = le.AppendUint16(to, uint16(len(r.Body)))
	return append(to, r.Body...)
}

func unpack(b []byte, each func(prog.Record)) {
	const head = 14
	le := binary.LittleEndian
	for len(b) >= head {
		r := prog.Record{Type: uint16(b[0]), CPU: uint16(b[1]), Seq: uint64(le.Uint16(b[2:])), Time: le.Uint64(b[4:])}
		n := min(int(le.Uint16(b[12:])), len(b)-head)
		r.Body = b[head : head+n : head+n]
		each(r)
		b = b[head+n:]
	}
}

// Whatever comes through the ring is taken by the Tracer, both forms of output, the tree and the timeline: no panic, a line a
// row, nothing that commands a terminal, JSON that can be read.
func FuzzRecords(f *testing.F) {
	var all []byte
	for _, records := range [][]prog.Record{family, brood()} {
		var b []byte
		for _, r := range records {
			b = pack(b, r)
		}
		all = append(all, b...)
		f.Add(b, true)
		f.Add(b[:len(b)-1], false)
	}
	f.Add(all, false)
	f.Add(pack(nil, prog.Record{Type: recordTreeEnded}), true)
	f.Fuzz(func(t *testing.T, data []byte, args bool) {
		var text, lines, tail, timeline bytes.Buffer
		for _, c := range []struct {
			out  *bytes.Buffer
			cols []prog.Column
		}{{&text, RowType.Columns}, {&lines, nil}} {
			h := NewHistory(4096)
			tr := NewTracer(Show{Sink: sink(c.out, c.cols, false), Execs: true, Forks: true, Args: args, Argv: args, History: h, PageSize: 4096})
			unpack(data, func(r prog.Record) {
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
			want := int(tr.Events())
			if c.cols != nil {
				want++ // the heading
			}
			if got := bytes.Count(c.out.Bytes(), []byte{'\n'}); got != want || tr.Holds() {
				t.Errorf("%d lines for %d events, holds more: %v", got, tr.Events(), tr.Holds())
			}
			if c.cols == nil {
				continue
			}
			out, _ := tree(t, h)
			tail.Write(out)
			if err := h.WriteTimeline(&timeline); err != nil {
				t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal(timeline.Bytes(), &v); err != nil {
				t.Fatalf("%v in %s", err, timeline.Bytes())
			}
		}
		for _, out := range []*bytes.Buffer{&text, &lines, &tail, &timeline} {
			for _, c := range out.Bytes() {
				if c < ' ' && c != '\n' || c == 0x7f {
					t.Fatalf("byte %#x gets out: %q", c, out)
				}
			}
		}
	})
}
