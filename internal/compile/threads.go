package compile

import (
	"encoding/binary"

	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// Where every use of a map has the key tid, all that one key is put to is done by one thread, so at one place at a time.
// Such a map needs none of a hash's locks: before the hash there is a table in which a thread finds its element by the low
// bits of its number. It has sets of two elements; a third thread of the same bits goes to the hash, as does thread 0, which
// every CPU has one of.
//
// What an interrupt does meanwhile in the name of the same thread may find the set half changed: at worst the element is
// there twice, and goes as a whole when it is deleted.
const (
	threadSets    = 4096
	threadSetSize = 64 // a cache line
	threadWays    = 2
	// Layout of a set. An element is there if its thread is not 0. Its place is taken as long as used is not 0, which is before
	// its thread is written and until after that is gone.
	threadValues = 0  // two u64
	threadKeys   = 16 // two u32
	threadUsed   = 24 // two u32
	threadOver   = 32 // u32: not 0 once there was no room
)

// threadTableLeast is the least size of a hash that gets a table: what a script has limited keeps its limit.
const threadTableLeast = 4096

// byThread says whether a map gets a table by thread.
//
// An element is given up by a plain store, which other CPUs must not see before the reads and writes that came before it:
// amd64 keeps that order, arm64 does not.
func (l *lowerer) byThread(m *check.Map, out *Map) bool {
	switch {
	case l.opt.NoOptimize || l.opt.Warnings || l.t.Machine() != "amd64" || !l.t.Has(kernel.FetchAtomics):
		return false
	case m.Scalar || m.Kind != "" || m.Value.IsAggregate() || !m.Value.InRegister() || out.MaxEntries < threadTableLeast:
		return false
	case !m.Deleted || m.Iterated || m.Length || m.AddressTaken:
		return false
	}
	for _, fn := range l.info.Funcs {
		if mentions(fn, m.Name) {
			return false
		}
	}
	for _, p := range l.info.Programs {
		// At the end nobody else is there, so that all may be looked at and cleared.
		if !onlyOwn(p.Decl, m.Name, p.Kind == check.End) {
			return false
		}
	}
	return true
}

// onlyOwn says whether all elements of a map that are named in a part of the script are the thread's own; whole says that the
// map may be named as a whole.
func onlyOwn(part syntax.Node, name string, whole bool) bool {
	only := true
	syntax.Walk(part, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Call:
			switch n.Func {
			case "delete", "has_key", "find":
				// A key behind the map, as in delete(@m, tid); one in it is met further down.
				if ref := keyed(n); ref != nil && ref.Name == name && ref != n.Args[0] {
					only = only && isTid(ref.Key)
					for _, arg := range n.Args[1:] {
						only = only && onlyOwn(arg, name, whole)
					}
					return false
				}
			}
		case *syntax.MapRef:
			if n.Name == name {
				only = only && (isTid(n.Key) || n.Key == nil && whole)
			}
		}
		return only
	})
	return only
}

func isTid(e syntax.Expr) bool {
	id, ok := e.(*syntax.Ident)
	return ok && id.Name == "tid"
}

// TableSize is the size of the map's table by thread in the array map Threads, 0 where it has none.
func (m *Map) TableSize() int { return m.Sets * threadSetSize }

// Threads gives do the elements of such a table, which is the content of the array map from Offset on. What do writes to value
// is written to table.
func (m *Map) Threads(table []byte, do func(tid uint32, value []byte)) {
	for ; len(table) >= threadSetSize; table = table[threadSetSize:] {
		for way := range threadWays {
			if tid := binary.NativeEndian.Uint32(table[threadKeys+4*way:]); tid != 0 {
				do(tid, table[threadValues+8*way:][:8])
			}
		}
	}
}
