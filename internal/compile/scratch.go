package compile

import (
	"github.com/cilium/ebpf"

	"sonde/internal/compile/ir"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// Values that do not fit on the stack are in the program's scratch memory: one value of a per-CPU array of its own, as
// programs of other attach points may run in the middle of this one.
//
// That is enough where the kernel lets no second run of a program begin on a CPU before the first has ended. It does not
// do so for uprobes from 6.0 on: their programs may be preempted, and then run for another task. For them the array has
// several values; a run claims one that is not busy by exchanging its first word, and sets that to 0 at its end. If none
// is free, the run is left out and counted. Kernels without the exchange run such programs with preemption switched off.

// scratchSlots is how many runs may overlap on one CPU.
const scratchSlots = 8

const scratchBusy = 8 // bytes before the memory itself: the busy word

func (l *lowerer) scratchClaimed(k prog.ProbeKind) bool {
	return isUprobe(k) && l.t.Has(kernel.FetchAtomics)
}

// scratchName is the name of a program's scratch map.
func (lw *lowered) scratchName() string { return mapScratch + "_" + lw.name }

// scratchMap describes the map with the program's scratch memory, nil if it has none.
func (l *lowerer) scratchMap(lw *lowered) *ebpf.MapSpec {
	if lw.scratch == 0 {
		return nil
	}
	spec := &ebpf.MapSpec{
		Name: lw.scratchName(), Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: uint32(lw.scratch+7) &^ 7, MaxEntries: 1,
	}
	if l.scratchClaimed(lw.plan.kind) {
		spec.ValueSize += scratchBusy
		spec.MaxEntries = scratchSlots
	}
	return spec
}

// takeScratch finds the scratch memory; without it the program ends at skip.
func (f *fn) takeScratch(lw *lowered, skip *ir.Block) {
	key := f.Func.NewSlot(8, 8, "scratch")
	look := func(dst ir.Value) ir.Value {
		args := []ir.Value{f.MapPtr(lw.scratchName()), f.SlotAddr(key, 0)}
		return f.Emit(ir.Instr{Op: ir.OpCall, Imm: fnMapLookup, Dst: dst, Args: args})
	}
	found := f.Func.NewBlock("scratch")
	if !f.scratchClaimed(lw.plan.kind) {
		f.StoreImm(f.SlotAddr(key, 0), 0, 4, 0)
		p := look(f.scratch.base)
		f.BranchImm(ir.Ne, p, 0, found, skip)
		f.Goto(found)
	} else {
		head, try, claim, next := f.Func.NewBlock("slots"), f.Func.NewBlock("slot"), f.Func.NewBlock("claim"), f.Func.NewBlock("busy")
		lost := f.Func.NewBlock("no_scratch")
		i := f.Func.NewVar()
		f.Set(i, f.Const(0))
		f.Jump(head)
		f.Goto(head)
		f.BranchImm(ir.Lt, i, scratchSlots, try, lost)
		f.Goto(try)
		f.Store(f.SlotAddr(key, 0), 0, 4, i)
		p := look(f.Func.NewValue())
		f.BranchImm(ir.Ne, p, 0, claim, skip)
		f.Goto(claim)
		was := f.Xchg(p, 0, 8, f.Const(1))
		f.BranchImm(ir.Eq, was, 0, found, next)
		f.Goto(next)
		f.Set(i, f.BinImm(ir.OpAdd, i, 1))
		f.Jump(head)
		f.Goto(lost)
		f.countLost(lostScratch)
		f.Jump(skip)
		f.Goto(found)
		f.Emit(ir.Instr{Op: ir.OpAdd, Dst: f.scratch.base, Args: []ir.Value{p}, Imm: scratchBusy})
	}
	if s := f.shared; s.used {
		f.Store(f.SlotAddr(s.slot, 0), frameScratch, 8, f.scratch.base)
	}
}

// giveScratch lets the next run have the scratch memory.
func (f *fn) giveScratch(lw *lowered) {
	if f.scratchClaimed(lw.plan.kind) {
		f.StoreImm(f.scratch.base, -scratchBusy, 8, 0)
	}
}
