package ir

// propagateCopies lets users of a variable take the value it was set to: everywhere if it is set once, else up to the end
// of the block.
func propagateCopies(f *Func) {
	sets := make([]int32, len(f.values)) // how many OpSet a variable has
	from := make([]Value, len(f.values)) // what the last one gave
	vars := false
	for _, b := range f.Blocks {
		for i := range b.Instrs {
			if in := &b.Instrs[i]; in.Op == OpSet {
				sets[in.Dst]++
				from[in.Dst] = in.Args[0]
				vars = true
			}
		}
	}
	if !vars {
		return
	}
	// The rules say that a variable is assigned before it is used, so a single assignment is before all uses; but its
	// value must not be a variable, which may change in between, nor a value of an earlier round of a loop: those that are
	// assigned once are new in each round, as the assignment is.
	repl := make(substitution, len(f.values))
	for v, n := range sets {
		if n == 1 && !f.values[from[v]] {
			repl[v] = from[v]
		}
	}
	here := make(substitution, len(f.values)) // in this block
	var set []Value
	for _, b := range f.Blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			repl.apply(in)
			here.apply(in)
			if in.Op != OpSet {
				continue
			}
			if repl[in.Dst] != 0 {
				drop(in)
				continue
			}
			here[in.Dst] = 0
			if v := in.Args[0]; v == in.Dst {
				drop(in)
			} else if !f.values[v] {
				here[in.Dst] = v
				set = append(set, in.Dst)
			}
		}
		for _, v := range set {
			here[v] = 0
		}
		set = set[:0]
	}
	sweep(f)
}
