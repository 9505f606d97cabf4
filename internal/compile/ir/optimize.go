package ir

// A Pass makes a function smaller or faster and keeps what it does.
type Pass struct {
	Name string
	// Why says in a line what it is for.
	Why string
	run func(f *Func)
}

// Passes are run in this order. Those that clean up come again after those that leave something to clean.
var Passes = []Pass{
	{"copies", "variables that are assigned once are the value they were given", propagateCopies},
	{"fold", "what can be computed is computed, the rest simplified", fold},
	{"blocks", "jumps to jumps, branches that are decided, blocks in a row", mergeBlocks},
	{"cse", "what was computed before on every way is not computed again", eliminateCommon},
	{"lookups", "a key that was looked up is not looked up again", mergeLookups},
	{"facts", "what an earlier branch has decided is not asked again", applyFacts},
	{"copies", "", propagateCopies},
	{"fold", "", fold},
	{"blocks", "", mergeBlocks},
	{"sets", "what is assigned and never read is not assigned", removeDeadSets},
	{"slots", "what is written to the stack and never read is not written", removeDeadSlots},
	{"dead", "what nobody uses is not computed", removeDead},
	{"blocks", "", mergeBlocks},
	{"sink", "what is computed early is computed where it is used", sink},
}

// Optimize runs the passes that enable names, all if it is nil. Blocks that cannot be reached are left out in any case.
func Optimize(p *Program, enable func(pass string) bool) {
	for _, f := range p.Funcs {
		removeUnreachable(f)
		for _, pass := range Passes {
			if enable == nil || enable(pass.Name) {
				pass.run(f)
			}
		}
	}
}

// substitution maps values that are given up to those that take their place.
type substitution []Value

func (s substitution) of(v Value) Value {
	for s[v] != 0 {
		v = s[v]
	}
	return v
}

// apply replaces the arguments of in. It never writes to a slice of arguments, which instructions may share.
func (s substitution) apply(in *Instr) bool {
	for i, a := range in.Args {
		if s[a] == 0 {
			continue
		}
		args := make([]Value, len(in.Args))
		copy(args, in.Args[:i])
		for j := i; j < len(args); j++ {
			args[j] = s.of(in.Args[j])
		}
		in.Args = args
		return true
	}
	return false
}

// drop marks in as given up; sweep removes such instructions.
func drop(in *Instr) { *in = Instr{} }

func sweep(f *Func) {
	for _, b := range f.Blocks {
		n := 0
		for n < len(b.Instrs) && b.Instrs[n].Op != OpInvalid {
			n++
		}
		for i := n; i < len(b.Instrs); i++ {
			if b.Instrs[i].Op != OpInvalid {
				b.Instrs[n] = b.Instrs[i]
				n++
			}
		}
		clear(b.Instrs[n:])
		b.Instrs = b.Instrs[:n]
	}
}

// definitions are the instructions that assign the values that are no variables. They hold until instructions move.
func definitions(f *Func) []*Instr {
	defs := make([]*Instr, len(f.values))
	for _, b := range f.Blocks {
		for i := range b.Instrs {
			if d := b.Instrs[i].Dst; d != 0 && !f.values[d] {
				defs[d] = &b.Instrs[i]
			}
		}
	}
	return defs
}

// become turns in into another operation with the same result.
func (in *Instr) become(op Op, imm int64, args ...Value) {
	*in = Instr{Op: op, Dst: in.Dst, Imm: imm, Args: args, Pos: in.Pos, Note: in.Note}
}
