package script

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
)

// sorter puts the entries of a map in the order in which they are shown: numbers and what reads as one by value, histograms
// by how much is in them, all else by key. Equal ones are in the order of their keys.
type sorter struct {
	merged []byte // memory of entries
	items  []item
	spare  []item
}

// item is an entry; rank and prefix decide most comparisons.
type item struct {
	rank   uint64
	prefix uint64 // of the key, of the same order
	at     int
}

// order sorts the entries.
func (s *sorter) order(m *compile.Map, e *entries) []item {
	s.items = s.items[:0]
	for i := range e.n {
		it := item{rank: rank(m.Value, e.value(i)), at: i}
		if m.Key != nil {
			it.prefix = prefix(m.Key, e.key(i))
		}
		s.items = append(s.items, it)
	}
	s.byRank()
	if m.Key != nil {
		s.byKey(m.Key, e)
	}
	return s.items
}

// byRank sorts by rank, then prefix: byte by byte from the lowest, leaving out bytes that are the same everywhere. Of many
// entries that is several times faster than comparing them.
func (s *sorter) byRank() {
	if len(s.items) < 256 {
		slices.SortFunc(s.items, func(a, b item) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.prefix, b.prefix))
		})
		return
	}
	and, or := item{rank: ^uint64(0), prefix: ^uint64(0)}, item{}
	for _, it := range s.items {
		and.rank, or.rank = and.rank&it.rank, or.rank|it.rank
		and.prefix, or.prefix = and.prefix&it.prefix, or.prefix|it.prefix
	}
	from, to := s.items, slices.Grow(s.spare[:0], len(s.items))[:len(s.items)]
	pass := func(differ uint64, shift uint, word func(*item) uint64) {
		if byte(differ>>shift) == 0 {
			return
		}
		var at [256]int
		for i := range from {
			at[byte(word(&from[i])>>shift)]++
		}
		sum := 0
		for i, n := range at {
			at[i], sum = sum, sum+n
		}
		for i := range from {
			c := byte(word(&from[i]) >> shift)
			to[at[c]] = from[i]
			at[c]++
		}
		from, to = to, from
	}
	for shift := uint(0); shift < 64; shift += 8 {
		pass(and.prefix^or.prefix, shift, func(it *item) uint64 { return it.prefix })
	}
	for shift := uint(0); shift < 64; shift += 8 {
		pass(and.rank^or.rank, shift, func(it *item) uint64 { return it.rank })
	}
	s.items, s.spare = from, to
}

// byKey puts those in order that are still equal.
func (s *sorter) byKey(t *types.Type, e *entries) {
	for from := 0; from < len(s.items); {
		to := from + 1
		for to < len(s.items) && s.items[to].rank == s.items[from].rank && s.items[to].prefix == s.items[from].prefix {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(s.items[from:to], func(a, b item) int { return compareKeys(t, e.key(a.at), e.key(b.at)) })
		}
		from = to
	}
}

const signBit = 1 << 63

// ordered maps a number to one that sorts as it does, among unsigned ones.
func ordered(v uint64, signed bool) uint64 {
	if signed {
		return v ^ signBit
	}
	return v
}

func rank(t *types.Type, v []byte) uint64 {
	switch t.Kind {
	case types.Int, types.Enum:
		return ordered(number(t, v), t.Signed)
	case types.Count, types.Sum, types.Min, types.Max:
		return ordered(word(v, 0), t.Signed)
	case types.Avg, types.Stats:
		return ordered(average(t, v), t.Signed)
	case types.Hist, types.LHist:
		return total(v)
	}
	return 0
}

// average is that of {total, count}.
func average(t *types.Type, v []byte) uint64 {
	sum, n := word(v, 0), word(v, 8)
	switch {
	case n == 0:
		return 0
	case t.Signed:
		return uint64(int64(sum) / int64(n))
	}
	return sum / n
}

// prefix is a number of the same order as the key's beginning.
func prefix(t *types.Type, b []byte) uint64 {
	switch t.Kind {
	case types.Int, types.Enum:
		return number(t, b) ^ signBit // unsigned ones too
	case types.Pointer, types.Context, types.KSym, types.Username, types.Bool:
		return number(t, b)
	case types.String:
		var head [8]byte
		text := b[:min(t.Size, len(b))]
		if n := bytes.IndexByte(text, 0); n >= 0 {
			text = text[:n]
		}
		copy(head[:], text)
		return binary.BigEndian.Uint64(head[:])
	case types.Tuple, types.Record:
		if len(t.Fields) > 0 {
			return prefix(t.Fields[0].Type, b[t.Fields[0].Offset:])
		}
	}
	return 0
}

// compareKeys orders keys: numbers by value as signed ones, strings and what else there is by their bytes, the parts of tuples in turn.
func compareKeys(t *types.Type, a, b []byte) int {
	switch t.Kind {
	case types.Int, types.Enum:
		return cmp.Compare(int64(number(t, a)), int64(number(t, b)))
	case types.Pointer, types.Context, types.KSym, types.Username, types.Bool:
		return cmp.Compare(number(t, a), number(t, b))
	case types.String:
		x, _ := stringOf(t, a[:t.Size], 0)
		y, _ := stringOf(t, b[:t.Size], 0)
		return bytes.Compare(x, y)
	case types.Buffer:
		return bytes.Compare(buffer(t, a), buffer(t, b))
	case types.Tuple, types.Record:
		for i := range t.Fields {
			f := &t.Fields[i]
			if c := compareKeys(f.Type, a[f.Offset:], b[f.Offset:]); c != 0 {
				return c
			}
		}
		return 0
	case types.Array:
		for i := range t.Len {
			if c := compareKeys(t.Elem, a[i*t.Elem.Size:], b[i*t.Elem.Size:]); c != 0 {
				return c
			}
		}
		return 0
	}
	return bytes.Compare(a[:t.Size], b[:t.Size])
}
