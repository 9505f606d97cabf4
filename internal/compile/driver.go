package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/codegen"
	"sonde/internal/compile/ir"
	"sonde/internal/prog"
)

// lowered is one BPF program of the script on its way to the kernel: what driver.go hands to the assembly of the Spec.
type lowered struct {
	name    string // in the collection
	check   *check.Program
	points  []check.Point
	plan    plan
	ir      *ir.Program
	code    *codegen.Code
	scratch int // bytes of scratch memory, 0 for none; see scratchMap
}

// progType is the kernel's number of the type of programs that are attached so (linux/bpf.h, enum bpf_prog_type).
func progType(k prog.ProbeKind) uint32 {
	switch k {
	case prog.RawTracepoint, prog.TestRun:
		return 17
	case prog.Tracepoint:
		return 5
	case prog.TypedTracepoint, prog.Fentry, prog.Fexit, prog.Iter:
		return 26
	case prog.Interval, prog.Profile, prog.Software, prog.Hardware:
		return 7
	}
	return 2
}

// isUprobe says whether a program attached so is run by a uprobe.
func isUprobe(k prog.ProbeKind) bool {
	switch k {
	case prog.Uprobe, prog.Uretprobe, prog.UprobeMulti, prog.UretprobeMulti:
		return true
	}
	return false
}
