package stream

import "fmt"

// Sequence watches the sequence numbers of all records that arrive, so that in the end it can be proved whether all
// did. Each CPU counts its records from 1; what is lost uses a number up. Records of one CPU may arrive out of order
// (a program interrupted by another, on the same CPU, between taking its number and reserving its record).
type Sequence struct {
	cpus   []cpuSequence
	strays uint64
}

type cpuSequence struct {
	arrived, repeated, highest uint64
	window                     uint64 // bit i: number highest-i has arrived
}

// Verdict compares what arrived with what was sent.
type Verdict struct {
	Arrived     uint64
	Missing     uint64 // numbers given out whose records never arrived
	Lost        uint64 // records that the programs counted as lost
	Unexplained uint64 // of Missing, what the loss counters of the same CPU do not account for
	Uncounted   uint64 // of Lost, what is not missing: something else was counted
	Odd         uint64 // numbers that came twice, were never given out, or of a CPU that does not exist
	MissingOn   []uint64
}

// NewSequence watches CPUs 0 to cpus-1 (as many as Tally.CPUs).
func NewSequence(cpus int) *Sequence {
	return &Sequence{cpus: make([]cpuSequence, cpus)}
}

// Add takes note of one record. A number that comes twice is noticed within the latest 64 of its CPU.
func (s *Sequence) Add(cpu uint16, seq uint64) {
	if int(cpu) >= len(s.cpus) || seq == 0 {
		s.strays++
		return
	}
	c := &s.cpus[cpu]
	if seq > c.highest {
		c.window = c.window<<(seq-c.highest) | 1 // Go shifts by 64 and more to 0
		c.highest = seq
		c.arrived++
		return
	}
	bit := uint64(1) << (c.highest - seq) // 0 for what is too old to be told from a new one
	if c.window&bit != 0 {
		c.repeated++
		return
	}
	c.window |= bit
	c.arrived++
}

// Verdict compares with the counters. It is final when t was read after the probes were closed and the ring was
// drained; before that, records on their way count as missing.
func (s *Sequence) Verdict(t Tally) Verdict {
	v := Verdict{Odd: s.strays, MissingOn: make([]uint64, len(t.CPUs))}
	for i, c := range s.cpus {
		v.Arrived += c.arrived
		v.Odd += c.repeated
		if i >= len(t.CPUs) {
			v.Odd += c.arrived
		}
	}
	for i, cpu := range t.CPUs {
		var c cpuSequence
		if i < len(s.cpus) {
			c = s.cpus[i]
		}
		missing := excess(cpu.Last, c.arrived)
		v.Odd += excess(c.arrived, cpu.Last)
		v.Missing += missing
		v.MissingOn[i] = missing
		v.Lost += cpu.Lost
		v.Unexplained += excess(missing, cpu.Lost)
		v.Uncounted += excess(cpu.Lost, missing)
	}
	return v
}

// Complete says that every record that was sent arrived, once.
func (v Verdict) Complete() bool { return v.Missing == 0 && v.Odd == 0 }

// Consistent says that sequence numbers and loss counters tell the same story, CPU by CPU.
func (v Verdict) Consistent() bool { return v.Unexplained == 0 && v.Uncounted == 0 && v.Odd == 0 }

// String is "complete" or "N missing", with what does not fit together.
func (v Verdict) String() string {
	s := "complete"
	if v.Missing > 0 {
		s = fmt.Sprintf("%d missing", v.Missing)
	}
	if v.Unexplained > 0 {
		s += fmt.Sprintf(", %d of them not counted as lost", v.Unexplained)
	}
	if v.Uncounted > 0 {
		s += fmt.Sprintf(", %d more counted as lost", v.Uncounted)
	}
	if v.Odd > 0 {
		s += fmt.Sprintf(", %d with an impossible number", v.Odd)
	}
	return s
}

// excess is by how much a is more than b.
func excess(a, b uint64) uint64 {
	if a > b {
		return a - b
	}
	return 0
}
