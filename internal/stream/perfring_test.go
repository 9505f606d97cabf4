package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

// perfBytes puts a ring of 64 bytes together, in which entries begin at a position.
func perfBytes(at uint64, entries ...[]byte) (*perfRing, uint64) {
	r := &perfRing{head: new(atomic.Uint64), tail: new(atomic.Uint64), data: make([]byte, 64), pos: at}
	r.tail.Store(at)
	for _, e := range entries {
		for _, c := range e {
			r.data[at&63] = c
			at++
		}
	}
	r.head.Store(at)
	return r, at
}

func perfEntry(kind uint32, size uint16, body ...byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, kind)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint16(b, size)
	return append(b, body...)
}

// perfSampleOf is a sample with a text of at most four bytes.
func perfSampleOf(time uint64, text string) []byte {
	b := binary.NativeEndian.AppendUint64(nil, time)
	b = binary.NativeEndian.AppendUint32(b, 4)
	return perfEntry(perfSample, 24, append(b, (text + "\x00\x00\x00\x00")[:4]...)...)
}

func perfLostOf(n uint64) []byte {
	return perfEntry(perfLost, 24, binary.NativeEndian.AppendUint64(make([]byte, 8), n)...)
}

var perfRings = []struct {
	name    string
	at      uint64
	entries [][]byte
	want    []string // TIME:TEXT
	lost    uint64
	bad     bool
}{
	{name: "empty"},
	{name: "two", entries: [][]byte{perfSampleOf(5, "one"), perfSampleOf(6, "two")}, want: []string{"5:one\x00", "6:two\x00"}},
	{name: "across the end", at: 64*7 + 48, entries: [][]byte{perfSampleOf(5, "abcd"), perfSampleOf(6, "efgh")}, want: []string{"5:abcd", "6:efgh"}},
	{name: "losses", entries: [][]byte{perfLostOf(3), perfSampleOf(1, "x")}, want: []string{"1:x\x00\x00\x00"}, lost: 3},
	{name: "losses alone", entries: [][]byte{perfLostOf(2)}, lost: 2},
	{name: "another kind", entries: [][]byte{perfEntry(13, 16, make([]byte, 8)...), perfSampleOf(1, "x")}, want: []string{"1:x\x00\x00\x00"}},
	{name: "no size", entries: [][]byte{perfEntry(perfSample, 0)}, bad: true},
	{name: "an odd size", entries: [][]byte{perfEntry(perfSample, 12, 1, 2, 3, 4, 5, 6, 7, 8)}, bad: true},
	{name: "longer than what is there", entries: [][]byte{perfEntry(perfSample, 32, 1)}, bad: true},
	{name: "a sample longer than its entry", entries: [][]byte{perfEntry(perfSample, 24, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4)}, bad: true},
}

func readPerf(r *perfRing, end uint64) (got []string, err error) {
	for {
		rec, ok, err := r.peek(end)
		if err != nil || !ok {
			return got, err
		}
		got = append(got, fmt.Sprintf("%d:%s", rec.time, rec.body))
		r.take(rec.next)
	}
}

func TestPerfRing(t *testing.T) {
	for _, tt := range perfRings {
		r, end := perfBytes(tt.at, tt.entries...)
		got, err := readPerf(r, end)
		if !slices.Equal(got, tt.want) || r.lost != tt.lost || tt.bad != errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %q, %d lost, %v", tt.name, got, r.lost, err)
		}
		if !tt.bad && r.tail.Load() != end {
			t.Errorf("%s: given back up to %d of %d", tt.name, r.tail.Load(), end)
		}
	}
}

func FuzzPerfRing(f *testing.F) {
	for _, tt := range perfRings {
		f.Add(tt.at, slices.Concat(tt.entries...))
	}
	f.Fuzz(func(t *testing.T, at uint64, b []byte) {
		at &^= 7
		r, _ := perfBytes(at, b[:min(len(b), 64)])
		_, _ = readPerf(r, at+uint64(min(len(b), 64))&^7)
		r, _ = perfBytes(at, b[:min(len(b), 64)])
		_, _ = readPerf(r, at+uint64(len(b)))
	})
}
