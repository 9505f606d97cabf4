package stream

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

func TestSequence(t *testing.T) {
	type rec struct {
		cpu uint16
		seq uint64
	}
	tests := []struct {
		name string
		recs []rec
		t    []CPUTally
		want Verdict
		text string
	}{
		{"nothing sent", nil, []CPUTally{{0, 0}}, Verdict{MissingOn: []uint64{0}}, "complete"},
		{"all", []rec{{0, 1}, {1, 1}, {0, 2}}, []CPUTally{{2, 0}, {1, 0}},
			Verdict{Arrived: 3, MissingOn: []uint64{0, 0}}, "complete"},
		{"out of order within a CPU", []rec{{0, 2}, {0, 4}, {0, 3}, {0, 1}}, []CPUTally{{4, 0}},
			Verdict{Arrived: 4, MissingOn: []uint64{0}}, "complete"},
		{"lost and counted", []rec{{0, 1}, {0, 3}, {1, 2}}, []CPUTally{{4, 2}, {2, 1}},
			Verdict{Arrived: 3, Missing: 3, Lost: 3, MissingOn: []uint64{2, 1}}, "3 missing"},
		{"lost and not counted", []rec{{0, 1}}, []CPUTally{{4, 2}},
			Verdict{Arrived: 1, Missing: 3, Lost: 2, Unexplained: 1, MissingOn: []uint64{3}},
			"3 missing, 1 of them not counted as lost"},
		{"counted on the wrong CPU", []rec{{1, 1}}, []CPUTally{{1, 0}, {1, 1}},
			Verdict{Arrived: 1, Missing: 1, Lost: 1, Unexplained: 1, Uncounted: 1, MissingOn: []uint64{1, 0}},
			"1 missing, 1 of them not counted as lost, 1 more counted as lost"},
		{"twice", []rec{{0, 1}, {0, 1}, {0, 2}, {0, 1}}, []CPUTally{{2, 0}},
			Verdict{Arrived: 2, Odd: 2, MissingOn: []uint64{0}}, "complete, 2 with an impossible number"},
		{"never given out", []rec{{0, 1}, {0, 9}}, []CPUTally{{1, 0}},
			Verdict{Arrived: 2, Odd: 1, MissingOn: []uint64{0}}, "complete, 1 with an impossible number"},
		{"no such CPU, no number", []rec{{9, 1}, {0, 0}}, []CPUTally{{0, 0}},
			Verdict{Odd: 2, MissingOn: []uint64{0}}, "complete, 2 with an impossible number"},
		{"the highest number", []rec{{0, 1<<64 - 1}, {0, 1<<64 - 64}}, []CPUTally{{1<<64 - 1, 1<<64 - 3}},
			Verdict{Arrived: 2, Missing: 1<<64 - 3, Lost: 1<<64 - 3, MissingOn: []uint64{1<<64 - 3}},
			"18446744073709551613 missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := NewSequence(len(test.t))
			for _, r := range test.recs {
				s.Add(r.cpu, r.seq)
			}
			v := s.Verdict(Tally{CPUs: test.t})
			if diff := cmp.Diff(test.want, v); diff != "" {
				t.Error(diff)
			}
			if v.String() != test.text {
				t.Errorf("says %q, want %q", v, test.text)
			}
			if v.Complete() != (test.text == "complete") {
				t.Errorf("Complete: %v", v.Complete())
			}
		})
	}
}

// Any order at all, with numbers left out: exactly those are missing.
func TestSequenceShuffled(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 1 + random.IntN(500)
		s, dropped := NewSequence(1), 0
		for _, i := range random.Perm(n) {
			if random.IntN(10) == 0 {
				dropped++
				continue
			}
			s.Add(0, uint64(i)+1)
		}
		v := s.Verdict(Tally{CPUs: []CPUTally{{Last: uint64(n), Lost: uint64(dropped)}}})
		if v.Missing != uint64(dropped) || !v.Consistent() {
			t.Fatalf("%d of %d dropped: %+v", dropped, n, v)
		}
	}
}

func TestTally(t *testing.T) {
	blocks := []counterBlock{
		{Seq: 5, Lost: [lostReasons]uint64{1, 2}},
		{Seq: 7, Lost: [lostReasons]uint64{0, 3, 0, 4}},
	}
	want := Tally{
		Lost: []prog.Count{{Reason: "ring full", N: 1}, {Reason: "no memory", N: 5}, {Reason: "too many", N: 0}, {Reason: "reason 3", N: 4}},
		CPUs: []CPUTally{{5, 3}, {7, 7}},
	}
	if diff := cmp.Diff(want, tally(blocks, []string{"ring full", "no memory", "too many"})); diff != "" {
		t.Error(diff)
	}
}

// A counter that is not in use does not show, unless it counts all the same.
func TestTallyUnused(t *testing.T) {
	blocks := []counterBlock{{Lost: [lostReasons]uint64{2: 5}}}
	want := []prog.Count{{Reason: "ring full"}, {Reason: "reason 2", N: 5}, {Reason: "too many"}}
	if diff := cmp.Diff(want, tally(blocks, []string{"ring full", "", "", "too many"}).Lost); diff != "" {
		t.Error(diff)
	}
}
