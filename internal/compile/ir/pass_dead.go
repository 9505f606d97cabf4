package ir

// removeDead removes instructions whose result nobody uses and that do nothing else.
func removeDead(f *Func) {
	used := make([]bool, len(f.values))
	// By variable: its OpSets, linked. They count only if the variable is used.
	defs := definitions(f)
	sets := make([][]*Instr, len(f.values))
	var work []Value
	use := func(in *Instr) {
		for _, a := range in.Args {
			if !used[a] {
				used[a] = true
				work = append(work, a)
			}
		}
	}
	for _, b := range f.Blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			if in.Op == OpSet {
				sets[in.Dst] = append(sets[in.Dst], in)
			} else if needed(in) {
				use(in)
			}
		}
	}
	for len(work) > 0 {
		v := work[len(work)-1]
		work = work[:len(work)-1]
		if in := defs[v]; in != nil {
			use(in)
		}
		for _, in := range sets[v] {
			use(in)
		}
	}
	for _, b := range f.Blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			switch {
			case in.Dst == 0 && in.HasEffect() || in.Dst != 0 && used[in.Dst]:
			case in.Op == OpSet || !needed(in):
				drop(in)
			case in.Op == OpFetchAdd:
				in.Op, in.Dst = OpAtomicAdd, 0
			default:
				in.Dst = 0
			}
		}
	}
	sweep(f)
}

const helperLookup = 1 // bpf_map_lookup_elem

// needed says whether in stays when its result is not used. A look-up goes: it finds without changing.
func needed(in *Instr) bool {
	return in.HasEffect() && (in.Op != OpCall || in.Imm != helperLookup)
}
