package compile

import (
	"math/bits"
	"sort"

	"sonde/internal/compile/check"
	"sonde/internal/compile/types"
)

// setSize is the word before every cell that says whether it was ever written.
const setSize = 8

// bucketsMost is the largest array of buckets, in bytes, that is kept as one value of a keyed histogram.
const bucketsMost = 1024

// chooseStorage decides for every map of the script where it is kept, once all of the script has been seen: what has
// no key needs no hash, and what only one CPU writes needs no atomics.
func (l *lowerer) chooseStorage() {
	l.maps = make(map[string]*Map, len(l.info.Maps))
	for _, m := range l.info.Maps {
		if m.Value == nil || m.Value.Kind == types.Invalid {
			continue // only ever cleared or printed
		}
		l.maps[m.Name] = l.store(m)
	}
}

func (l *lowerer) store(m *check.Map) *Map {
	out := &Map{Name: m.Name, Key: l.shortKey(m), KeyParts: m.Parts, Value: m.Value, MaxEntries: m.MaxEntries, BPF: bpfName(m.Name)}
	if out.MaxEntries == 0 {
		out.MaxEntries = l.info.Config.MaxMapKeys
	}
	switch {
	case m.Scalar && m.Value.IsAggregate():
		out.Storage, out.Key, out.MaxEntries = StoreCPUCells, nil, 1
		out.Slots = powerOfTwo(l.t.PossibleCPUs())
		out.Stride = powerOfTwo(max(64, setSize+aggregateSize(m.Value)))
		out.BPF, out.Offset = mapCells, l.cells.add(out.Slots*out.Stride)
	case m.Scalar && m.Value.InRegister():
		out.Storage, out.Key, out.MaxEntries = StoreCell, nil, 1
		out.BPF, out.Offset = mapCells, l.cells.add(setSize+8)
	case m.Scalar:
		// A value of several words is replaced as a whole, by the hash's own rules.
		out.Storage, out.Key, out.MaxEntries = StoreHash, nil, 1
	case m.Value.IsAggregate():
		out.Storage = StorePerCPUHash
		if k := m.Value.Kind; k == types.Hist || k == types.LHist {
			out.BucketKey = aggregateSize(m.Value) > bucketsMost
		}
	case m.Kind == "percpuhash" || m.Kind == "percpulruhash":
		out.Storage = StorePerCPUHash
	case l.byThread(m, out):
		out.Sets = threadSets
		if l.opt.ThreadSets > 0 {
			out.Sets = powerOfTwo(l.opt.ThreadSets)
		}
		out.Offset = l.threads.add(out.Sets * threadSetSize)
	}
	return out
}

// keySize is the size of the map's keys in the kernel.
func (m *Map) keySize() int {
	n := 8
	if m.Key != nil {
		n = max(m.Key.Size, 1)
	}
	if m.BucketKey {
		n = (n+7)&^7 + 8
	}
	return n
}

// valueSize is the size of one value in the kernel.
func (m *Map) valueSize() int {
	switch {
	case m.BucketKey:
		return 8
	case m.Value.IsAggregate():
		return aggregateSize(m.Value)
	}
	return (max(m.Value.Size, 1) + 7) &^ 7
}

// buckets is how many a histogram has.
func buckets(t *types.Type) int {
	if t.Kind == types.LHist {
		a := t.Agg
		if a.Step < 1 {
			return 2
		}
		return int((a.Max-a.Min)/a.Step) + 2
	}
	k := t.Agg.Bits
	// One for negative numbers, 2^k for those below 2^k, then 2^k for each further top bit.
	return 1 + (64-k+1)<<k
}

// aggregateSize is the size of an aggregate's value for one CPU.
func aggregateSize(t *types.Type) int {
	switch t.Kind {
	case types.Count, types.Sum:
		return 8
	case types.Hist, types.LHist:
		return 8 * buckets(t)
	}
	return 16
}

func powerOfTwo(n int) int {
	if n <= 1 {
		return 1
	}
	return 1 << bits.Len(uint(n-1))
}

// bpfName is the name of a script's map in the collection.
func bpfName(name string) string {
	return "at_" + name[1:]
}

// sortedMaps are the maps as the runtime prints them.
func (l *lowerer) sortedMaps() []Map {
	var out []Map
	for _, m := range l.maps {
		out = append(out, *m)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}
