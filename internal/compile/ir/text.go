package ir

import (
	"fmt"
	"strconv"
	"strings"
)

var opNames = [...]string{
	OpConst: "const", OpSet: "set", OpAdd: "add", OpSub: "sub", OpMul: "mul", OpDiv: "div", OpMod: "mod", OpAnd: "and",
	OpOr: "or", OpXor: "xor", OpShl: "shl", OpShr: "shr", OpSar: "sar", OpNeg: "neg", OpNot: "not", OpSext: "sext",
	OpZext: "zext", OpSwap: "swap", OpCmp: "cmp", OpMin: "min", OpLoad: "load", OpStore: "store", OpAtomicAdd: "atomicadd",
	OpXchg: "xchg", OpFetchAdd: "fetchadd", OpZero: "zero", OpCopy: "copy", OpSlot: "slot", OpMapPtr: "mapptr",
	OpMapValue: "mapvalue", OpFuncPtr: "funcptr", OpPtrAdd: "ptradd", OpCall: "call", OpKfunc: "kfunc",
	OpCallFunc: "callfunc", OpJump: "jump", OpBranch: "branch", OpMayGoto: "maygoto", OpRet: "ret",
}

var condNames = [...]string{
	Eq: "eq", Ne: "ne", Lt: "lt", Le: "le", Gt: "gt", Ge: "ge", SLt: "slt", SLe: "sle", SGt: "sgt", SGe: "sge", Test: "test",
}

func (op Op) String() string {
	if int(op) < len(opNames) && opNames[op] != "" {
		return opNames[op]
	}
	return "op" + strconv.Itoa(int(op))
}

func (c Cond) String() string { return condNames[c] }

func (v Value) String() string { return "v" + strconv.Itoa(int(v)) }

// String is the text form of p, which Parse reads.
func (p *Program) String() string {
	var w strings.Builder
	for i, f := range p.Funcs {
		if i > 0 {
			w.WriteByte('\n')
		}
		f.write(&w)
	}
	return w.String()
}

// String is the text form of f.
func (f *Func) String() string {
	var w strings.Builder
	f.write(&w)
	return w.String()
}

func (f *Func) write(w *strings.Builder) {
	fmt.Fprintf(w, "func %s(", f.Name)
	for i, v := range f.Params {
		if i > 0 {
			w.WriteString(", ")
		}
		w.WriteString(v.String())
	}
	w.WriteString(")\n")
	for i, s := range f.Slots {
		fmt.Fprintf(w, "\tframe s%d %d align %d %s\n", i, s.Size, s.Align, s.Name)
	}
	first := true
	for v, is := range f.values {
		if is {
			if first {
				w.WriteString("\tvar")
				first = false
			}
			w.WriteString(" " + Value(v).String())
		}
	}
	if !first {
		w.WriteByte('\n')
	}
	for _, b := range f.Blocks {
		fmt.Fprintf(w, "b%d", b.ID)
		if b.Name != "" {
			w.WriteString(" " + b.Name)
		}
		w.WriteString(":\n")
		for i := range b.Instrs {
			w.WriteByte('\t')
			w.WriteString(b.Instrs[i].String())
			w.WriteByte('\n')
		}
	}
}

// String is in on one line.
func (in *Instr) String() string {
	var w strings.Builder
	if in.Dst != 0 {
		w.WriteString(in.Dst.String() + " = ")
	}
	w.WriteString(in.Op.String())
	in.suffixes(&w)
	in.operands(&w)
	for _, c := range in.Clamp {
		fmt.Fprintf(&w, " clamp %d %d..%d", c.Arg, c.Min, c.Max)
	}
	if in.Note != "" {
		w.WriteString(" ; " + in.Note)
	}
	return w.String()
}

func (in *Instr) suffixes(w *strings.Builder) {
	switch in.Op {
	case OpCmp, OpBranch:
		w.WriteString("." + in.Cond.String())
	case OpSext, OpZext, OpSwap, OpLoad, OpStore, OpAtomicAdd, OpXchg, OpFetchAdd, OpZero, OpCopy:
		w.WriteString("." + strconv.Itoa(int(in.Width)))
	}
	if in.Signed {
		w.WriteString(".signed")
	}
	if in.Pure {
		w.WriteString(".pure")
	}
}

func memory(v Value, off int32) string {
	if off == 0 {
		return "[" + v.String() + "]"
	}
	return fmt.Sprintf("[%s%+d]", v, off)
}

// last is Args[1], or Imm where there is none.
func (in *Instr) last(n int) string {
	if len(in.Args) > n {
		return in.Args[n].String()
	}
	return strconv.FormatInt(in.Imm, 10)
}

func (in *Instr) operands(w *strings.Builder) {
	switch in.Op {
	case OpConst:
		fmt.Fprintf(w, " %d", in.Imm)
	case OpSet, OpNeg, OpNot, OpSext, OpZext, OpSwap:
		fmt.Fprintf(w, " %s", in.Args[0])
	case OpAdd, OpSub, OpMul, OpDiv, OpMod, OpAnd, OpOr, OpXor, OpShl, OpShr, OpSar, OpCmp:
		fmt.Fprintf(w, " %s, %s", in.Args[0], in.last(1))
	case OpMin:
		fmt.Fprintf(w, " %s, %d", in.Args[0], in.Imm)
	case OpPtrAdd:
		fmt.Fprintf(w, " %s, %s, %d", in.Args[0], in.Args[1], in.Imm)
	case OpLoad:
		fmt.Fprintf(w, " %s", memory(in.Args[0], in.Off))
	case OpStore, OpAtomicAdd, OpXchg, OpFetchAdd:
		fmt.Fprintf(w, " %s, %s", memory(in.Args[0], in.Off), in.last(1))
	case OpZero:
		fmt.Fprintf(w, " %s, %d", memory(in.Args[0], in.Off), in.Imm)
	case OpCopy:
		fmt.Fprintf(w, " %s, %s, %d", memory(in.Args[0], in.Off), memory(in.Args[1], in.Off2), in.Imm)
	case OpSlot:
		fmt.Fprintf(w, " s%d%s", in.Slot, offset(in.Off))
	case OpMapPtr, OpFuncPtr:
		fmt.Fprintf(w, " %s", in.Sym)
	case OpMapValue:
		fmt.Fprintf(w, " %s%s", in.Sym, offset(in.Off))
	case OpCall:
		fmt.Fprintf(w, " %d", in.Imm)
		in.arguments(w)
	case OpKfunc:
		fmt.Fprintf(w, " %s %d", in.Sym, in.Imm)
		in.arguments(w)
	case OpCallFunc:
		fmt.Fprintf(w, " %s", in.Sym)
		in.arguments(w)
	case OpJump:
		fmt.Fprintf(w, " b%d", in.Then.ID)
	case OpBranch:
		fmt.Fprintf(w, " %s, %s, b%d, b%d", in.Args[0], in.last(1), in.Then.ID, in.Else.ID)
	case OpMayGoto:
		fmt.Fprintf(w, " b%d, b%d", in.Then.ID, in.Else.ID)
	case OpRet:
		fmt.Fprintf(w, " %s", in.last(0))
	}
}

func offset(n int32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %+d", n)
}

func (in *Instr) arguments(w *strings.Builder) {
	w.WriteByte('(')
	for i, v := range in.Args {
		if i > 0 {
			w.WriteString(", ")
		}
		w.WriteString(v.String())
	}
	w.WriteByte(')')
}
