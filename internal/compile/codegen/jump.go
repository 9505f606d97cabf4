package codegen

import (
	"errors"
	"math"

	"github.com/cilium/ebpf/asm"
)

// relayAfter is how many instructions a jump may wait for its target before it gets a relay: less than a jump can reach, by
// more than the longest code of one instruction and all relays of one place.
const relayAfter = math.MaxInt16 - 8192

// jumps resolves the jumps of a function. Their offsets are 16 bits and signed: one that goes further forward takes a relay,
// which is a jump in the middle of the code that the code around it skips.
type jumps struct {
	e       *emitter
	starts  []int // by block: raw position, -1 before it is placed
	pending []pending
	first   int // pending ones before it are resolved
	tooFar  bool
}

// pending is a jump whose target is not placed yet.
type pending struct {
	index int // into the instructions; -1 when it is done
	raw   int
	block int32
}

func (j *jumps) start(e *emitter, blocks int) {
	j.e = e
	j.starts = make([]int, blocks)
	for i := range j.starts {
		j.starts[i] = -1
	}
}

// to adds code, which jumps to a block.
func (j *jumps) to(block int32, code asm.Instruction) {
	raw := j.e.raw
	if at := j.starts[block]; at >= 0 {
		if at-raw-1 < math.MinInt16 {
			j.tooFar = true
		}
		code.Offset = int16(at - raw - 1)
	} else {
		j.pending = append(j.pending, pending{index: len(j.e.out), raw: raw, block: block})
	}
	j.e.add(code)
}

// place says that a block begins here.
func (j *jumps) place(block int32) { j.starts[block] = j.e.raw }

// relay gives the jumps that wait long a relay. through says that the code before goes on behind it: the kernel refuses
// instructions that cannot be reached, so where it does not there is nothing to skip the relays.
func (j *jumps) relay(through bool) {
	for j.first < len(j.pending) {
		p := &j.pending[j.first]
		if p.index >= 0 && j.starts[p.block] < 0 {
			break
		}
		j.first++ // placed: finish sets it
	}
	if j.first == len(j.pending) || j.e.raw-j.pending[j.first].raw < relayAfter {
		return
	}
	// All that wait for half as long go too, those to one block through one relay.
	e := j.e
	skip := len(e.out)
	skipRaw := e.raw
	if through {
		e.add(asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)})
	}
	relays := map[int32]int{}
	n := len(j.pending)
	for i := j.first; i < n; i++ {
		p := j.pending[i]
		if skipRaw-p.raw < relayAfter/2 {
			break
		}
		if p.index < 0 || j.starts[p.block] >= 0 {
			continue
		}
		at, ok := relays[p.block]
		if !ok {
			at = e.raw
			relays[p.block] = at
			j.pending = append(j.pending, pending{index: len(e.out), raw: at, block: p.block})
			e.add(asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)})
		}
		j.set(p.index, p.raw, at)
		j.pending[i].index = -1
	}
	if through {
		e.out[skip].Offset = int16(e.raw - skipRaw - 1)
	}
}

func (j *jumps) set(index, raw, target int) {
	off := target - raw - 1
	if off > math.MaxInt16 {
		j.tooFar = true
	}
	j.e.out[index].Offset = int16(off)
}

// finish resolves what is left.
func (j *jumps) finish() error {
	for _, p := range j.pending {
		if p.index >= 0 {
			j.set(p.index, p.raw, j.starts[p.block])
		}
	}
	if j.tooFar {
		return errors.New("the body of a loop is larger than a jump can reach")
	}
	return nil
}
