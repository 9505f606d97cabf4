package codegen

import (
	"fmt"
	"slices"
	"strings"

	"sonde/internal/compile/ir"
)

// frameBytes is the stack that a program and the functions it calls have together.
const frameBytes = 512

// object is something on the stack: a slot, or the home of a vreg.
type object struct {
	name        string
	size, align int32
	from, to    int32 // positions between which it is used
	vreg        vreg
	slot        ir.Slot
	offset      int32 // from the frame's low end while it is being laid out
}

// frame says where objects lie: offsets to r10.
type frame struct {
	slots []int32
	homes map[vreg]int32
	size  int32
}

// layOutFrame places slots and homes so that those share bytes that are never in use at the same time.
func (m *machine) layOutFrame(a *allocation, f fault) (*frame, error) {
	objects := m.slotObjects(f)
	for v := range a.spilled {
		iv := &a.ivs[v]
		if !a.spilled[v] || len(iv.spans) == 0 || m.vregs[v].home == homeMade {
			continue
		}
		objects = append(objects, object{name: "", size: 8, align: 8, from: iv.start(), to: iv.end(), vreg: vreg(v), slot: noSlot})
	}
	size := place(objects)
	if size > frameBytes {
		if size = placeBySize(objects); size > frameBytes {
			return nil, m.tooBig(objects, size)
		}
	}
	size = (size + 7) &^ 7
	fr := &frame{slots: make([]int32, len(m.fn.Slots)), homes: map[vreg]int32{}, size: size}
	for _, o := range objects {
		if o.slot != noSlot {
			fr.slots[o.slot] = o.offset - size
		} else {
			fr.homes[o.vreg] = o.offset - size
		}
	}
	return fr, nil
}

// slotObjects says from where to where each slot is used, through its own address or one derived from it. A use in a loop
// counts for the whole loop: what one round writes the next may read.
func (m *machine) slotObjects(f fault) []object {
	if len(m.fn.Slots) == 0 {
		return nil
	}
	end := 2 * int32(len(m.insts))
	objects := make([]object, len(m.fn.Slots))
	for s, info := range m.fn.Slots {
		objects[s] = object{
			name: info.Name, size: int32(info.Size), align: int32(min(max(info.Align, 1), 8)),
			from: end, to: -1, slot: ir.Slot(s),
		}
		if m.whole[s] {
			objects[s].from, objects[s].to = 0, end
		}
	}
	touch := func(s ir.Slot, i int32) {
		o := &objects[s]
		o.from, o.to = min(o.from, 2*i), max(o.to, 2*i+2)
	}
	for i := range m.insts {
		in := &m.insts[i]
		if in.slot != noSlot && usesSlot(in.op) {
			touch(in.slot, int32(i))
		}
		for _, v := range [3]vreg{in.a, in.b, in.dst} {
			if t := m.vregs[v].taint; t != noSlot {
				touch(t, int32(i))
			}
		}
		for _, v := range in.args {
			if t := m.vregs[v].taint; t != noSlot {
				touch(t, int32(i))
			}
		}
	}
	if f != forgetLoops {
		m.coverLoops(objects)
	}
	return slices.DeleteFunc(objects, func(o object) bool { return o.to < 0 })
}

func usesSlot(op ir.Op) bool {
	switch op {
	case ir.OpSlot, ir.OpLoad, ir.OpStore, ir.OpAtomicAdd, ir.OpXchg, ir.OpFetchAdd:
		return true
	}
	return false
}

// coverLoops widens uses inside a loop to all of it.
func (m *machine) coverLoops(objects []object) {
	type loop struct{ from, to int32 }
	var loops []loop
	for b := range m.blocks {
		for _, s := range m.blocks[b].succs {
			if s >= 0 && int(s) <= b {
				loops = append(loops, loop{2 * m.blocks[s].from, 2 * m.blocks[b].to})
			}
		}
	}
	if len(loops) == 0 {
		return
	}
	// Loops that overlap count as one.
	slices.SortFunc(loops, func(x, y loop) int { return int(x.from - y.from) })
	joined := loops[:1]
	for _, l := range loops[1:] {
		if last := &joined[len(joined)-1]; l.from < last.to {
			last.to = max(last.to, l.to)
		} else {
			joined = append(joined, l)
		}
	}
	for i := range objects {
		o := &objects[i]
		if o.to < 0 {
			continue
		}
		// The first loop that ends behind the start, and the last that begins before the end.
		n, _ := slices.BinarySearchFunc(joined, o.from, func(l loop, at int32) int {
			if l.to <= at {
				return -1
			}
			return 1
		})
		from, to := o.from, o.to
		if n < len(joined) && joined[n].from < o.to {
			from = min(from, joined[n].from)
		}
		n, _ = slices.BinarySearchFunc(joined, o.to, func(l loop, at int32) int {
			if l.from < at {
				return -1
			}
			return 1
		})
		if n > 0 && joined[n-1].to > o.from {
			to = max(to, joined[n-1].to)
		}
		o.from, o.to = from, to
	}
}

// place gives each object, by its start, the lowest place that no living one has. It returns the size of the whole.
func place(objects []object) int32 {
	slices.SortStableFunc(objects, func(x, y object) int { return int(x.from - y.from) })
	var live []*object // by offset
	size := int32(0)
	for i := range objects {
		o := &objects[i]
		live = slices.DeleteFunc(live, func(l *object) bool { return l.to <= o.from })
		at := insertAt(o, live)
		live = slices.Insert(live, at, o)
		size = max(size, o.offset+o.size)
	}
	return size
}

// insertAt sets o's offset to the first gap between live, which is sorted by offset, and returns its index there.
func insertAt(o *object, live []*object) int {
	at := int32(0)
	for i, l := range live {
		if at+o.size <= l.offset {
			o.offset = at
			return i
		}
		at = max(at, (l.offset+l.size+o.align-1)&^(o.align-1))
	}
	o.offset = at
	return len(live)
}

// placeBySize is place with the large and aligned first: tighter, and quadratic.
func placeBySize(objects []object) int32 {
	slices.SortStableFunc(objects, func(x, y object) int { return int(y.size - x.size) })
	size := int32(0)
	var live []*object
	for i := range objects {
		o := &objects[i]
		live = live[:0]
		for j := range objects[:i] {
			if p := &objects[j]; p.from < o.to && o.from < p.to {
				live = append(live, p)
			}
		}
		slices.SortFunc(live, func(x, y *object) int { return int(x.offset - y.offset) })
		insertAt(o, live)
		size = max(size, o.offset+o.size)
	}
	return size
}

func (m *machine) tooBig(objects []object, size int32) error {
	slices.SortStableFunc(objects, func(x, y object) int { return int(y.size - x.size) })
	var names []string
	for _, o := range objects {
		if o.name == "" || len(names) == 3 {
			break
		}
		names = append(names, fmt.Sprintf("%s of %d", o.name, o.size))
	}
	what := ""
	if len(names) > 0 {
		what = ": the largest are " + strings.Join(names, ", ")
	}
	return &StackError{Func: m.fn.Name, Size: int(size), detail: what}
}

// StackError says that a function needs more stack than there is.
type StackError struct {
	Func   string
	Size   int
	detail string
}

func (e *StackError) Error() string {
	return fmt.Sprintf("%s needs %d bytes of stack, the kernel gives %d%s", e.Func, e.Size, frameBytes, e.detail)
}
