package script

import (
	"sonde/internal/compile"
	"sonde/internal/compile/types"
)

// printMap is print(@m, top, div).
func (r *Runner) printMap(s *site, body []byte) error {
	if s.m == nil {
		return nil
	}
	return r.showMap(s.m, s.int(0, body), s.int(1, body), true)
}

// PrintMaps ends the output: all maps that hold something, sorted by name, unless the script's settings leave that out.
func (r *Runner) PrintMaps() error {
	if !r.env.JSON {
		if err := r.write([]byte("\n\n")); err != nil {
			return err
		}
	}
	if r.p.Config.PrintMapsOnExit {
		for i := range r.p.Maps {
			if err := r.showMap(&r.p.Maps[i], 0, 0, false); err != nil {
				return err
			}
		}
	}
	return r.Flush()
}

// mapChunk is how much text of a map is put together before it is written.
const mapChunk = 32 << 10

// tableKept is how many bytes of a map that was read are kept in memory for the next.
const tableKept = 16 << 20

// showMap writes a map. Of one with keys, only the last top entries if that is positive; values are divided by div. Without
// named, a map that holds nothing is left out; a scalar that the script names reads as 0.
func (r *Runner) showMap(m *compile.Map, top, div int64, named bool) error {
	e, err := r.entriesOf(m)
	if err != nil {
		return err
	}
	if e.n == 0 {
		if !named || m.Key != nil || m.Value.Kind == types.Hist || m.Value.Kind == types.LHist {
			return nil
		}
		e = entries{n: 1, valueSize: mergedSize(m.Value), values: zeroed(&r.sorter.merged, mergedSize(m.Value))}
	}
	order := r.sorter.order(m, &e)
	if top > 0 && top < int64(len(order)) {
		order = order[len(order)-int(top):]
	}
	if r.env.JSON {
		r.buf = r.appendMapJSON(r.buf[:0], m, &e, order, div)
	} else {
		r.buf = r.buf[:0]
		for _, it := range order {
			r.buf = r.appendEntry(r.buf, m, &e, it.at, div)
			if len(r.buf) >= mapChunk {
				if err := r.write(r.buf); err != nil {
					return err
				}
				r.buf = r.buf[:0]
			}
		}
	}
	if cap(r.table.Values)+cap(r.sorter.merged) > tableKept {
		r.table.Keys, r.table.Values, r.sorter = nil, nil, sorter{}
	}
	return r.write(r.buf)
}

// appendEntry appends one element as text.
func (r *Runner) appendEntry(dst []byte, m *compile.Map, e *entries, i int, div int64) []byte {
	dst = append(dst, m.Name...)
	if m.Key != nil {
		dst = append(r.appendKey(append(dst, '['), m.Key, e.key(i), spaced), ']')
	}
	if m.Value.Kind == types.Hist || m.Value.Kind == types.LHist {
		return appendHist(append(dst, ":\n"...), m.Value, e.value(i), div)
	}
	return append(r.appendMapValue(append(dst, ": "...), m.Value, e.value(i), div), '\n')
}

func (r *Runner) appendMapValue(dst []byte, t *types.Type, v []byte, div int64) []byte {
	switch t.Kind {
	case types.Int:
		return appendInt(dst, quotient(number(t, v), t.Signed, div), t.Signed || div < 0)
	case types.Stats:
		dst = appendInt(append(dst, "{ .count = "...), word(v, 8), false)
		dst = appendInt(append(dst, ", .average = "...), quotient(average(t, v), t.Signed, div), t.Signed)
		dst = appendInt(append(dst, ", .total = "...), word(v, 0), t.Signed)
		return append(dst, " }"...)
	}
	if n, ok := scalar(t, v); ok {
		return appendInt(dst, quotient(n, t.Signed, div), t.Signed)
	}
	return r.appendText(dst, t, v, spaced)
}

// scalar is the number that an aggregate reads as.
func scalar(t *types.Type, v []byte) (n uint64, ok bool) {
	switch t.Kind {
	case types.Count, types.Sum, types.Min, types.Max:
		return word(v, 0), true
	case types.Avg:
		return average(t, v), true
	}
	return 0, false
}

// appendMapJSON appends a map as one object.
func (r *Runner) appendMapJSON(dst []byte, m *compile.Map, e *entries, order []item, div int64) []byte {
	kind := "map"
	switch m.Value.Kind {
	case types.Hist, types.LHist:
		kind = "hist"
	case types.Avg, types.Stats:
		kind = "stats"
	}
	dst = append(append(dst, `{"type": "`...), kind...)
	dst = append(append(append(dst, `", "data": {"`...), m.Name...), `": `...)
	if m.Key == nil {
		for _, it := range order {
			dst = r.appendMapValueJSON(dst, m.Value, e.value(it.at), div)
		}
		return append(dst, "}}\n"...)
	}
	dst = append(dst, '{')
	for n, it := range order {
		if n > 0 {
			dst = append(dst, ", "...)
		}
		r.text = r.appendKey(r.text[:0], m.Key, e.key(it.at), compact)
		dst = append(quote(dst, r.text), ": "...)
		r.text = r.text[:0]
		dst = r.appendMapValueJSON(dst, m.Value, e.value(it.at), div)
	}
	return append(dst, "}}}\n"...)
}

func (r *Runner) appendMapValueJSON(dst []byte, t *types.Type, v []byte, div int64) []byte {
	switch t.Kind {
	case types.Int:
		return appendIntJSON(dst, quotient(number(t, v), t.Signed, div), t.Signed || div < 0)
	case types.Hist, types.LHist:
		return appendHistJSON(dst, t, v, div)
	case types.Stats:
		dst = appendIntJSON(append(dst, `{"count": `...), word(v, 8), false)
		dst = appendIntJSON(append(dst, `, "average": `...), quotient(average(t, v), t.Signed, div), t.Signed)
		dst = appendIntJSON(append(dst, `, "total": `...), word(v, 0), t.Signed)
		return append(dst, '}')
	}
	if n, ok := scalar(t, v); ok {
		return appendIntJSON(dst, quotient(n, t.Signed, div), t.Signed)
	}
	return r.appendJSON(dst, t, v)
}
