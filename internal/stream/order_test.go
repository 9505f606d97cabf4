package stream

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

func TestOrder(t *testing.T) {
	type op struct {
		time, seq uint64 // push, named "time/seq"
		size      int
		release   uint64 // or release up to this
		flush     bool
	}
	push := func(time uint64) op { return op{time: time, size: 1} }
	tests := []struct {
		name         string
		items, bytes int
		ops          []op
		want         []uint64 // times
		forced, late uint64
		held         int
	}{
		{"nothing before it is released", 9, 99, []op{push(1), push(2)}, nil, 0, 0, 2},
		{"in order", 9, 99, []op{push(3), push(1), push(2), {release: 9}}, []uint64{1, 2, 3}, 0, 0, 0},
		{"up to and with the watermark", 9, 99, []op{push(3), push(1), push(2), {release: 2}}, []uint64{1, 2}, 0, 0, 1},
		{"late", 9, 99, []op{push(5), {release: 5}, push(4), push(5), push(6)}, []uint64{5, 4}, 0, 1, 2},
		{"older than the watermark, but nothing younger is out", 9, 99,
			[]op{push(1), {release: 5}, push(4), push(3), {release: 5}}, []uint64{1, 3, 4}, 0, 0, 0},
		{"too many", 2, 99, []op{push(3), push(1), push(2), push(4), {flush: true}}, []uint64{1, 2, 3, 4}, 2, 0, 0},
		{"too many, then late", 1, 99, []op{push(5), push(6), push(4), {flush: true}}, []uint64{5, 4, 6}, 1, 1, 0},
		{"too big", 9, 10, []op{{time: 2, size: 6}, {time: 1, size: 4}, {time: 3, size: 1}}, []uint64{1}, 1, 0, 2},
		{"bigger than all room", 9, 10, []op{{time: 2, size: 6}, {time: 1, size: 11}}, []uint64{1}, 1, 0, 1},
		{"alone and too big", 9, 10, []op{{time: 2, size: 11}}, []uint64{2}, 1, 0, 0},
		{"room is given back", 9, 10, []op{{time: 1, size: 10}, {release: 1}, {time: 2, size: 10}}, []uint64{1}, 0, 0, 1},
		{"no bounds means one", 0, 0, []op{push(1), push(2)}, []uint64{1}, 1, 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []uint64
			out := func(v uint64) error { got = append(got, v); return nil }
			o := NewOrder[uint64](test.items, test.bytes)
			for _, op := range test.ops {
				var err error
				switch {
				case op.flush:
					err = o.Flush(out)
				case op.release != 0:
					err = o.Release(op.release, out)
				default:
					err = o.Push(op.time, op.seq, op.size, op.time, out)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if o.Forced() != test.forced || o.Late() != test.late || o.Len() != test.held {
				t.Errorf("forced %d, late %d, held %d", o.Forced(), o.Late(), o.Len())
			}
		})
	}
}

// Equal times: by sequence number, then as they came.
func TestOrderTies(t *testing.T) {
	o := NewOrder[string](99, 99)
	var got string
	out := func(v string) error { got += v; return nil }
	for _, p := range []struct {
		time, seq uint64
		v         string
	}{{5, 2, "c"}, {5, 1, "a"}, {4, 9, "0"}, {5, 2, "d"}, {5, 1, "b"}, {5, 2, "e"}} {
		if err := o.Push(p.time, p.seq, 1, p.v, out); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Flush(out); err != nil || got != "0abcde" {
		t.Errorf("%q, %v", got, err)
	}
}

// Against sorting: with a watermark that is true, everything comes out sorted, whatever the order of arrival.
func TestOrderRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		o := NewOrder[uint64](1<<20, 1<<30)
		var in, got []uint64
		out := func(v uint64) error { got = append(got, v); return nil }
		for mark := uint64(0); len(in) < 300; {
			for range random.IntN(20) {
				time := mark + 1 + random.Uint64N(100)
				in = append(in, time)
				if err := o.Push(time, uint64(len(in)), 8, time, out); err != nil {
					t.Fatal(err)
				}
			}
			mark += random.Uint64N(60)
			if err := o.Release(mark, out); err != nil {
				t.Fatal(err)
			}
			if len(got) > 0 && got[len(got)-1] > mark {
				t.Fatalf("%d is out, the watermark is %d", got[len(got)-1], mark)
			}
		}
		if err := o.Flush(out); err != nil {
			t.Fatal(err)
		}
		slices.Sort(in)
		if diff := cmp.Diff(in, got); diff != "" || o.Late() != 0 || o.Forced() != 0 || o.bytes != 0 {
			t.Fatalf("late %d, forced %d, bytes left %d: %s", o.Late(), o.Forced(), o.bytes, diff)
		}
	}
}

func TestOrderError(t *testing.T) {
	o := NewOrder[int](9, 99)
	bad := errors.New("bad")
	fail := func(int) error { return bad }
	for i := range 3 {
		if err := o.Push(uint64(i)+1, 0, 1, i, fail); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Release(9, fail); err != bad || o.Len() != 2 {
		t.Errorf("%v, %d left", err, o.Len())
	}
	if err := o.Flush(func(int) error { return nil }); err != nil || o.Len() != 0 {
		t.Errorf("%v, %d left", err, o.Len())
	}
	if err := o.Push(1, 0, 1, 0, fail); err != bad || o.Late() != 1 {
		t.Errorf("late: %v, %d", err, o.Late())
	}
	small := NewOrder[int](1, 99)
	_ = small.Push(1, 0, 1, 1, fail)
	if err := small.Push(2, 0, 1, 2, fail); err != bad || small.Len() != 1 {
		t.Errorf("forced: %v, %d left", err, small.Len())
	}
}

func TestOrderAllocs(t *testing.T) {
	o := NewOrder[*prog.Record](1000, 1<<20)
	out := func(*prog.Record) error { return nil }
	record := &prog.Record{}
	now := uint64(0)
	round := func() {
		for i := range uint64(500) {
			_ = o.Push(now+i^5, i, 100, record, out)
		}
		now += 500
		_ = o.Release(now-100, out)
	}
	round()
	round()
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations for 500 records", n)
	}
}
