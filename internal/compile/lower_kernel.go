package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// kernelField is a field of a struct of the kernel, found by names: {"task_struct", "thread_info", "status"}.
type kernelField struct {
	offset, size int
	signed       bool
	elem         uint32 // its type
}

func (l *lowerer) kernelField(owner string, path ...string) (k kernelField, ok bool) {
	own := l.t.Types()
	if own == nil {
		return k, false
	}
	id, ok := own.Find(kernel.BTFStruct, owner)
	if !ok {
		return k, false
	}
	for _, name := range path {
		m, ok := own.Field(id, name)
		if !ok || m.Bits != 0 {
			return k, false
		}
		k.offset += m.BitOffset / 8
		c := own.Resolve(m.Type)
		if c == nil {
			return k, false
		}
		id = c.ID
	}
	k.elem = id
	if c := own.Resolve(id); c != nil {
		k.signed = c.Signed
	}
	k.size, ok = own.Sizeof(id)
	return k, ok
}

// task is the current task_struct, as typed a pointer as can be had.
func (f *fn) task() (p ir.Value, isTyped bool) {
	if f.taskBTF() {
		return f.CallPure(fnCurrentTaskBTF), true
	}
	return f.CallPure(fnCurrentTask), false
}

// taskField reads a number or pointer of the current task that is steps of pointers away: each step is a struct and the
// way to a field in it. ok is false where the kernel's types do not have it.
func (f *fn) taskField(steps ...[]string) (v ir.Value, ok bool) {
	p, isTyped := f.task()
	return f.chain(p, isTyped, steps...)
}

func (f *fn) chain(p ir.Value, isTyped bool, steps ...[]string) (v ir.Value, ok bool) {
	for i, step := range steps {
		k, ok := f.kernelField(step[0], step[1:]...)
		if !ok {
			return 0, false
		}
		// A field that has been a plain word in one release may be a struct of one word in another.
		if k.size != 1 && k.size != 2 && k.size != 4 && k.size != 8 {
			return 0, false
		}
		t := types.IntOf(k.size, k.signed)
		owner := &types.Type{Kind: types.Struct, Name: step[0], Resolve: func(*types.Type) {}}
		owner.BTF, _ = f.t.Types().Find(kernel.BTFStruct, step[0])
		trusted := isTyped && (i == 0 || !f.castsPointers())
		l := f.pointee(value{t: types.PointerTo(owner, types.SpaceKernel), v: p, trusted: trusted}, owner, nil)
		p = f.fetch(l.at(k.offset, t)).v
	}
	return p, true
}

// currentTask is the typed pointer to the current task, for fields of several words.
func (f *fn) taskLocation(t *types.Type, path ...string) (location, bool) {
	k, ok := f.kernelField("task_struct", path...)
	if !ok || k.size < t.Size {
		return location{}, false
	}
	p, isTyped := f.task()
	l := location{kind: far, t: t, base: p, off: k.offset, space: types.SpaceKernel}
	if isTyped {
		l.kind = typed
	}
	return l, true
}
