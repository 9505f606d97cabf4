// Package codegen turns ir into eBPF: memory plan of the stack, register allocation, instructions, and a table that leads
// from an instruction back to the source. It knows eBPF's registers and limits, and nothing of the language.
package codegen

import (
	"errors"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/ir"
)

// Code is a program as the kernel takes it. Positions run parallel to Instructions: byte offsets in the source, -1 for none.
type Code struct {
	Instructions asm.Instructions
	Positions    []int32
}

// Generate makes code for p. Maps are referred to by name (asm.Instruction.WithReference).
func Generate(p *ir.Program) (*Code, error) { return nil, errors.New("not built") }
