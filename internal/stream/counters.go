package stream

import (
	"fmt"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
)

// lostReasons is LOST_REASONS of bpf/record.h.
const lostReasons = 8

// counterBlock is struct counters of bpf/record.h: the one value of the map, per CPU.
type counterBlock struct {
	Seq  uint64
	Lost [lostReasons]uint64
}

// Counters reads the loss counters that the programs of one Spec share.
type Counters struct {
	m       *ebpf.Map
	reasons []string
	blocks  []counterBlock
}

// Tally is what the counters said at one moment.
type Tally struct {
	Lost []prog.Count // over all CPUs: every named reason in order, then unnamed ones that are not 0
	CPUs []CPUTally   // by CPU number, every possible CPU
}

// CPUTally is the part of one CPU.
type CPUTally struct {
	Last uint64 // the last sequence number given out
	Lost uint64 // records lost, for whatever reason
}

// NewCounters reads m, a per-CPU array of one struct counters. reasons names its loss counters in their order; "" is
// one that is not in use. The map must stay open.
func NewCounters(m *ebpf.Map, reasons []string) (*Counters, error) {
	const size = 8 * (1 + lostReasons)
	if m.Type() != ebpf.PerCPUArray || m.ValueSize() != size || m.MaxEntries() != 1 {
		return nil, fmt.Errorf("counters in %v: want a per-CPU array of one value of %d bytes", m, size)
	}
	if len(reasons) > lostReasons {
		return nil, fmt.Errorf("counters in %v: %d reasons are named, there is room for %d", m, len(reasons), lostReasons)
	}
	return &Counters{m: m, reasons: reasons}, nil
}

// Read adds up the counters. While programs run, the CPUs are not read at the same moment.
func (c *Counters) Read() (Tally, error) {
	if err := c.m.Lookup(uint32(0), &c.blocks); err != nil {
		return Tally{}, fmt.Errorf("counters in %v: %w", c.m, err)
	}
	return tally(c.blocks, c.reasons), nil
}

func tally(blocks []counterBlock, reasons []string) Tally {
	t := Tally{CPUs: make([]CPUTally, len(blocks))}
	var sums [lostReasons]uint64
	for cpu, b := range blocks {
		t.CPUs[cpu].Last = b.Seq
		for i, n := range b.Lost {
			sums[i] += n
			t.CPUs[cpu].Lost += n
		}
	}
	for i, n := range sums {
		switch {
		case i < len(reasons) && reasons[i] != "":
			t.Lost = append(t.Lost, prog.Count{Reason: reasons[i], N: n})
		case n != 0: // the programs count what the Spec does not name: not silently
			t.Lost = append(t.Lost, prog.Count{Reason: fmt.Sprintf("reason %d", i), N: n})
		}
	}
	return t
}
