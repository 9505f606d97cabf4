package compile

import (
	"github.com/cilium/ebpf"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

const (
	mapSeen = "seen" // processes whose symbols user space has been told to look at
	mapNews = "news" // the ring that it is told by
)

const (
	// seenMost bounds how many processes are remembered; older ones are then told of again.
	seenMost = 16384
	newsSize = 256 << 10
)

// Flags of bpf_ringbuf_output.
const (
	wakeIfIdle = 0
	wakeAlways = 2
)

// observe tells user space, once, of a process whose addresses the script keeps: where its files are mapped can be read
// only while it lives. It is told by a ring of its own and with a wake-up, because it may end soon. After an exec it is
// told again, where that can be seen: the process then has another memory. A script may do without (cache_user_symbols).
// What is returned is a variable, not 0 where the process's mappings are to be told, too: for a stack those of the first
// stack. It is 0 where they never are.
func (f *fn) observe(n syntax.Node, stack bool) (untold ir.Value) {
	if f.info.Config.CacheUserSymbols == "NONE" {
		return 0
	}
	if f.extraMaps == nil {
		f.extraMaps = map[string]*ebpf.MapSpec{}
	}
	// The value says whether the mappings of a stack were told.
	f.extraMaps[mapSeen] = &ebpf.MapSpec{Name: mapSeen, Type: ebpf.LRUHash, KeySize: 16, ValueSize: 8, MaxEntries: seenMost}
	f.extraMaps[mapNews] = &ebpf.MapSpec{Name: mapNews, Type: ebpf.RingBuf, MaxEntries: newsSize}
	key := f.alloc(16, 8, "process")
	pid := f.pid()
	f.store(key, 8, pid)
	memory, ok := ir.Value(0), false
	if f.taskBTF() {
		memory, ok = f.taskField([]string{"task_struct", "mm"})
	}
	if ok {
		f.store(key.at(8), 8, memory)
	} else {
		f.storeImm(key.at(8), 8, 0)
	}
	tells := f.tellsMappings()
	if tells {
		untold = f.Func.NewVar()
		f.Set(untold, f.Const(0))
	}
	fresh, told, next := f.Func.NewBlock("unseen"), f.Func.NewBlock("told"), f.Func.NewBlock("observed")
	known := next
	if tells && stack {
		known = f.Func.NewBlock("seen")
	}
	seen := f.Call(fnMapLookup, f.MapPtr(mapSeen), f.addr(key))
	f.BranchImm(ir.Eq, seen, 0, fresh, known)
	if known != next {
		first := f.Func.NewBlock("first_stack")
		f.Goto(known)
		f.BranchImm(ir.Eq, f.Load(seen, 0, 8, false), 0, first, next)
		f.Goto(first)
		f.StoreImm(seen, 0, 8, 1)
		f.Set(untold, f.Const(1))
		f.Jump(next)
	}
	f.Goto(fresh)
	site := Site{Kind: SiteNewProcess, Span: n.Span(), Size: headerSize + 24, Fields: []Field{
		{Type: types.TUint64, Offset: headerSize}, {Type: types.TUint64, Offset: headerSize + 8}, {Type: types.TUint64, Offset: headerSize + 16},
	}}
	rec := mem{slot: f.Func.NewSlot(site.Size, 8, "process"), onSlot: true}
	cpu := f.BinImm(ir.OpShl, f.CallPure(fnSMPProcessorID), 16)
	f.store(rec.at(headerType), 4, f.BinImm(ir.OpOr, cpu, int64(f.site(site))))
	f.storeImm(rec.at(headerLength), 4, int64(site.Size))
	f.storeImm(rec.at(headerSeq), 8, 0)
	f.storeImm(rec.at(headerTime), 8, 0)
	f.store(rec.at(headerSize), 8, pid)
	addr, offset := f.probedPlace(n)
	f.store(rec.at(headerSize+8), 8, addr)
	f.store(rec.at(headerSize+16), 8, offset)
	ret := f.Call(fnRingbufOutput, f.MapPtr(mapNews), f.addr(rec), f.Const(int64(site.Size)), f.Const(wakeAlways))
	f.BranchImm(ir.Eq, ret, 0, told, next)
	f.Goto(told)
	value := f.alloc(8, 8, "told")
	f.storeImm(value, 8, 0)
	if tells {
		f.Set(untold, f.Const(1))
		if stack {
			f.storeImm(value, 8, 1)
		}
	}
	f.Call(fnMapUpdate, f.MapPtr(mapSeen), f.addr(key), f.addr(value), f.Const(updateAny))
	f.Jump(next)
	f.Goto(next)
	return untold
}

// probedPlace is where a uprobe is: its address in the process and its offset in the file; 0, 0 where that is not known.
// From the two follows where the file is mapped, even if the process has ended.
func (f *fn) probedPlace(n syntax.Node) (addr, offset ir.Value) {
	switch {
	case f.program.Kind != check.Uprobe && f.program.Kind != check.Uretprobe, !f.tellsFunction():
	case f.outer != nil, !f.hasRegisters():
	case f.point != nil:
		return f.functionAddress(n), f.Const(int64(f.point.FileOff))
	case f.cookied(f.program, f.points):
		return f.functionAddress(n), f.Call(fnGetAttachCookie, f.ctx)
	}
	return f.Const(0), f.Const(0)
}

// cookied says whether the attach points of a program have their offset in the file as their cookie.
func (l *lowerer) cookied(p *check.Program, points []check.Point) bool {
	switch p.Kind {
	case check.Uprobe, check.Uretprobe:
		return len(points) > 1 && (p.Uses["ustack"] || p.Uses["usym"] || p.Uses["func"]) && l.t.Has(kernel.AttachCookie)
	}
	return false
}

// userProbe says whether the program runs at a probe in user space.
func (f *fn) userProbe() bool {
	switch f.program.Kind {
	case check.Uprobe, check.Uretprobe, check.USDT:
		return true
	}
	return false
}
