package codegen

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"sonde/internal/compile/ir"
)

func generate(p *ir.Program, f fault) (*Code, error) {
	c := &Code{}
	frames := make(map[string]int32, len(p.Funcs))
	callbacks := hasCallbacks(p)
	for i, fn := range p.Funcs {
		g, err := layOut(fn)
		if err != nil {
			return nil, err
		}
		m := selectInsts(fn, g)
		a := m.allocate(f)
		fr, err := m.layOutFrame(a)
		if err != nil {
			return nil, err
		}
		frames[fn.Name] = fr.size
		e := &emitter{m: m, a: a, frame: fr, fault: f, out: c.Instructions, positions: c.Positions}
		start := rawLength(c)
		e.raw = start
		first := len(e.out)
		if err := e.function(); err != nil {
			return nil, fmt.Errorf("%s: %w", fn.Name, err)
		}
		c.Instructions, c.Positions = e.out, e.positions
		if len(p.Funcs) > 1 {
			c.Instructions[first] = c.Instructions[first].WithSymbol(fn.Name)
		}
		if callbacks {
			c.Instructions[first] = btf.WithFuncMetadata(c.Instructions[first], describe(fn, i == 0))
		}
		raw := int32(start)
		for k := first; k < len(c.Instructions); k++ {
			c.raws = append(c.raws, raw)
			raw += int32(c.Instructions[k].Width())
		}
	}
	if err := checkDepth(p, frames); err != nil {
		return nil, err
	}
	return c, nil
}

func hasCallbacks(p *ir.Program) bool {
	for _, fn := range p.Funcs {
		for _, b := range fn.Blocks {
			for i := range b.Instrs {
				if b.Instrs[i].Op == ir.OpFuncPtr {
					return true
				}
			}
		}
	}
	return false
}

// describe is the type information that the kernel wants of programs with callbacks: that a function is one, and static.
func describe(fn *ir.Func, program bool) *btf.Func {
	long := &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}
	proto := &btf.FuncProto{Return: long}
	for i := range fn.Params {
		proto.Params = append(proto.Params, btf.FuncParam{Name: fmt.Sprintf("a%d", i), Type: long})
	}
	linkage := btf.StaticFunc
	if program {
		linkage = btf.GlobalFunc
	}
	return &btf.Func{Name: fn.Name, Type: proto, Linkage: linkage}
}

// checkDepth adds up the stack of functions that call each other, as the kernel does.
func checkDepth(p *ir.Program, frames map[string]int32) error {
	if len(p.Funcs) == 1 {
		return nil
	}
	calls := map[string][]string{}
	for _, fn := range p.Funcs {
		for _, b := range fn.Blocks {
			for i := range b.Instrs {
				if in := &b.Instrs[i]; in.Op == ir.OpCallFunc || in.Op == ir.OpFuncPtr {
					calls[fn.Name] = append(calls[fn.Name], in.Sym)
				}
			}
		}
	}
	done, active := map[string]int32{}, map[string]bool{}
	var deepest func(name string) (int32, error)
	deepest = func(name string) (int32, error) {
		if n, ok := done[name]; ok {
			return n, nil
		}
		size, ok := frames[name]
		if !ok {
			return 0, fmt.Errorf("bug: no function %s", name)
		}
		if active[name] {
			return 0, fmt.Errorf("function %s calls itself: the kernel has no recursion", name)
		}
		active[name] = true
		below := int32(0)
		for _, callee := range calls[name] {
			n, err := deepest(callee)
			if err != nil {
				return 0, err
			}
			below = max(below, n)
		}
		done[name] = (max(size, 1)+31)&^31 + below
		return done[name], nil
	}
	n, err := deepest(p.Funcs[0].Name)
	if err != nil {
		return err
	}
	if n > frameBytes {
		return &StackError{Func: p.Funcs[0].Name, Size: int(n), detail: ", counting the functions it calls"}
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
