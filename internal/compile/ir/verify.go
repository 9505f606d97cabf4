package ir

import (
	"errors"
	"fmt"
)

// Verify checks that p keeps the rules of this package. An error is a bug of whoever made p.
func Verify(p *Program) error {
	if len(p.Funcs) == 0 {
		return errors.New("ir: a program without functions")
	}
	funcs := map[string]*Func{}
	for _, f := range p.Funcs {
		if funcs[f.Name] != nil {
			return fmt.Errorf("ir: two functions %s", f.Name)
		}
		funcs[f.Name] = f
	}
	for _, f := range p.Funcs {
		v := &verifier{f: f, funcs: funcs, defined: make([]bool, len(f.values)), slotOf: make([]*Instr, len(f.values))}
		if err := v.function(); err != nil {
			return fmt.Errorf("ir: %s: %w", f.Name, err)
		}
	}
	return nil
}

type verifier struct {
	f       *Func
	funcs   map[string]*Func
	blocks  []*Block // by ID
	defined []bool   // single assignments seen
	slotOf  []*Instr // by value: the OpSlot that makes it
}

func (v *verifier) function() error {
	f := v.f
	if len(f.Params) > 5 {
		return errors.New("more than 5 parameters")
	}
	for _, s := range f.Slots {
		if s.Size <= 0 || s.Align <= 0 || s.Align > 8 || s.Align&(s.Align-1) != 0 {
			return fmt.Errorf("slot %s has size %d, alignment %d", s.Name, s.Size, s.Align)
		}
	}
	v.blocks = make([]*Block, maxID(f)+1)
	for _, b := range f.Blocks {
		if b.ID < 0 || v.blocks[b.ID] != nil {
			return fmt.Errorf("two blocks b%d", b.ID)
		}
		v.blocks[b.ID] = b
	}
	for _, p := range f.Params {
		v.defined[p] = true
	}
	for _, b := range f.Blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			if err := v.instr(b, in); err != nil {
				return fmt.Errorf("b%d: %s: %w", b.ID, safeString(in), err)
			}
			if in.Op.IsTerminator() != (i == len(b.Instrs)-1) {
				return fmt.Errorf("b%d: %s: a block has one terminator, at its end", b.ID, in)
			}
		}
	}
	for _, b := range f.Blocks {
		for i := range b.Instrs {
			if err := v.bounds(&b.Instrs[i]); err != nil {
				return fmt.Errorf("b%d: %s: %w", b.ID, &b.Instrs[i], err)
			}
		}
	}
	return v.flow()
}

func safeString(in *Instr) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("%s %v", in.Op, in.Args)
		}
	}()
	return in.String()
}

// shape says what an operation has.
type shape struct {
	least, most int  // arguments
	dst         byte // 'y'es, 'n'o, 'm'aybe
	width       bool
}

var shapes = func() (s [OpRet + 1]shape) {
	s[OpConst] = shape{0, 0, 'y', false}
	s[OpSet] = shape{1, 1, 'y', false}
	for op := OpAdd; op <= OpSar; op++ {
		s[op] = shape{1, 2, 'y', false}
	}
	s[OpNeg] = shape{1, 1, 'y', false}
	s[OpNot] = shape{1, 1, 'y', false}
	s[OpSext] = shape{1, 1, 'y', true}
	s[OpZext] = shape{1, 1, 'y', true}
	s[OpSwap] = shape{1, 1, 'y', true}
	s[OpCmp] = shape{1, 2, 'y', false}
	s[OpMin] = shape{1, 1, 'y', false}
	s[OpLoad] = shape{1, 1, 'y', true}
	s[OpStore] = shape{1, 2, 'n', true}
	s[OpAtomicAdd] = shape{1, 2, 'n', true}
	s[OpXchg] = shape{1, 2, 'm', true}
	s[OpFetchAdd] = shape{1, 2, 'm', true}
	s[OpZero] = shape{1, 1, 'n', true}
	s[OpCopy] = shape{2, 2, 'n', true}
	s[OpSlot] = shape{0, 0, 'y', false}
	s[OpMapPtr] = shape{0, 0, 'y', false}
	s[OpMapValue] = shape{0, 0, 'y', false}
	s[OpFuncPtr] = shape{0, 0, 'y', false}
	s[OpPtrAdd] = shape{2, 2, 'y', false}
	s[OpCall] = shape{0, 5, 'm', false}
	s[OpKfunc] = shape{0, 5, 'm', false}
	s[OpCallFunc] = shape{0, 5, 'm', false}
	s[OpJump] = shape{0, 0, 'n', false}
	s[OpBranch] = shape{1, 2, 'n', false}
	s[OpMayGoto] = shape{0, 0, 'n', false}
	s[OpRet] = shape{0, 1, 'n', false}
	return s
}()

func (v *verifier) instr(b *Block, in *Instr) error {
	if in.Op == OpInvalid || int(in.Op) >= len(shapes) {
		return errors.New("no such operation")
	}
	s := shapes[in.Op]
	switch {
	case len(in.Args) < s.least || len(in.Args) > s.most:
		return fmt.Errorf("%d operands", len(in.Args))
	case s.dst == 'y' && in.Dst == 0:
		return errors.New("gives its result to no value")
	case s.dst == 'n' && in.Dst != 0:
		return errors.New("has no result")
	case s.width && in.Width != 1 && in.Width != 2 && in.Width != 4 && in.Width != 8:
		return fmt.Errorf("a width of %d", in.Width)
	case in.Dst < 0 || int(in.Dst) >= len(v.f.values):
		return errors.New("assigns a value that was not made")
	}
	for _, a := range in.Args {
		if a <= 0 || int(a) >= len(v.f.values) {
			return errors.New("uses a value that was not made")
		}
	}
	if in.Dst != 0 {
		isVar := v.f.values[in.Dst]
		switch {
		case in.Op == OpSet && !isVar:
			return errors.New("sets what is no variable")
		case in.Op != OpSet && isVar:
			return errors.New("only set assigns a variable")
		case !isVar && v.defined[in.Dst]:
			return errors.New("assigns the value a second time")
		}
		v.defined[in.Dst] = true
	}
	return v.special(b, in)
}

func (v *verifier) special(_ *Block, in *Instr) error {
	switch in.Op {
	case OpAtomicAdd, OpXchg, OpFetchAdd:
		if in.Width < 4 {
			return errors.New("atomics are of 4 or 8 bytes")
		}
	case OpSwap:
		if in.Width == 1 {
			return errors.New("one byte has no order")
		}
	case OpMin, OpPtrAdd:
		if in.Imm < 0 {
			return errors.New("a negative bound")
		}
		if in.Op == OpPtrAdd && in.Imm > 1<<29 {
			return errors.New("a bound beyond what the kernel takes")
		}
	case OpZero, OpCopy:
		if in.Imm <= 0 || in.Off%int32(in.Width) != 0 || in.Off2%int32(in.Width) != 0 {
			return errors.New("size or alignment")
		}
	case OpSlot:
		if in.Slot < 0 || int(in.Slot) >= len(v.f.Slots) || in.Off < 0 || int(in.Off) > v.f.Slots[in.Slot].Size {
			return errors.New("outside of the slot")
		}
		v.slotOf[in.Dst] = in
	case OpCmp:
		if in.Cond == Test {
			return errors.New("test is for branches")
		}
	case OpMapPtr, OpMapValue:
		if in.Sym == "" {
			return errors.New("no map")
		}
	case OpFuncPtr, OpCallFunc:
		f := v.funcs[in.Sym]
		if f == nil {
			return errors.New("no such function")
		}
		if in.Op == OpCallFunc && len(f.Params) != len(in.Args) {
			return fmt.Errorf("the function has %d parameters", len(f.Params))
		}
	case OpJump, OpBranch, OpMayGoto:
		if !v.known(in.Then) || in.Op != OpJump && !v.known(in.Else) {
			return errors.New("jumps to a block of another function")
		}
		if in.Then == v.f.Blocks[0] || in.Else == v.f.Blocks[0] {
			return errors.New("jumps to the entry")
		}
	}
	for _, c := range in.Clamp {
		if !in.Op.IsCall() || c.Arg < 0 || c.Arg >= len(in.Args) || c.Min < 0 || c.Max < c.Min || c.Max > 1<<31-1 {
			return errors.New("a clamp of no argument, or without room")
		}
	}
	return nil
}

// known says whether b is a block of the function.
func (v *verifier) known(b *Block) bool {
	return b != nil && b.ID >= 0 && b.ID < len(v.blocks) && v.blocks[b.ID] == b
}

// bounds checks accesses to slots that are made with their own address.
func (v *verifier) bounds(in *Instr) error {
	check := func(addr Value, off int32, size int64) error {
		s := v.slotOf[addr]
		if s == nil {
			return nil
		}
		at := int64(s.Off) + int64(off)
		if info := v.f.Slots[s.Slot]; at < 0 || at+size > int64(info.Size) {
			return fmt.Errorf("bytes %d to %d of slot %s, which has %d", at, at+size, info.Name, info.Size)
		}
		return nil
	}
	switch in.Op {
	case OpLoad, OpStore, OpAtomicAdd, OpXchg, OpFetchAdd:
		return check(in.Args[0], in.Off, int64(in.Width))
	case OpZero:
		return check(in.Args[0], in.Off, in.Imm)
	case OpCopy:
		if err := check(in.Args[0], in.Off, in.Imm); err != nil {
			return err
		}
		return check(in.Args[1], in.Off2, in.Imm)
	}
	return nil
}

// flow checks that values are assigned before they are used, whatever way is taken: that none is wanted at the entry.
func (v *verifier) flow() error {
	f := v.f
	for _, b := range f.Blocks {
		if b.Last() == nil && (b == f.Blocks[0] || len(b.Instrs) > 0) {
			return fmt.Errorf("b%d has no end", b.ID)
		}
	}
	g := newCFG(f)
	for _, b := range g.blocks {
		if b.Last() == nil {
			return fmt.Errorf("b%d has no end", b.ID)
		}
	}
	// By value: the blocks that assign it, and those that use it before they do.
	defs, wants := newLists(len(f.values)), newLists(len(f.values))
	seen := make([]int32, len(f.values)) // the block, plus 1, that mentioned the value last
	for n, b := range g.blocks {
		here := int32(n + 1)
		for i := range b.Instrs {
			in := &b.Instrs[i]
			for _, a := range in.Args {
				if seen[a] != here {
					seen[a] = here
					wants.add(a, int32(n))
				}
			}
			if in.Dst != 0 {
				defs.add(in.Dst, int32(n))
				seen[in.Dst] = here
			}
		}
	}
	for _, p := range f.Params {
		wants.first[p] = 0
	}
	defined, wanted := make([]Value, len(g.blocks)), make([]Value, len(g.blocks))
	var work []int32
	for i := range f.values {
		val := Value(i)
		if wants.first[val] == 0 {
			continue
		}
		defs.each(val, func(b int32) { defined[b] = val })
		wants.each(val, func(b int32) {
			wanted[b] = val
			work = append(work, b)
		})
		for len(work) > 0 {
			b := work[len(work)-1]
			work = work[:len(work)-1]
			if b == 0 {
				return fmt.Errorf("v%d is used where it may not have been assigned", val)
			}
			for _, p := range g.preds[b] {
				if wanted[p] != val && defined[p] != val {
					wanted[p] = val
					work = append(work, p)
				}
			}
		}
	}
	return nil
}

// lists are a list of blocks for each value.
type lists struct {
	first []int32 // by value: into links, plus 1
	links []link
}

type link struct{ block, next int32 }

func newLists(values int) *lists { return &lists{first: make([]int32, values)} }

func (l *lists) add(v Value, block int32) {
	l.links = append(l.links, link{block, l.first[v]})
	l.first[v] = int32(len(l.links))
}

func (l *lists) each(v Value, do func(block int32)) {
	for i := l.first[v]; i != 0; i = l.links[i-1].next {
		do(l.links[i-1].block)
	}
}
