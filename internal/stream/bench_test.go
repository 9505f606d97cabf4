package stream

import (
	"os"
	"testing"

	"github.com/cilium/ebpf/ringbuf"

	"sonde/internal/prog"
)

// Draining must not allocate, wherever a record lies.
func TestDrainAllocs(t *testing.T) {
	f := newFakeRing(4096, 0)
	for seq := uint64(1); seq < 200; seq++ { // ends off the start, so that one record crosses the end
		f.put(seq, pattern(seq, 40), 0)
		f.pos = f.prodWord.Load()
		f.consWord.Store(f.pos)
	}
	start := f.pos
	for seq := uint64(1); f.put(seq, pattern(seq, 40), 0); seq++ {
	}
	records := 0
	handle := func(prog.Record) error { records++; return nil }
	again := func() {
		f.pos = start
		_, _ = f.drain(handle)
	}
	again() // the buffer for the crossing record
	if n := testing.AllocsPerRun(20, again); n != 0 || records != 22*(4096/72) {
		t.Errorf("%v allocations, %d records", n, records)
	}
}

const benchRecords = 4096

// full is a rig whose ring holds benchRecords records of 200 bytes.
func full(b *testing.B) (*rig, *Reader) {
	r := newRig(b, 2<<20, 64, (200-HeaderSize)/8)
	reader := r.reader()
	for range benchRecords / 64 {
		r.write(-1)
	}
	return r, reader
}

// rewind makes all records unread again; the writer is not running.
func (r *Reader) rewind() {
	r.pos = 0
	r.consumer.Store(0)
}

var sink uint64

func BenchmarkReader(b *testing.B) {
	_, reader := full(b)
	handle := func(r prog.Record) error { sink += r.Seq + uint64(r.Body[0]); return nil }
	b.ReportAllocs()
	for n := 0; n < b.N; {
		reader.rewind()
		got, err := reader.Drain(handle)
		if err != nil || got != benchRecords {
			b.Fatal(got, err)
		}
		n += got
	}
}

func BenchmarkCiliumReadInto(b *testing.B) {
	r, reader := full(b)
	peer, err := ringbuf.NewReader(r.ring)
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	var rec ringbuf.Record
	b.ReportAllocs()
	for n := 0; n < b.N; n += benchRecords {
		reader.rewind()
		for range benchRecords {
			if err := peer.ReadInto(&rec); err != nil {
				b.Fatal(err)
			}
			var got prog.Record
			if !decode(&got, rec.RawSample) {
				b.Fatal("malformed")
			}
			sink += got.Seq + uint64(got.Body[0])
		}
	}
}

func BenchmarkCiliumRead(b *testing.B) {
	r, reader := full(b)
	peer, err := ringbuf.NewReader(r.ring)
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	b.ReportAllocs()
	for n := 0; n < b.N; n += benchRecords {
		reader.rewind()
		for range benchRecords {
			rec, err := peer.Read()
			if err != nil {
				b.Fatal(err)
			}
			var got prog.Record
			if !decode(&got, rec.RawSample) {
				b.Fatal("malformed")
			}
			sink += got.Seq + uint64(got.Body[0])
		}
	}
}

// Per item, with 64 held on average, nearly in order.
func BenchmarkOrder(b *testing.B) {
	o := NewOrder[*prog.Record](4096, os.Getpagesize()<<10)
	rec := &prog.Record{}
	out := func(*prog.Record) error { return nil }
	b.ReportAllocs()
	for i := range uint64(b.N) {
		if err := o.Push(i^7, i, 200, rec, out); err != nil {
			b.Fatal(err)
		}
		if i%32 == 0 && i > 64 {
			if err := o.Release(i-64, out); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkSequence(b *testing.B) {
	s := NewSequence(2)
	for i := range uint64(b.N) {
		s.Add(uint16(i&1), i/2+1)
	}
	sink += s.cpus[0].arrived
}
