package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

// fakeRing is a ring in ordinary memory, with the writer's half of the protocol.
type fakeRing struct {
	ring
	prodWord, consWord atomic.Uintptr
}

func newFakeRing(size int, at uintptr) *fakeRing {
	words := make([]uint64, size/8) // aligned
	f := &fakeRing{}
	f.prodWord.Store(at)
	f.consWord.Store(at)
	f.ring = ring{
		producer: &f.prodWord,
		consumer: &f.consWord,
		size:     uintptr(size),
		data:     unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size),
		pos:      at,
	}
	return f
}

// reserve makes room for n bytes and returns where they are, or false when the ring is full.
func (f *fakeRing) reserve(n int) (at uintptr, ok bool) {
	at = f.prodWord.Load()
	step := uintptr(wordSize+n+7) &^ 7
	if at+step-f.consWord.Load() > uintptr(len(f.data)) {
		return 0, false
	}
	f.word(at).Store(uint32(n) | busyBit)
	f.prodWord.Store(at + step)
	return at, true
}

func (f *fakeRing) word(at uintptr) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&f.data[at&uintptr(len(f.data)-1)]))
}

func (f *fakeRing) write(at uintptr, b []byte) {
	for i, c := range b {
		f.data[(at+wordSize+uintptr(i))&uintptr(len(f.data)-1)] = c
	}
}

func (f *fakeRing) commit(at uintptr, flags uint32) {
	f.word(at).Store(f.word(at).Load()&^busyBit | flags)
}

// put is reserve, write and commit of a record whose reservation has so many bytes to spare.
func (f *fakeRing) put(seq uint64, body []byte, spare int) bool {
	at, ok := f.reserve(HeaderSize + len(body) + spare)
	if ok {
		f.write(at, record(seq, body))
		f.commit(at, 0)
	}
	return ok
}

func record(seq uint64, body []byte) []byte {
	b := make([]byte, HeaderSize, HeaderSize+len(body))
	binary.NativeEndian.PutUint16(b[0:], 7)
	binary.NativeEndian.PutUint16(b[2:], 3)
	binary.NativeEndian.PutUint32(b[4:], uint32(HeaderSize+len(body)))
	binary.NativeEndian.PutUint64(b[8:], seq)
	binary.NativeEndian.PutUint64(b[16:], seq*10)
	return append(b, body...)
}

// pattern is a body whose every byte depends on seq.
func pattern(seq uint64, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seq*31 + uint64(i)*7 + 1)
	}
	return b
}

type seen struct {
	Seqs   []uint64
	Bodies []string
}

func (s *seen) record(r prog.Record) error {
	s.Seqs = append(s.Seqs, r.Seq)
	s.Bodies = append(s.Bodies, string(r.Body))
	return nil
}

func TestDrain(t *testing.T) {
	type result struct {
		Seqs      []uint64
		Busy      bool
		Malformed uint64
		Corrupt   bool
		Consumed  uintptr
	}
	put := func(seqs ...uint64) func(*fakeRing) {
		return func(f *fakeRing) {
			for _, seq := range seqs {
				f.put(seq, []byte("01234567"), 0)
			}
		}
	}
	const one = 8 + HeaderSize + 8 // bytes that such a record takes
	raw := func(b []byte, flags uint32) func(*fakeRing) {
		return func(f *fakeRing) {
			at, _ := f.reserve(len(b))
			f.write(at, b)
			f.commit(at, flags)
		}
	}
	wrongSize := func(size uint32) []byte {
		b := record(1, []byte("01234567"))
		binary.NativeEndian.PutUint32(b[4:], size)
		return b
	}
	tests := []struct {
		name string
		fill []func(*fakeRing)
		want result
	}{
		{"empty", nil, result{}},
		{"three", []func(*fakeRing){put(1, 2, 3)}, result{Seqs: []uint64{1, 2, 3}, Consumed: 3 * one}},
		{"busy at once", []func(*fakeRing){raw(record(1, nil), busyBit), put(2)}, result{Busy: true}},
		{"busy later", []func(*fakeRing){put(1), raw(record(2, nil), busyBit), put(3)},
			result{Seqs: []uint64{1}, Busy: true, Consumed: one}},
		{"busy and discarded is busy", []func(*fakeRing){raw(record(1, nil), busyBit|discardBit)}, result{Busy: true}},
		{"discarded", []func(*fakeRing){put(1), raw(record(2, []byte("01234567")), discardBit), put(3)},
			result{Seqs: []uint64{1, 3}, Consumed: 3 * one}},
		{"only discarded", []func(*fakeRing){raw(record(2, []byte("01234567")), discardBit)}, result{Consumed: one}},
		{"reservation longer than record", []func(*fakeRing){func(f *fakeRing) { f.put(1, []byte("x"), 100) }},
			result{Seqs: []uint64{1}, Consumed: (8 + HeaderSize + 101 + 7) &^ 7}},
		{"no data at all", []func(*fakeRing){raw(nil, 0), put(2)}, result{Seqs: []uint64{2}, Malformed: 1, Consumed: 8 + one}},
		{"half a header", []func(*fakeRing){raw(make([]byte, HeaderSize-1), 0), put(2)},
			result{Seqs: []uint64{2}, Malformed: 1, Consumed: 32 + one}},
		{"size below header", []func(*fakeRing){raw(wrongSize(23), 0), put(2)},
			result{Seqs: []uint64{2}, Malformed: 1, Consumed: 2 * one}},
		{"size beyond reservation", []func(*fakeRing){raw(wrongSize(33), 0)}, result{Malformed: 1, Consumed: one}},
		{"size of 4 GiB", []func(*fakeRing){raw(wrongSize(1<<32-1), 0)}, result{Malformed: 1, Consumed: one}},
		{"length beyond producer", []func(*fakeRing){put(1), func(f *fakeRing) {
			at, _ := f.reserve(8)
			f.word(at).Store(9)
		}}, result{Seqs: []uint64{1}, Corrupt: true, Consumed: one}},
		{"greatest length", []func(*fakeRing){func(f *fakeRing) {
			at, _ := f.reserve(8)
			f.word(at).Store(lengthMask)
		}}, result{Corrupt: true}},
		{"producer a lap ahead", []func(*fakeRing){func(f *fakeRing) { f.prodWord.Add(512 + 8) }}, result{Corrupt: true}},
		{"producer behind", []func(*fakeRing){func(f *fakeRing) { f.prodWord.Add(^uintptr(7)) }}, result{Corrupt: true}},
		{"producer unaligned", []func(*fakeRing){put(1), func(f *fakeRing) { f.prodWord.Add(4) }},
			result{Seqs: []uint64{1}, Corrupt: true, Consumed: one}},
		{"consumer word overwritten", []func(*fakeRing){put(1, 2), func(f *fakeRing) { f.consWord.Store(3) }},
			result{Seqs: []uint64{1, 2}, Consumed: 2 * one}},
	}
	for _, test := range tests {
		// The outcome must not depend on where in the ring, or in the count of bytes ever written, it happens.
		for _, start := range []uintptr{0, 512 - 40, 512 - 8, ^uintptr(0) - 7, ^uintptr(0) - 47} {
			t.Run(fmt.Sprintf("%s/%#x", test.name, start), func(t *testing.T) {
				f := newFakeRing(512, start)
				for _, fill := range test.fill {
					fill(f)
				}
				var s seen
				n, err := f.drain(s.record)
				if err != nil && !errors.Is(err, ErrCorrupt) {
					t.Fatal(err)
				}
				got := result{s.Seqs, f.busy, f.malformed, err != nil, f.pos - start}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error(diff)
				}
				if n != len(s.Seqs) {
					t.Errorf("counted %d, handed over %d", n, len(s.Seqs))
				}
				if got.Consumed != 0 && f.consWord.Load() != f.pos {
					t.Errorf("published %d, read up to %d", f.consWord.Load(), f.pos)
				}
			})
		}
	}
}

func TestDrainFields(t *testing.T) {
	f := newFakeRing(512, 0)
	f.put(5, []byte("body"), 20)
	_, err := f.drain(func(r prog.Record) error {
		want := prog.Record{Type: 7, CPU: 3, Seq: 5, Time: 50, Body: []byte("body")}
		if diff := cmp.Diff(want, r); diff != "" {
			t.Error(diff)
		}
		if cap(r.Body) != 4 {
			t.Errorf("appending to the body would write %d bytes of the ring", cap(r.Body)-4)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A record that was handled, even with an error, is not handed over twice, and its room is free again.
func TestDrainHandlerFails(t *testing.T) {
	f := newFakeRing(512, 0)
	for seq := uint64(1); seq <= 4; seq++ {
		f.put(seq, nil, 0)
	}
	bad := errors.New("bad")
	n, err := f.drain(func(r prog.Record) error {
		if r.Seq == 2 {
			return bad
		}
		return nil
	})
	if n != 2 || err != bad || f.consWord.Load() != f.pos {
		t.Fatalf("n %d, err %v, published %d of %d", n, err, f.consWord.Load(), f.pos)
	}
	var s seen
	if _, err := f.drain(s.record); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{3, 4}, s.Seqs); diff != "" {
		t.Error(diff)
	}
}

// A handler that keeps the writers going does not keep Drain from ending; and writers get room before Drain ends.
func TestDrainEnds(t *testing.T) {
	f := newFakeRing(4096, 0)
	const full = 4096 / (8 + HeaderSize + 32)
	for seq := uint64(1); f.put(seq, pattern(seq, 32), 0); seq++ {
	}
	calls, written := 0, 0
	n, err := f.drain(func(r prog.Record) error {
		if calls++; calls > 1000 {
			t.Fatal("does not end")
		}
		for f.put(99, nil, 0) {
			written++
		}
		return nil
	})
	if err != nil || n != full || written == 0 {
		t.Errorf("n %d, err %v, written meanwhile %d", n, err, written)
	}
}

// Bodies of all lengths survive every position of the wrap-around.
func TestDrainWraps(t *testing.T) {
	f := newFakeRing(1024, 0)
	next, want := uint64(1), uint64(1)
	check := func(r prog.Record) error {
		if r.Seq != want {
			t.Fatalf("seq %d, want %d", r.Seq, want)
		}
		if !bytes.Equal(pattern(r.Seq, int(r.Seq%300)), r.Body) {
			t.Fatalf("record %d is damaged: %x", r.Seq, r.Body)
		}
		want++
		return nil
	}
	for next < 20000 {
		for f.put(next, pattern(next, int(next%300)), 0) {
			next++
		}
		if _, err := f.drain(check); err != nil {
			t.Fatal(err)
		}
	}
	if want != next {
		t.Errorf("%d of %d arrived", want, next)
	}
}

// A record as long as the ring, lying across its end.
func TestDrainWholeRing(t *testing.T) {
	const n = 1024 - 8 - HeaderSize
	f := newFakeRing(1024, 1024-16)
	if !f.put(1, pattern(1, n), 0) {
		t.Fatal("no room")
	}
	var s seen
	if _, err := f.drain(s.record); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{string(pattern(1, n))}, s.Bodies); diff != "" {
		t.Error(diff)
	}
}

// Writer and reader at the same time; with -race, this is also a check that the words order the bodies.
func TestDrainConcurrent(t *testing.T) {
	const records = 10000
	f := newFakeRing(1024, 0)
	go func() {
		for seq := uint64(1); seq <= records; {
			at, ok := f.reserve(HeaderSize + int(seq%50))
			if !ok {
				runtime.Gosched()
				continue
			}
			f.write(at, record(seq, pattern(seq, int(seq%50))))
			if seq%7 == 0 {
				runtime.Gosched() // busy for a while
			}
			f.commit(at, 0)
			seq++
		}
	}()
	want := uint64(1)
	for want <= records {
		if _, err := f.drain(func(r prog.Record) error {
			if r.Seq != want || string(r.Body) != string(pattern(want, int(want%50))) {
				return fmt.Errorf("record %d damaged, want %d: %x", r.Seq, want, r.Body)
			}
			want++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// Whatever is in memory: no panic, no endless loop, no body outside of the ring, no position beyond the producer's.
func FuzzDrain(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0))
	f.Add(append([]byte{HeaderSize, 0, 0, 0, 0, 0, 0, 0}, record(1, nil)...), uint64(0), uint64(32))
	f.Add([]byte{0xff, 0xff, 0xff, 0x3f}, uint64(0), uint64(256))
	f.Add([]byte{0, 0, 0, 0x40}, uint64(1)<<63, uint64(256))
	f.Add([]byte{0, 0, 0, 0x80}, ^uint64(7), uint64(12))
	f.Fuzz(func(t *testing.T, memory []byte, start, ahead uint64) {
		r := newFakeRing(256, uintptr(start&^7))
		copy(r.data, memory)
		r.prodWord.Store(uintptr(start&^7 + ahead))
		for range 2 {
			n, err := r.drain(func(rec prog.Record) error {
				if len(rec.Body) > 256-8-HeaderSize {
					t.Errorf("a body of %d bytes", len(rec.Body))
				}
				return nil
			})
			if n > 256/8 {
				t.Errorf("%d records in 256 bytes", n)
			}
			if read := uint64(r.pos) - start&^7; read > min(ahead, 256) {
				t.Errorf("read %d of %d bytes", read, ahead)
			}
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
		}
		if used := r.pending(); used < 0 || used > 256 {
			t.Errorf("%d bytes pending", used)
		}
	})
}
