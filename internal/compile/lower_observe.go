package compile

import (
	"github.com/cilium/ebpf"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

const mapSeen = "seen" // processes whose symbols user space has been told to look at

// seenMost bounds how many processes are remembered; older ones are then told of again.
const seenMost = 16384

// Flags of bpf_ringbuf_output.
const (
	wakeIfIdle = 0
	wakeAlways = 2
)

// observe tells user space, once, of a process whose addresses the script keeps: where its files are mapped can be read
// only while it lives. It is told with a wake-up, because it may end soon.
func (f *fn) observe(n syntax.Node) {
	if f.extraMaps == nil {
		f.extraMaps = map[string]*ebpf.MapSpec{}
	}
	f.extraMaps[mapSeen] = &ebpf.MapSpec{Name: mapSeen, Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: seenMost}
	key := f.alloc(8, 8, "process")
	pid := f.BinImm(ir.OpShr, f.CallPure(fnPidTgid), 32)
	f.store(key, 8, pid)
	fresh, next := f.Func.NewBlock("unseen"), f.Func.NewBlock("observed")
	f.BranchImm(ir.Eq, f.Call(fnMapLookup, f.MapPtr(mapSeen), f.addr(key)), 0, fresh, next)
	f.Goto(fresh)
	f.Call(fnMapUpdate, f.MapPtr(mapSeen), f.addr(key), f.addr(key), f.Const(updateAny))
	site := Site{Kind: SiteNewProcess, Span: n.Span(), Size: headerSize + 8, Fields: []Field{{Type: types.TUint64, Offset: headerSize}}}
	rec := mem{slot: f.Func.NewSlot(site.Size, 8, "process"), onSlot: true}
	f.store(rec.at(headerSize), 8, pid)
	f.send(f.site(site), site.Kind, rec, 0, site.Size, 0)
	f.Jump(next)
	f.Goto(next)
}

// userProbe says whether the program runs at a probe in user space.
func (f *fn) userProbe() bool {
	switch f.program.Kind {
	case check.Uprobe, check.Uretprobe, check.USDT:
		return true
	}
	return false
}
