package ir

import (
	"fmt"
	"strconv"
	"strings"
)

// Parse reads the text form of a program: tests write programs in it.
func Parse(text string) (p *Program, err error) {
	r := &parser{}
	defer func() {
		if e := recover(); e != nil {
			bad, ok := e.(parseError)
			if !ok {
				panic(e)
			}
			p, err = nil, fmt.Errorf("line %d: %s", r.line, string(bad))
		}
	}()
	p = &Program{}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "func "); ok {
			end := i + 1
			for end < len(lines) && !strings.HasPrefix(lines[end], "func ") {
				end++
			}
			r.line = i + 1
			p.Funcs = append(p.Funcs, r.function(rest, lines[i+1:end]))
		} else if len(p.Funcs) == 0 && strings.TrimSpace(line) != "" {
			r.line = i + 1
			r.fail("no function yet")
		}
	}
	if len(p.Funcs) == 0 {
		r.fail("no function")
	}
	p.Name = p.Funcs[0].Name
	return p, nil
}

type parseError string

// parser reads one function after the other; within a line it takes words off the front.
type parser struct {
	line   int
	f      *Func
	blocks map[int]*Block
	words  []string
}

func (r *parser) fail(format string, args ...any) { panic(parseError(fmt.Sprintf(format, args...))) }

// split cuts a line into words; brackets, parentheses, commas and signs in addresses stand alone.
func split(line string) []string {
	line, _, _ = strings.Cut(line, ";")
	var words []string
	for i := 0; i < len(line); {
		switch c := line[i]; c {
		case ' ', '\t', ',':
			i++
		case '[', ']', '(', ')', '=', ':':
			words = append(words, line[i:i+1])
			i++
		default:
			j := i + 1
			for j < len(line) && !strings.ContainsRune(" \t,[]()=:", rune(line[j])) && (c != 'v' || line[j] != '+' && line[j] != '-') {
				j++
			}
			words = append(words, line[i:j])
			i = j
		}
	}
	return words
}

func (r *parser) peek() string {
	if len(r.words) == 0 {
		return ""
	}
	return r.words[0]
}

func (r *parser) word() string {
	if len(r.words) == 0 {
		r.fail("the line ends too early")
	}
	w := r.words[0]
	r.words = r.words[1:]
	return w
}

func (r *parser) expect(w string) {
	if got := r.word(); got != w {
		r.fail("%q where %q should be", got, w)
	}
}

func (r *parser) number() int64 {
	w := r.word()
	n, err := strconv.ParseInt(w, 0, 64)
	if err != nil {
		u, uerr := strconv.ParseUint(w, 0, 64)
		if uerr != nil {
			r.fail("%q is no number", w)
		}
		n = int64(u)
	}
	return n
}

func (r *parser) value() Value {
	w := r.word()
	n, err := strconv.Atoi(strings.TrimPrefix(w, "v"))
	if !strings.HasPrefix(w, "v") || err != nil || n <= 0 || n > 1<<20 {
		r.fail("%q is no value", w)
	}
	for len(r.f.values) <= n {
		r.f.values = append(r.f.values, false)
	}
	return Value(n)
}

func (r *parser) block(w string) *Block {
	n, err := strconv.Atoi(strings.TrimPrefix(w, "b"))
	if !strings.HasPrefix(w, "b") || err != nil || n < 0 {
		r.fail("%q is no block", w)
	}
	b := r.blocks[n]
	if b == nil {
		b = &Block{ID: n}
		r.blocks[n] = b
	}
	return b
}

func (r *parser) function(head string, lines []string) *Func {
	r.f = &Func{values: []bool{false}}
	r.blocks = map[int]*Block{}
	r.words = split(head)
	r.f.Name = r.word()
	r.expect("(")
	for r.peek() != ")" {
		r.f.Params = append(r.f.Params, r.value())
	}
	var b *Block
	for _, line := range lines {
		r.line++
		_, note, _ := strings.Cut(line, "; ")
		r.words = split(line)
		if len(r.words) == 0 {
			continue
		}
		switch {
		case r.words[len(r.words)-1] == ":":
			b = r.block(r.word())
			if r.peek() != ":" {
				b.Name = r.word()
			}
			r.f.Blocks = append(r.f.Blocks, b)
		case r.words[0] == "frame":
			r.frame()
		case r.words[0] == "var":
			r.word()
			for len(r.words) > 0 {
				r.f.values[r.value()] = true
			}
		case b == nil:
			r.fail("an instruction outside of a block")
		default:
			in := r.instr()
			in.Note, in.Pos = note, -1
			b.Instrs = append(b.Instrs, in)
		}
		if len(r.words) > 0 && r.words[0] != ":" {
			r.fail("%q is too much", r.words[0])
		}
	}
	if len(r.f.Blocks) != len(r.blocks) || len(r.blocks) == 0 {
		r.fail("a block of %s is missing", r.f.Name)
	}
	return r.f
}

func (r *parser) frame() {
	r.expect("frame")
	if w := r.word(); w != fmt.Sprintf("s%d", len(r.f.Slots)) {
		r.fail("%q is not the next slot", w)
	}
	s := SlotInfo{Size: int(r.number())}
	r.expect("align")
	s.Align = int(r.number())
	if len(r.words) > 0 {
		s.Name = r.word()
	}
	r.f.Slots = append(r.f.Slots, s)
}

func (r *parser) memory() (Value, int32) {
	r.expect("[")
	v, off := r.value(), int32(0)
	if r.peek() != "]" {
		off = int32(r.number())
	}
	r.expect("]")
	return v, off
}

// operand adds a value to in's arguments, or sets Imm.
func (r *parser) operand(in *Instr) {
	if strings.HasPrefix(r.peek(), "v") {
		in.Args = append(in.Args, r.value())
	} else {
		in.Imm = r.number()
	}
}

func (r *parser) instr() Instr {
	var in Instr
	if len(r.words) > 1 && r.words[1] == "=" {
		in.Dst = r.value()
		r.expect("=")
	}
	parts := strings.Split(r.word(), ".")
	in.Op = lookUp[Op](r, opNames[:], parts[0])
	for _, s := range parts[1:] {
		switch {
		case s == "pure":
			in.Pure = true
		case s == "signed":
			in.Signed = true
		case in.Op == OpCmp || in.Op == OpBranch:
			in.Cond = lookUp[Cond](r, condNames[:], s)
		default:
			n, err := strconv.ParseUint(s, 10, 8)
			if err != nil {
				r.fail("%q is no width", s)
			}
			in.Width = uint8(n)
		}
	}
	r.operands(&in)
	for r.peek() == "clamp" {
		r.word()
		c := Clamp{Arg: int(r.number())}
		low, high, _ := strings.Cut(r.word(), "..")
		var err1, err2 error
		c.Min, err1 = strconv.ParseInt(low, 10, 64)
		c.Max, err2 = strconv.ParseInt(high, 10, 64)
		if err1 != nil || err2 != nil {
			r.fail("a clamp has the form ARG MIN..MAX")
		}
		in.Clamp = append(in.Clamp, c)
	}
	return in
}

func lookUp[T ~uint8](r *parser, names []string, name string) T {
	for i, n := range names {
		if n == name && n != "" {
			return T(i)
		}
	}
	r.fail("%q is not known", name)
	return 0
}

func (r *parser) operands(in *Instr) {
	switch in.Op {
	case OpConst:
		in.Imm = r.number()
	case OpSet, OpNeg, OpNot, OpSext, OpZext, OpSwap:
		in.Args = []Value{r.value()}
	case OpAdd, OpSub, OpMul, OpDiv, OpMod, OpAnd, OpOr, OpXor, OpShl, OpShr, OpSar, OpCmp, OpMin:
		in.Args = []Value{r.value()}
		r.operand(in)
	case OpPtrAdd:
		in.Args = []Value{r.value(), r.value()}
		in.Imm = r.number()
	case OpLoad, OpZero, OpStore, OpAtomicAdd, OpXchg, OpFetchAdd:
		v, off := r.memory()
		in.Args, in.Off = []Value{v}, off
		if in.Op != OpLoad {
			r.operand(in)
		}
	case OpCopy:
		v, off := r.memory()
		u, off2 := r.memory()
		in.Args, in.Off, in.Off2 = []Value{v, u}, off, off2
		in.Imm = r.number()
	case OpSlot:
		w := r.word()
		n, err := strconv.Atoi(strings.TrimPrefix(w, "s"))
		if err != nil || n < 0 || n >= len(r.f.Slots) {
			r.fail("%q is no slot", w)
		}
		in.Slot, in.Off = Slot(n), r.offset()
	case OpMapPtr, OpFuncPtr:
		in.Sym = r.word()
	case OpMapValue:
		in.Sym, in.Off = r.word(), r.offset()
	case OpCall:
		in.Imm = r.number()
		r.arguments(in)
	case OpKfunc:
		in.Sym, in.Imm = r.word(), r.number()
		r.arguments(in)
	case OpCallFunc:
		in.Sym = r.word()
		r.arguments(in)
	case OpJump:
		in.Then = r.block(r.word())
	case OpBranch:
		in.Args = []Value{r.value()}
		r.operand(in)
		in.Then, in.Else = r.block(r.word()), r.block(r.word())
	case OpMayGoto:
		in.Then, in.Else = r.block(r.word()), r.block(r.word())
	case OpRet:
		r.operand(in)
	}
}

func (r *parser) offset() int32 {
	if p := r.peek(); strings.HasPrefix(p, "+") || strings.HasPrefix(p, "-") {
		return int32(r.number())
	}
	return 0
}

func (r *parser) arguments(in *Instr) {
	r.expect("(")
	for r.peek() != ")" {
		in.Args = append(in.Args, r.value())
	}
	r.expect(")")
}
