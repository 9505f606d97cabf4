package compile

import (
	"fmt"

	"sonde/internal/compile/check"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// keyMost is the largest key of kernels before 5.11: it had to fit on a program's stack.
const keyMost = 512

// shortKey is the type of a map's keys as this kernel takes it: where keys must be short, strings, buffers and stacks in
// them are cut, all to one size.
func (l *lowerer) shortKey(m *check.Map) *types.Type {
	if m.Key == nil || m.Key.Size <= keyMost || l.t.Has(kernel.LargeKeys) {
		return m.Key
	}
	room := keyMost
	if m.Value != nil && (m.Value.Kind == types.Hist || m.Value.Kind == types.LHist) {
		room -= 16 // the number of the bucket may be added
	}
	for most := room; most >= 8; most -= 8 {
		if t := cutTo(m.Key, most); t.Size <= room {
			l.out.Choices = append(l.out.Choices, fmt.Sprintf("%s: this kernel's maps have keys of %d bytes at most: strings and stacks are cut to %d", m.Name, keyMost, most))
			return t
		}
	}
	return m.Key
}

// cutTo is t with its strings, buffers and stacks cut to most bytes.
func cutTo(t *types.Type, most int) *types.Type {
	switch t.Kind {
	case types.Tuple, types.Record:
		elems, names := make([]*types.Type, len(t.Fields)), make([]string, len(t.Fields))
		for i, f := range t.Fields {
			elems[i], names[i] = cutTo(f.Type, most), f.Name
		}
		if t.Kind == types.Tuple {
			return types.TupleOf(elems)
		}
		return types.RecordOf(names, elems)
	case types.String, types.Buffer, types.KStack, types.UStack:
		if t.Size <= most {
			return t
		}
		short := *t
		short.Size = most
		short.Shortened = t.Kind == types.String
		if t.Kind == types.KStack || t.Kind == types.UStack {
			frame := types.FrameSize(t.StackMode)
			head := t.Size - t.Len*frame
			short.Len = max(most-head, 0) / frame
			short.Size = head + short.Len*frame
		}
		return &short
	}
	return t
}
