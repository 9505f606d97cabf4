package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
)

// A callback of bpf_for_each_map_elem or bpf_loop gets one pointer: to the frame, an object on the stack of the program
// itself. It holds the address of the scratch memory, then whatever both sides use. Callbacks inside callbacks get the
// same pointer.

const frameScratch = 0 // where in the frame the address of the scratch memory is

// sharedFrame is the layout of the frame.
type sharedFrame struct {
	slot ir.Slot
	used bool
	vars map[*check.Variable]mem // of the program's own side
}

// root is the program's function.
func (f *fn) root() *fn {
	for f.outer != nil {
		f = f.outer
	}
	return f
}

// frameAddr is the address of the frame, on either side.
func (f *fn) frameAddr() ir.Value {
	f.useFrame()
	if f.outer != nil {
		return f.frame
	}
	return f.SlotAddr(f.shared.slot, 0)
}

func (f *fn) useFrame() *sharedFrame {
	s := f.root().shared
	if !s.used {
		s.used = true
		s.slot = f.root().Func.NewSlot(8, 8, "frame")
		s.vars = map[*check.Variable]mem{}
	}
	return s
}

// frameAlloc makes room in the frame; the result is good on all sides as frameAt(off).
func (f *fn) frameAlloc(size int) (off int) {
	s := f.useFrame()
	info := &f.root().Func.Slots[s.slot]
	off = info.Size
	info.Size += (size + 7) &^ 7
	return off
}

// frameAt is the memory at an offset of the frame, as this function reaches it.
func (f *fn) frameAt(off int) mem {
	if f.outer != nil {
		return mem{base: f.frame, off: off}
	}
	return mem{slot: f.shared.slot, onSlot: true, off: off}
}

// sharedVar is where a variable is kept that callbacks use.
func (f *fn) sharedVar(v *check.Variable) mem {
	s := f.useFrame()
	m, ok := s.vars[v]
	if !ok {
		if size := max(v.Type.Size, 8); size <= onStackMost {
			m = mem{slot: s.slot, onSlot: true, off: f.frameAlloc(size)}
		} else {
			m = mem{off: f.allocScratch(size).off}
		}
		s.vars[v] = m
	}
	if m.onSlot {
		return f.frameAt(m.off)
	}
	return mem{base: f.scratch.base, off: m.off}
}

// callback makes the function of a callback: params of its parameters, of which number frame (from 0) is the address of
// the frame. The caller fills it and ends it with endCallback.
func (f *fn) callback(name string, params, frame int) *fn {
	irf := ir.NewFunc(name, params)
	f.irp.Funcs = append(f.irp.Funcs, irf)
	f.useFrame()
	in := &fn{
		lowerer: f.lowerer, irp: f.irp, program: f.program, points: f.points, point: f.point, plan: f.plan,
		Builder: *ir.NewBuilder(irf),
		outer:   f, frame: irf.Params[frame],
		vars: map[*check.Variable]*variable{}, habits: f.habits,
	}
	in.scratch = scratchArea{base: irf.NewValue(), size: f.scratch.size}
	in.result = irf.NewVar()
	in.Goto(irf.NewBlock("body"))
	return in
}

// endCallback writes the beginning of a callback, now that it is known what it needs: its entry block leads to the first
// block of its body.
func (f *fn) endCallback() {
	f.Goto(f.Func.Blocks[0])
	if f.scratch.size.most > 0 {
		f.Emit(ir.Instr{Op: ir.OpLoad, Dst: f.scratch.base, Args: []ir.Value{f.frame}, Off: frameScratch, Width: 8})
	} else {
		f.Emit(ir.Instr{Op: ir.OpConst, Dst: f.scratch.base})
	}
	f.zeroLoose(f.loose)
	f.Jump(f.Func.Blocks[1])
}
