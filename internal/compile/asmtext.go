package compile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/syntax"
)

// Widths of a line of the asm stage: the instruction, then what of the source it comes from.
const (
	asmColumn  = 44
	asmExcerpt = 48
)

// asmText is a program's code in the notation and with the numbers of the kernel's verifier, and beside it the place in
// the source that it comes from, where that changes.
func asmText(src *syntax.Source, lw *lowered) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", lw.name)
	raw, last := 0, syntax.NoPos
	for i, ins := range lw.code.Instructions {
		if sym := ins.Symbol(); sym != "" && i > 0 {
			fmt.Fprintf(&b, "%s:\n", sym)
		}
		line := fmt.Sprintf("%5d: %s", raw, insText(ins, raw))
		if i < len(lw.code.Positions) {
			if at := syntax.Pos(lw.code.Positions[i]); at >= 0 && at != last {
				last = at
				number, col := src.Position(at)
				line = fmt.Sprintf("%-*s ; %d:%d  %s", asmColumn, line, number, col, excerptFrom(src, at))
			}
		}
		b.WriteString(line + "\n")
		raw += int(ins.Width())
	}
	return b.String()
}

// excerptFrom is the source from a place to the end of the line, shortened.
func excerptFrom(src *syntax.Source, at syntax.Pos) string {
	number, col := src.Position(at)
	line := []rune(strings.TrimSpace(src.Line(number)[min(col-1, len(src.Line(number))):]))
	cut := len(line) > asmExcerpt
	if cut {
		line = line[:asmExcerpt]
	}
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, string(line))
	if cut {
		text += "..."
	}
	return text
}

// Operators of the verifier's notation.
var (
	aluSigns = map[asm.ALUOp]string{
		asm.Add: "+=", asm.Sub: "-=", asm.Mul: "*=", asm.Div: "/=", asm.SDiv: "s/=", asm.Or: "|=", asm.And: "&=", asm.LSh: "<<=",
		asm.RSh: ">>=", asm.Mod: "%=", asm.SMod: "s%=", asm.Xor: "^=", asm.Mov: "=", asm.ArSh: "s>>=",
	}
	jumpSigns = map[asm.JumpOp]string{
		asm.JEq: "==", asm.JGT: ">", asm.JGE: ">=", asm.JSet: "&", asm.JNE: "!=", asm.JSGT: "s>", asm.JSGE: "s>=",
		asm.JLT: "<", asm.JLE: "<=", asm.JSLT: "s<", asm.JSLE: "s<=",
	}
	wideTypes   = map[asm.Size]string{asm.Byte: "u8", asm.Half: "u16", asm.Word: "u32", asm.DWord: "u64"}
	signedTypes = map[asm.Size]string{asm.Byte: "s8", asm.Half: "s16", asm.Word: "s32"}
	extensions  = map[asm.ALUOp]string{asm.MovSX8: "(s8)", asm.MovSX16: "(s16)", asm.MovSX32: "(s32)"}
)

// insText is one instruction as the verifier writes it; at is its number there. What it does not know it leaves to the
// library.
func insText(ins asm.Instruction, at int) string {
	text := ""
	switch op := ins.OpCode; {
	case ins.IsLoadFromMap():
		text = fmt.Sprintf("r%d = map[%s]", ins.Dst, ins.Reference())
		if ins.Src == asm.PseudoMapValue {
			text = fmt.Sprintf("r%d = value[%s]+%d", ins.Dst, ins.Reference(), uint64(ins.Constant)>>32)
		}
	case ins.IsLoadOfFunctionPointer():
		text = fmt.Sprintf("r%d = func[%s]", ins.Dst, ins.Reference())
	case op.IsDWordLoad():
		text = fmt.Sprintf("r%d = %s ll", ins.Dst, number(ins.Constant))
	case op.Class().IsLoad(), op.Class().IsStore():
		text = memoryText(ins)
	case op.Class().IsALU():
		text = aluText(ins)
	case op.Class().IsJump():
		text = jumpText(ins, at)
	}
	if text == "" {
		return fmt.Sprint(ins)
	}
	return text
}

func memoryText(ins asm.Instruction) string {
	op := ins.OpCode
	address := func(r asm.Register) string {
		typ := wideTypes[op.Size()]
		if op.Mode() == asm.MemSXMode {
			typ = signedTypes[op.Size()]
		}
		return fmt.Sprintf("*(%s *)(r%d %+d)", typ, r, ins.Offset)
	}
	switch {
	case op.Mode() == asm.AtomicMode:
		switch op.AtomicOp() {
		case asm.AddAtomic:
			return fmt.Sprintf("lock %s += r%d", address(ins.Dst), ins.Src)
		case asm.FetchAdd:
			return fmt.Sprintf("r%d = fetch_add(%s, r%d)", ins.Src, address(ins.Dst), ins.Src)
		case asm.Xchg:
			return fmt.Sprintf("r%d = xchg(%s, r%d)", ins.Src, address(ins.Dst), ins.Src)
		}
		return ""
	case op.Mode() != asm.MemMode && op.Mode() != asm.MemSXMode:
		return ""
	case op.Class().IsLoad():
		return fmt.Sprintf("r%d = %s", ins.Dst, address(ins.Src))
	case op.Class() == asm.StClass:
		return fmt.Sprintf("%s = %s", address(ins.Dst), number(ins.Constant))
	}
	return fmt.Sprintf("%s = r%d", address(ins.Dst), ins.Src)
}

func aluText(ins asm.Instruction) string {
	op, reg := ins.OpCode, "r"
	if op.Class() == asm.ALUClass {
		reg = "w"
	}
	switch alu := op.ALUOp(); alu {
	case asm.Neg:
		return fmt.Sprintf("%s%d = -%s%d", reg, ins.Dst, reg, ins.Dst)
	case asm.Swap:
		order := "bswap"
		if op.Class() == asm.ALUClass {
			order = "le"
			if op.Endianness() == asm.BE {
				order = "be"
			}
		}
		return fmt.Sprintf("r%d = %s%d r%d", ins.Dst, order, ins.Constant, ins.Dst)
	case asm.MovSX8, asm.MovSX16, asm.MovSX32:
		return fmt.Sprintf("%s%d = %s%s%d", reg, ins.Dst, extensions[alu], reg, ins.Src)
	default:
		sign, ok := aluSigns[alu]
		if !ok {
			return ""
		}
		if op.Source() == asm.RegSource {
			return fmt.Sprintf("%s%d %s %s%d", reg, ins.Dst, sign, reg, ins.Src)
		}
		return fmt.Sprintf("%s%d %s %s", reg, ins.Dst, sign, number(ins.Constant))
	}
}

func jumpText(ins asm.Instruction, at int) string {
	op, reg := ins.OpCode, "r"
	if op.Class() == asm.Jump32Class {
		reg = "w"
	}
	target := at + 1 + int(ins.Offset)
	switch jump := op.JumpOp(); jump {
	case asm.Exit:
		return "exit"
	case asm.Call:
		switch {
		case ins.IsBuiltinCall():
			return "call " + helperName(asm.BuiltinFunc(ins.Constant))
		case ins.IsKfuncCall():
			return fmt.Sprintf("call kfunc[%s]", strings.TrimSpace(ins.Reference()+" "+strconv.FormatInt(ins.Constant, 10)))
		}
		return "call " + ins.Reference()
	case asm.Ja:
		if op.Class() == asm.Jump32Class {
			target = at + 1 + int(int32(ins.Constant))
		}
		return fmt.Sprintf("goto %d", target)
	case asm.JCOND:
		return fmt.Sprintf("may_goto %d", target)
	default:
		sign, ok := jumpSigns[jump]
		if !ok {
			return ""
		}
		if op.Source() == asm.RegSource {
			return fmt.Sprintf("if %s%d %s %s%d goto %d", reg, ins.Dst, sign, reg, ins.Src, target)
		}
		return fmt.Sprintf("if %s%d %s %s goto %d", reg, ins.Dst, sign, number(ins.Constant), target)
	}
}

// number writes small ones in decimal, others as the bits that they are.
func number(n int64) string {
	if n > -4096 && n < 1<<20 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%#x", uint64(n))
}

// helperName is how the kernel calls a helper: the library writes FnMapLookupElem.
func helperName(f asm.BuiltinFunc) string {
	name, ok := strings.CutPrefix(f.String(), "Fn")
	if !ok {
		return f.String()
	}
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
