package compile

import (
	"github.com/cilium/ebpf"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// lower makes the programs of p: one for each group of its attach points.
func (l *lowerer) lower(p *check.Program) {
	for _, points := range l.groups(p) {
		lw := &lowered{check: p, points: points, plan: l.planFor(p, points)}
		lw.name = programName(len(l.programs), p, points)
		lw.ir = l.program(lw)
		l.programs = append(l.programs, lw)
	}
}

// program lowers the body for one group of attach points. The blocks come in the order
//
//	entry: whom to trace; early: scratch memory if the predicate needs it; predicate;
//	late: scratch memory if only the body needs it; body; done: scratch memory given back; skip
//
// The entry and the two places for scratch memory are filled last.
func (l *lowerer) program(lw *lowered) *ir.Program {
	irf := ir.NewFunc(lw.name, 1)
	out := &ir.Program{Name: lw.name, Funcs: []*ir.Func{irf}}
	f := &fn{
		lowerer: l, irp: out, program: lw.check, points: lw.points, plan: lw.plan,
		Builder: *ir.NewBuilder(irf),
		ctx:     irf.Params[0],
		vars:    map[*check.Variable]*variable{},
		habits:  l.survey(lw.check.Decl),
		shared:  &sharedFrame{},
	}
	if len(lw.points) == 1 {
		f.point = &lw.points[0]
	}
	f.scratch = scratchArea{base: irf.NewValue(), size: &scratchSize{}}
	f.result = irf.NewVar()
	early, late := irf.NewBlock("early"), irf.NewBlock("late")
	body := irf.NewBlock("body")
	f.done = irf.NewBlock("done")
	miss, skip := irf.NewBlock("miss"), irf.NewBlock("skip")

	f.Set(f.result, f.Const(0))
	f.filter(skip)
	f.Jump(early)

	predicate := irf.NewBlock("predicate")
	f.Goto(predicate)
	decl := lw.check.Decl
	if decl.Predicate != nil {
		f.pushScope()
		mark := f.mark()
		holds := irf.NewBlock("holds")
		f.cond(decl.Predicate, holds, miss)
		f.release(mark)
		f.popScope()
		f.Goto(holds)
	}
	// It costs more than most predicates, and has nothing to do with them.
	f.filterCompat(miss)
	f.Jump(late)
	scratchEarly, looseEarly := f.scratch.size.most > 0, len(f.loose)

	f.Goto(body)
	f.block(decl.Body)
	f.Jump(f.done)

	lw.scratch = f.scratch.size.most
	used := lw.scratch > 0
	f.Goto(early)
	if used && scratchEarly {
		f.takeScratch(lw, skip)
	}
	f.zeroLoose(f.loose[:looseEarly])
	f.Jump(predicate)
	f.Goto(late)
	if used && !scratchEarly {
		f.takeScratch(lw, skip)
	}
	f.zeroLoose(f.loose[looseEarly:])
	f.Jump(body)
	f.Goto(miss)
	if used && scratchEarly {
		f.Jump(f.done)
	} else {
		f.Jump(skip)
	}
	f.Goto(f.done)
	if used {
		if l.extraMaps == nil {
			l.extraMaps = map[string]*ebpf.MapSpec{}
		}
		l.extraMaps[lw.scratchName()] = l.scratchMap(lw)
		f.giveScratch(lw)
	}
	switch lw.plan.kind {
	case prog.Fentry, prog.Fexit, prog.Iter:
		f.RetImm(0) // the kernel allows no other
	default:
		f.Ret(f.result)
	}
	f.Goto(skip)
	f.RetImm(0)
	return out
}

// filter leaves out what the whole script is not about: the end of an iterator; other processes than that of -p, or
// outside the followed tree; other system calls where the attach point is all of them.
func (f *fn) filter(skip *ir.Block) {
	f.filterNumber(skip)
	if f.plan.kind == prog.Iter {
		next := f.Func.NewBlock("object")
		f.BranchImm(ir.Ne, f.word(firstObject), 0, next, skip)
		f.Goto(next)
	}
	if !f.aboutCurrent() {
		return
	}
	if pid := f.opt.PID; pid != 0 && !f.attachedToProcess() {
		next := f.Func.NewBlock("process")
		f.BranchImm(ir.Eq, f.pid(), int64(pid), next, skip)
		f.Goto(next)
	}
	if m := f.maps[f.opt.Tree]; m != nil && m.Key != nil {
		key := f.alloc(8, 8, "process")
		f.storeImm(key, 8, 0)
		f.store(key, min(m.Key.Size, 8), f.pid())
		p := f.Call(fnMapLookup, f.MapPtr(m.BPF), f.addr(key))
		next := f.Func.NewBlock("in_tree")
		f.BranchImm(ir.Ne, p, 0, next, skip)
		f.Goto(next)
	}
}

// aboutCurrent says whether the program runs because of something the current task did.
func (f *fn) aboutCurrent() bool {
	switch f.plan.kind {
	case prog.TestRun, prog.Interval, prog.Iter:
		return false
	}
	return true
}

// attachedToProcess says whether the kernel runs the program in one process only.
func (f *fn) attachedToProcess() bool {
	switch f.plan.kind {
	case prog.Profile, prog.Software, prog.Hardware:
		return true
	}
	return f.userProbe()
}

// castsPointers says whether any kernel pointer can be made known to the verifier.
func (f *fn) castsPointers() bool {
	if !f.t.Has(kernel.RdonlyCast) || f.t.Types() == nil {
		return false
	}
	_, ok := f.t.Kfunc("bpf_rdonly_cast")
	return ok
}

// progType is the kernel's number of the program's type.
func (f *fn) progType() uint32 { return progType(f.plan.kind) }

func (f *fn) helper(number uint32) bool { return f.t.Helper(f.progType(), number) }

// taskBTF says whether the program can read the current task by plain loads.
func (f *fn) taskBTF() bool {
	return f.t.Types() != nil && f.t.Has(kernel.TaskBTF) && f.helper(fnCurrentTaskBTF)
}

// returnNow leaves the program with the result it has.
func (f *fn) returnNow() { f.Jump(f.done) }
