// Package codegen turns ir into eBPF: memory plan of the stack, register allocation, instructions, and a table that leads
// from an instruction back to the source. It knows eBPF's registers and limits, and nothing of the language.
package codegen

import (
	"sort"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/ir"
)

// Code is a program as the kernel takes it. Positions run parallel to Instructions: byte offsets in the source, -1 for none.
type Code struct {
	Instructions asm.Instructions
	Positions    []int32

	raws []int32 // raw index of each instruction
}

// Position is the byte offset in the source of the instruction that the kernel numbers raw, -1 if it has none: in the
// verifier's log a 64-bit constant counts as two.
func (c *Code) Position(raw int) int32 {
	i := sort.Search(len(c.raws), func(i int) bool { return int(c.raws[i]) > raw }) - 1
	if i < 0 || i >= len(c.Positions) {
		return -1
	}
	return c.Positions[i]
}

// Generate makes code for p. Maps are referred to by name (asm.Instruction.WithReference), functions by symbol.
func Generate(p *ir.Program) (*Code, error) { return generate(p, noFault) }
