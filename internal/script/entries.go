package script

import (
	"encoding/binary"
	"fmt"
	"slices"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
)

// entries are the elements of a map as they are shown: one value each, whatever the map keeps for each CPU or bucket.
type entries struct {
	n         int
	keySize   int // from one key to the next
	valueSize int
	keys      []byte
	values    []byte
}

func (e *entries) key(i int) []byte   { return e.keys[i*e.keySize : (i+1)*e.keySize] }
func (e *entries) value(i int) []byte { return e.values[i*e.valueSize : (i+1)*e.valueSize] }

// setSize is the word before the value in a cell that says whether there is one.
const setSize = 8

// cells says how many cells a map has, how far apart, and how large they are.
func cells(m *compile.Map) (slots, stride, size int) {
	if m.Storage == compile.StoreCPUCells {
		return m.Slots, m.Stride, setSize + mergedSize(m.Value)
	}
	return 1, 0, setSize + 8
}

// mergedSize is the size of a value as it is shown.
func mergedSize(t *types.Type) int {
	switch t.Kind {
	case types.Hist, types.LHist:
		return 8 * bucketCount(t)
	case types.Count, types.Sum:
		return 8
	case types.Min, types.Max, types.Avg, types.Stats:
		return 16
	}
	return max(t.Size, 8)
}

// entriesOf reads a map. What it returns is good until the next call.
func (r *Runner) entriesOf(m *compile.Map) (entries, error) {
	if r.env.Maps == nil {
		return entries{}, nil
	}
	if m.Storage == compile.StoreCell || m.Storage == compile.StoreCPUCells {
		return r.cellEntries(m)
	}
	t := &r.table
	if err := r.env.Maps.Read(m.BPF, t); err != nil {
		return entries{}, err
	}
	e := entries{n: t.N, keySize: t.KeySize, keys: t.Keys, values: t.Values, valueSize: t.ValueSize}
	want := 0
	if m.Key != nil {
		want = m.Key.Size
	}
	if m.BucketKey {
		want = (want+7)&^7 + 8
	}
	if t.KeySize < want {
		return e, fmt.Errorf("map %s has keys of %d bytes, not %d", m.Name, t.KeySize, want)
	}
	switch size := mergedSize(m.Value); {
	case m.BucketKey:
		return r.gather(m, e)
	case m.Storage == compile.StorePerCPUHash:
		if t.ValueSize < size {
			return e, fmt.Errorf("map %s has values of %d bytes, not %d", m.Name, t.ValueSize, size)
		}
		e.valueSize = size
		e.values = zeroed(&r.sorter.merged, t.N*size)
		for i := range t.N {
			each := t.Value(i)
			for cpu := range t.CPUs {
				merge(e.value(i), m.Value, each[cpu*t.ValueSize:][:size])
			}
		}
	case t.ValueSize < m.Value.Size:
		return e, fmt.Errorf("map %s has values of %d bytes, not %d", m.Name, t.ValueSize, m.Value.Size)
	}
	if m.Sets > 0 {
		return r.ownEntries(m, e)
	}
	return e, nil
}

// ownEntries adds what is in the table by thread of the map that e was read from.
func (r *Runner) ownEntries(m *compile.Map, e entries) (entries, error) {
	if e.keySize < 4 || e.valueSize > 8 {
		return e, fmt.Errorf("map %s has keys of %d and values of %d bytes, and a table by thread", m.Name, e.keySize, e.valueSize)
	}
	table := zeroed(&r.sorter.merged, m.TableSize())
	if err := r.env.Maps.ReadAt(compile.Threads, table, m.Offset); err != nil {
		return e, err
	}
	// Of the memory that the hash was read into, nothing but what is in e may change.
	e.keys, e.values = slices.Clip(e.keys[:e.n*e.keySize]), slices.Clip(e.values[:e.n*e.valueSize])
	m.Threads(table, func(tid uint32, value []byte) {
		e.keys = append(binary.NativeEndian.AppendUint32(e.keys, tid), make([]byte, e.keySize-4)...)
		e.values = append(e.values, value[:e.valueSize]...)
		e.n++
	})
	return e, nil
}

// zeroed gives n zero bytes, in memory that is used again.
func zeroed(memory *[]byte, n int) []byte {
	if cap(*memory) < n {
		*memory = make([]byte, n)
	}
	*memory = (*memory)[:n]
	clear(*memory)
	return *memory
}

// cellEntries reads a scalar map that is kept in cells: at most one entry.
func (r *Runner) cellEntries(m *compile.Map) (entries, error) {
	slots, stride, size := cells(m)
	value := zeroed(&r.sorter.merged, (slots-1)*stride+2*size)
	raw, merged := value[:(slots-1)*stride+size], value[(slots-1)*stride+size:][:size-setSize]
	if err := r.env.Maps.ReadAt(m.BPF, raw, m.Offset); err != nil {
		return entries{}, err
	}
	e := entries{values: merged, valueSize: size - setSize}
	for i := range slots {
		cell := raw[i*stride:][:size]
		if word(cell, 0) == 0 && (m.Value.Kind != types.Count || word(cell, setSize) == 0) {
			continue // a count that was ever made is not 0, and does without the mark
		}
		e.n = 1
		if m.Storage == compile.StoreCell {
			copy(merged, cell[setSize:])
		} else {
			merge(merged, m.Value, cell[setSize:])
		}
	}
	return e, nil
}

// merge adds the value of one CPU to dst, which begins as zeros.
func merge(dst []byte, t *types.Type, src []byte) {
	switch t.Kind {
	case types.Min, types.Max:
		if word(src, 8) == 0 {
			return
		}
		if word(dst, 8) == 0 || better(t, word(src, 0), word(dst, 0)) {
			copy(dst, src[:16])
		}
	case types.Int:
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], number(t, dst)+number(t, src))
		copy(dst, b[:min(t.Size, 8)])
	case types.Count, types.Sum, types.Avg, types.Stats, types.Hist, types.LHist:
		for at := 0; at+8 <= len(dst); at += 8 {
			binary.LittleEndian.PutUint64(dst[at:], word(dst, at)+word(src, at))
		}
	default: // nothing that can be added: that of the first CPU that has any
		for _, c := range dst {
			if c != 0 {
				return
			}
		}
		copy(dst, src)
	}
}

// better says whether a takes the place of b.
func better(t *types.Type, a, b uint64) bool {
	if t.Kind == types.Max {
		a, b = b, a
	}
	if t.Signed {
		return int64(a) < int64(b)
	}
	return a < b
}

// gather makes one entry of all buckets of a histogram, which are entries of their own: their number is the end of the key.
func (r *Runner) gather(m *compile.Map, e entries) (entries, error) {
	t, size := &r.table, mergedSize(m.Value)
	keySize := t.KeySize - 8
	first := make(map[string]int)
	out := entries{keySize: keySize, valueSize: size}
	out.values = r.sorter.merged[:0]
	for i := range e.n {
		key := e.key(i)
		bucket := word(key, keySize)
		if bucket >= uint64(size/8) {
			continue // of no histogram of this kind
		}
		at, known := first[string(key[:keySize])]
		if !known {
			at = out.n
			first[string(key[:keySize])] = at
			out.keys = append(out.keys, key[:keySize]...)
			out.values = append(out.values, make([]byte, size)...)
			out.n++
		}
		var count uint64
		each := t.Value(i)
		for cpu := range t.CPUs {
			count += word(each, cpu*t.ValueSize)
		}
		binary.LittleEndian.PutUint64(out.value(at)[8*bucket:], count)
	}
	r.sorter.merged = out.values
	return out, nil
}
