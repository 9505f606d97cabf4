package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// aggregate is @m[k] = count() and its like: the value of this CPU is changed where it lies.
func (f *fn) aggregate(ref *syntax.MapRef, c *syntax.Call) {
	m := f.maps[ref.Name]
	var arg ir.Value
	if c.Func != "count" && len(c.Args) > 0 {
		arg = f.convert(f.expr(c.Args[0]), types.IntOf(8, f.argSigned(c)))
		if m.Value.Kind == types.Hist || m.Value.Kind == types.LHist {
			arg = f.bucket(m, arg) // once, for the element that is there and for the one that is made
		}
	}
	if m.Storage == StoreCPUCells {
		c := f.cell(m)
		if m.Value.Kind != types.Count { // one that was ever counted is not 0
			f.storeImm(c, 8, 1)
		}
		f.add(m, c.at(setSize), arg)
		return
	}
	el, ok := f.element(ref)
	if !ok {
		return
	}
	if m.BucketKey {
		f.store(el.key.at(m.keySize()-8), 8, arg)
		arg = 0
	}
	p := f.lookup(el)
	found, missing, next := f.Func.NewBlock("found"), f.Func.NewBlock("missing"), f.Func.NewBlock("added")
	f.BranchImm(ir.Ne, p, 0, found, missing)
	f.Goto(found)
	f.add(m, mem{base: p}, arg)
	f.Jump(next)
	f.Goto(missing)
	f.first(el, arg, next)
	f.Jump(next)
	f.Goto(next)
}

func (f *fn) argSigned(c *syntax.Call) bool {
	t := f.typeOf(c.Args[0])
	return t != nil && (t.Signed || t.IsAggregate() && t.Kind != types.Count)
}

// first makes a missing element. An update of a per-CPU map from a program writes the value of this CPU only, so two
// CPUs that make the same element at once do not take each other's.
func (f *fn) first(el element, arg ir.Value, next *ir.Block) {
	m := el.m
	if (m.Value.Kind == types.Hist || m.Value.Kind == types.LHist) && !m.BucketKey {
		zero := mem{base: f.MapValue(mapTexts, f.zeroes(m.valueSize()))}
		f.Call(fnMapUpdate, f.MapPtr(m.BPF), f.addr(el.key), f.addr(zero), f.Const(updateNoExist))
		p := f.lookup(el)
		found, full := f.Func.NewBlock("made"), f.Func.NewBlock("full")
		f.BranchImm(ir.Ne, p, 0, found, full)
		f.Goto(full)
		f.reportHelper(el.ref, fnMapUpdate, "map_update_elem", f.Const(-7)) // E2BIG: the only way to fail here
		f.Jump(next)
		f.Goto(found)
		f.add(m, mem{base: p}, arg)
		return
	}
	val := f.alloc(m.valueSize(), 8, "value")
	switch {
	case m.BucketKey || m.Value.Kind == types.Count:
		f.storeImm(val, 8, 1)
	case m.Value.Kind == types.Sum:
		f.store(val, 8, arg)
	default: // {value, set} and {total, count}
		f.store(val, 8, arg)
		f.storeImm(val.at(8), 8, 1)
	}
	f.update(el, val, updateAny)
}

// add changes the value of this CPU at p; of a histogram, arg is the bucket.
func (f *fn) add(m *Map, p mem, arg ir.Value) {
	switch {
	case m.BucketKey || m.Value.Kind == types.Count:
		f.bump(p, f.Const(1))
	case m.Value.Kind == types.Sum:
		f.bump(p, arg)
	case m.Value.Kind == types.Avg || m.Value.Kind == types.Stats:
		f.bump(p, arg)
		f.bump(p.at(8), f.Const(1))
	case m.Value.Kind == types.Min || m.Value.Kind == types.Max:
		f.extreme(m, p, arg)
	case m.Value.Kind == types.Hist || m.Value.Kind == types.LHist:
		off := f.BinImm(ir.OpShl, arg, 3)
		at := f.PtrAdd(f.addr(p), off, int64(8*(buckets(m.Value)-1)))
		f.bump(mem{base: at}, f.Const(1))
	}
}

// bump adds to a word that belongs to this CPU. A program that can be preempted on it by another needs an atomic add;
// the others cannot be interrupted by a program that counts in the same word without being left out themselves.
func (f *fn) bump(p mem, n ir.Value) {
	b, off := f.base(p)
	if f.preemptible() {
		f.AtomicAdd(b, off, 8, n)
		return
	}
	f.Store(b, off, 8, f.Bin(ir.OpAdd, f.Load(b, off, 8, false), n))
}

// preemptible says whether another task's program may run on this CPU in the middle of this one.
func (f *fn) preemptible() bool {
	return f.userProbe() || f.t.Has(kernel.PreemptsRawTracepoints)
}

func (f *fn) extreme(m *Map, p mem, arg ir.Value) {
	set := f.load(p.at(8), 8, false)
	compare, write, next := f.Func.NewBlock("compare"), f.Func.NewBlock("write"), f.Func.NewBlock("extreme")
	f.BranchImm(ir.Eq, set, 0, write, compare)
	f.Goto(compare)
	cond := ir.Lt
	switch {
	case m.Value.Kind == types.Min && m.Value.Signed:
		cond = ir.SLt
	case m.Value.Kind == types.Max && m.Value.Signed:
		cond = ir.SGt
	case m.Value.Kind == types.Max:
		cond = ir.Gt
	}
	f.Branch(cond, arg, f.load(p, 8, false), write, next)
	f.Goto(write)
	f.store(p, 8, arg)
	f.storeImm(p.at(8), 8, 1)
	f.Jump(next)
	f.Goto(next)
}

// bucket is the number of arg's bucket in a histogram.
func (f *fn) bucket(m *Map, arg ir.Value) ir.Value {
	if m.Value.Kind == types.LHist {
		return f.linearBucket(m.Value, arg)
	}
	return f.logBucket(m.Value.Agg.Bits, arg)
}

func (f *fn) linearBucket(t *types.Type, arg ir.Value) ir.Value {
	a := t.Agg
	n := f.Func.NewVar()
	notLow, in, high, next := f.Func.NewBlock("not_low"), f.Func.NewBlock("within"), f.Func.NewBlock("high"), f.Func.NewBlock("bucket")
	f.Set(n, f.Const(0))
	f.Branch(ir.SLt, arg, f.Const(a.Min), next, notLow)
	f.Goto(notLow)
	f.Branch(ir.SGt, arg, f.Const(a.Max), high, in)
	f.Goto(high)
	f.Set(n, f.Const(int64(buckets(t)-1)))
	f.Jump(next)
	f.Goto(in)
	d := arg
	if a.Min != 0 {
		d = f.Bin(ir.OpSub, arg, f.Const(a.Min))
	}
	f.Set(n, f.BinImm(ir.OpAdd, f.Bin(ir.OpDiv, d, f.Const(a.Step)), 1))
	f.Jump(next)
	f.Goto(next)
	return n
}

// logBucket is 0 for negative numbers, v+1 below 2^k, else one for each of the 2^k equal parts between powers of two. The
// top bit is found in six steps of halving, without a loop.
func (f *fn) logBucket(k int, arg ir.Value) ir.Value {
	n, v, top := f.Func.NewVar(), f.Func.NewVar(), f.Func.NewVar()
	notNegative, small, large, next := f.Func.NewBlock("not_negative"), f.Func.NewBlock("small"), f.Func.NewBlock("large"), f.Func.NewBlock("bucket")
	f.Set(n, f.Const(0))
	f.BranchImm(ir.SLt, arg, 0, next, notNegative)
	f.Goto(notNegative)
	f.BranchImm(ir.Lt, arg, 1<<k, small, large)
	f.Goto(small)
	f.Set(n, f.BinImm(ir.OpAdd, arg, 1))
	f.Jump(next)
	f.Goto(large)
	f.Set(v, arg)
	f.Set(top, f.Const(0))
	for _, step := range []int64{32, 16, 8, 4, 2, 1} {
		halve, on := f.Func.NewBlock("halve"), f.Func.NewBlock("on")
		f.Branch(ir.Ge, v, f.Const(1<<step), halve, on)
		f.Goto(halve)
		f.Set(v, f.BinImm(ir.OpShr, v, step))
		f.Set(top, f.BinImm(ir.OpAdd, top, step))
		f.Jump(on)
		f.Goto(on)
	}
	if k == 0 {
		f.Set(n, f.BinImm(ir.OpAdd, top, 2)) // ((top+1) << 0) + 0 + 1
	} else {
		part := f.Bin(ir.OpShr, arg, f.BinImm(ir.OpSub, top, int64(k)))
		part = f.BinImm(ir.OpAnd, part, 1<<k-1)
		whole := f.BinImm(ir.OpShl, f.BinImm(ir.OpSub, top, int64(k-1)), int64(k))
		f.Set(n, f.BinImm(ir.OpAdd, f.Bin(ir.OpAdd, whole, part), 1))
	}
	f.Jump(next)
	f.Goto(next)
	return n
}

// aggregated reads count, sum, min, max or avg as an integer: over all CPUs.
func (f *fn) aggregated(el element) ir.Value {
	m := el.m
	switch m.Value.Kind {
	case types.Count, types.Sum:
		return f.sumCPUs(el, 0, 8)
	case types.Avg:
		total := f.sumCPUs(el, 0, 8)
		count := f.sumCPUs(el, 8, 8)
		return f.quotient(total, count, m.Value.Signed)
	case types.Min, types.Max:
		return f.extremeCPUs(el)
	}
	f.refuse(el.ref, m.Value.String()+" has no value that an expression could use", "")
	return f.Const(0)
}

// quotient is x/y rounded towards zero, 0 for y = 0.
func (f *fn) quotient(x, y ir.Value, signed bool) ir.Value {
	if !signed {
		return f.Bin(ir.OpDiv, x, y)
	}
	q := f.Func.NewVar()
	neg, pos, next := f.Func.NewBlock("negative"), f.Func.NewBlock("positive"), f.Func.NewBlock("quotient")
	f.BranchImm(ir.SLt, x, 0, neg, pos)
	f.Goto(neg)
	f.Set(q, f.Un(ir.OpNeg, f.Bin(ir.OpDiv, f.Un(ir.OpNeg, x), y)))
	f.Jump(next)
	f.Goto(pos)
	f.Set(q, f.Bin(ir.OpDiv, x, y))
	f.Jump(next)
	f.Goto(next)
	return q
}

// sumCPUs adds up the words at off of all CPUs.
func (f *fn) sumCPUs(el element, off, width int) ir.Value {
	sum := f.Func.NewVar()
	f.Set(sum, f.Const(0))
	f.eachCPU(el, func(p mem) {
		f.Set(sum, f.Bin(ir.OpAdd, sum, f.load(p.at(off), width, el.m.Value.Signed)))
	})
	return sum
}

func (f *fn) extremeCPUs(el element) ir.Value {
	m := el.m
	best, any := f.Func.NewVar(), f.Func.NewVar()
	f.Set(best, f.Const(0))
	f.Set(any, f.Const(0))
	cond := ir.SLt
	switch {
	case m.Value.Kind == types.Max && m.Value.Signed:
		cond = ir.SGt
	case m.Value.Kind == types.Max:
		cond = ir.Gt
	case !m.Value.Signed:
		cond = ir.Lt
	}
	f.eachCPU(el, func(p mem) {
		set, compare, take, next := f.Func.NewBlock("set"), f.Func.NewBlock("compare"), f.Func.NewBlock("take"), f.Func.NewBlock("seen")
		f.BranchImm(ir.Ne, f.load(p.at(8), 8, false), 0, set, next)
		f.Goto(set)
		v := f.load(p, 8, false)
		f.BranchImm(ir.Eq, any, 0, take, compare)
		f.Goto(compare)
		f.Branch(cond, v, best, take, next)
		f.Goto(take)
		f.Set(best, v)
		f.Set(any, f.Const(1))
		f.Jump(next)
		f.Goto(next)
	})
	return best
}

// eachCPU runs body for the value of every CPU: in a loop that the verifier can count.
func (f *fn) eachCPU(el element, body func(mem)) {
	if el.m.Storage == StoreCPUCells {
		f.eachCell(el.m, func(c mem) { body(c.at(setSize)) })
		return
	}
	if !f.t.Helper(progType(f.plan.kind), fnMapLookupPerCPU) {
		f.refuse(el.ref, "this kernel's programs cannot read "+el.m.Name+" of other CPUs (bpf_map_lookup_percpu_elem)",
			"Linux 5.19 and later can; print("+el.m.Name+") works here")
		return
	}
	i := f.Func.NewVar()
	f.Set(i, f.Const(0))
	head, in, found, on, out := f.Func.NewBlock("cpus"), f.Func.NewBlock("cpu"), f.Func.NewBlock("of_cpu"), f.Func.NewBlock("next_cpu"), f.Func.NewBlock("all_cpus")
	f.Jump(head)
	f.Goto(head)
	f.BranchImm(ir.Lt, i, int64(f.t.PossibleCPUs()), in, out)
	f.Goto(in)
	p := f.Call(fnMapLookupPerCPU, f.MapPtr(el.m.BPF), f.addr(el.key), i)
	f.BranchImm(ir.Ne, p, 0, found, on)
	f.Goto(found)
	body(mem{base: p})
	f.Jump(on)
	f.Goto(on)
	f.Set(i, f.BinImm(ir.OpAdd, i, 1))
	f.Jump(head)
	f.Goto(out)
}
