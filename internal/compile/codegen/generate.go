package codegen

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/btf"

	"sonde/internal/compile/ir"
)

func generate(p *ir.Program, f fault) (*Code, error) {
	if len(p.Funcs) == 0 {
		return nil, errors.New("bug: a program without a function")
	}
	byName := make(map[string]*ir.Func, len(p.Funcs))
	for _, fn := range p.Funcs {
		byName[fn.Name] = fn
	}
	c := &Code{}
	// The kernel refuses functions that nothing refers to, so what is left out of one decides on the others.
	stacks := []stack{{fn: p.Funcs[0]}}
	number := map[string]int{p.Funcs[0].Name: 0}
	callbacks := false
	var starts []int
	for i := 0; i < len(stacks); i++ {
		st := &stacks[i]
		starts = append(starts, len(c.Instructions))
		m, err := function(c, st, f)
		if err != nil {
			return nil, err
		}
		for _, ref := range m.references() {
			callbacks = callbacks || ref.Op == ir.OpFuncPtr || byName[ref.Sym] != nil && byName[ref.Sym].Global
			n, ok := number[ref.Sym]
			if !ok {
				if byName[ref.Sym] == nil {
					return nil, fmt.Errorf("bug: no function %s", ref.Sym)
				}
				n = len(stacks)
				number[ref.Sym] = n
				stacks = append(stacks, stack{fn: byName[ref.Sym]})
			}
			stacks[i].calls = append(stacks[i].calls, n)
		}
	}
	for i, at := range starts {
		if len(stacks) > 1 {
			c.Instructions[at] = c.Instructions[at].WithSymbol(stacks[i].fn.Name)
		}
		if callbacks {
			c.Instructions[at] = btf.WithFuncMetadata(c.Instructions[at], describe(stacks[i].fn, i == 0))
		}
	}
	if err := checkDepth(stacks); err != nil {
		return nil, err
	}
	return c, nil
}

// stack is what a function needs of it, and which functions go on top.
type stack struct {
	fn    *ir.Func
	size  int32
	calls []int
	// below is what it needs with the functions it calls; 0 is not known yet, -1 being computed.
	below int32
}

// function appends the code of one function.
func function(c *Code, st *stack, f fault) (*machine, error) {
	g, err := layOut(st.fn)
	if err != nil {
		return nil, err
	}
	m := selectInsts(st.fn, g)
	a := m.allocate(f)
	fr, err := m.layOutFrame(a, f)
	if err != nil {
		return nil, err
	}
	st.size = fr.size
	start := rawLength(c)
	first := len(c.Instructions)
	e := &emitter{m: m, a: a, frame: fr, fault: f, out: c.Instructions, positions: c.Positions, raw: start}
	if err := e.function(); err != nil {
		return nil, fmt.Errorf("%s: %w", st.fn.Name, err)
	}
	c.Instructions, c.Positions = e.out, e.positions
	raw := int32(start)
	for i := first; i < len(c.Instructions); i++ {
		c.raws = append(c.raws, raw)
		raw += int32(c.Instructions[i].Width())
	}
	return m, nil
}

// references are the mentions of other functions in the code of m.
func (m *machine) references() (refs []*ir.Instr) {
	for i := range m.insts {
		in := &m.insts[i]
		if in.op == ir.OpCallFunc || in.op == ir.OpFuncPtr {
			refs = append(refs, in.src)
		}
		for _, v := range in.args {
			if info := &m.vregs[v]; info.home == homeCheap && info.def.Op == ir.OpFuncPtr {
				refs = append(refs, info.def)
			}
		}
	}
	return refs
}

// describe is the type information that the kernel wants of programs with callbacks, which are static functions, and with
// global ones.
func describe(fn *ir.Func, program bool) *btf.Func {
	long := &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}
	proto := &btf.FuncProto{Return: long}
	for i := range fn.Params {
		proto.Params = append(proto.Params, btf.FuncParam{Name: fmt.Sprintf("a%d", i), Type: long})
	}
	linkage := btf.StaticFunc
	if program || fn.Global {
		linkage = btf.GlobalFunc
	}
	return &btf.Func{Name: fn.Name, Type: proto, Linkage: linkage}
}

// checkDepth adds up the stack of functions that call each other, as the kernel does.
func checkDepth(stacks []stack) error {
	if len(stacks[0].calls) == 0 {
		return nil
	}
	var deepest func(st *stack) error
	deepest = func(st *stack) error {
		if st.below > 0 {
			return nil
		}
		if st.below < 0 {
			return fmt.Errorf("function %s calls itself: the kernel has no recursion", st.fn.Name)
		}
		st.below = -1
		most := int32(0)
		for _, n := range st.calls {
			if err := deepest(&stacks[n]); err != nil {
				return err
			}
			most = max(most, stacks[n].below)
		}
		st.below = (max(st.size, 1)+31)&^31 + most
		return nil
	}
	if err := deepest(&stacks[0]); err != nil {
		return err
	}
	if n := stacks[0].below; n > frameBytes {
		return &StackError{Func: stacks[0].fn.Name, Size: int(n), detail: ", counting the functions it calls"}
	}
	return nil
}

// rawLength is the length of c as the kernel counts.
func rawLength(c *Code) int {
	n := len(c.raws)
	if n == 0 {
		return 0
	}
	return int(c.raws[n-1]) + int(c.Instructions[n-1].Width())
}
