package ir

// removeDeadSlots removes writes to slots that nobody reads: all that is done with their address is to write.
func removeDeadSlots(f *Func) {
	if len(f.Slots) == 0 {
		return
	}
	into := make([]Slot, len(f.values)) // by value: the slot it points into, plus 1
	read := make([]bool, len(f.Slots))
	mark := func(v Value) {
		if s := into[v]; s != 0 {
			read[s-1] = true
		}
	}
	g := newCFG(f) // definitions come before uses
	for _, b := range g.blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			rest := in.Args
			switch in.Op {
			case OpSlot:
				into[in.Dst] = in.Slot + 1
			case OpAdd, OpPtrAdd:
				if s := into[in.Args[0]]; s != 0 {
					into[in.Dst] = s
					rest = rest[1:]
				}
			case OpStore, OpAtomicAdd, OpZero, OpCopy:
				rest = rest[1:]
			}
			for _, a := range rest {
				mark(a)
			}
		}
	}
	for _, b := range g.blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			switch in.Op {
			case OpStore, OpAtomicAdd, OpZero, OpCopy:
				if s := into[in.Args[0]]; s != 0 && !read[s-1] {
					drop(in)
				}
			}
		}
	}
	sweep(f)
}
