package malloc

import (
	"strconv"

	"sonde/internal/profile"
	"sonde/internal/prog"
)

// RowType describes a stack once, for every way to show it.
var RowType = &prog.RowType{
	Name: "malloc",
	Fields: []prog.Field{
		{Key: "time", Kind: prog.Time, Doc: "when it was summed up"},
		{Key: "pid", Kind: prog.Uint, Doc: "process id"},
		{Key: "comm", Kind: prog.Text, Doc: "the name of the thread that first had this stack"},
		{Key: "bytes", Kind: prog.Uint, Doc: "bytes asked for"},
		{Key: "calls", Kind: prog.Uint, Doc: "calls that asked"},
		{Key: "outstanding_bytes", Kind: prog.Uint, Doc: "of them, bytes not given back (--outstanding)"},
		{Key: "outstanding_calls", Kind: prog.Uint, Doc: "pieces not given back (--outstanding)"},
		{Key: "oldest_ns", Kind: prog.Duration, Doc: "how old the oldest piece is that was not given back (--outstanding)"},
		{Key: "newest_ns", Kind: prog.Duration, Doc: "how old the newest is"},
		{Key: "stack", Kind: prog.Words, Doc: "functions with offsets, the innermost first; an address that has no name as a number"},
		{Key: "end", Kind: prog.Text, Doc: "how the stack ends: complete, no_frame_pointer, cut, missing"},
	},
	Columns: []prog.Column{{Head: "BYTES", Field: "bytes", Width: 12, Right: true}, {Head: "CALLS", Field: "calls", Width: 9, Right: true}, {Head: "STACK", Field: "stack"}},
}

// The positions of the fields.
const (
	fTime = iota
	fPID
	fComm
	fBytes
	fCalls
	fKeptBytes
	fKeptCalls
	fOldest
	fNewest
	fStack
	fEnd
)

// ends are the values of the field "end".
var ends = map[profile.End][]byte{
	profile.Complete: []byte("complete"), profile.NoFramePointer: []byte("no_frame_pointer"), profile.Cut: []byte("cut"), profile.Missing: []byte("missing"),
}

// rowMaker turns stacks into rows; it reuses its storage, so a row is good until the next is made.
type rowMaker struct {
	row   prog.Row
	stack [][]byte
}

func newRowMaker() *rowMaker {
	return &rowMaker{row: prog.Row{Type: RowType, Values: make([]prog.Value, len(RowType.Fields))}}
}

func (m *rowMaker) make(t *Tracer, e *entry) *prog.Row {
	v := m.row.Values
	clear(v)
	v[fTime].Num = int64(t.now) + t.show.Mono2Wall
	v[fPID].Num = int64(e.of.pid)
	v[fComm].Bytes = []byte(e.of.comm)
	v[fBytes].Num, v[fCalls].Num = int64(e.all.bytes), int64(e.all.calls)
	if t.show.Options.Outstanding {
		v[fKeptBytes].Num, v[fKeptCalls].Num = int64(e.kept.bytes), int64(e.kept.calls)
	} else {
		v[fKeptBytes].Null, v[fKeptCalls].Null = true, true
	}
	if e.oldest != 0 {
		v[fOldest].Num, v[fNewest].Num = int64(t.now-e.oldest), int64(t.now-e.newest)
	} else {
		v[fOldest].Null, v[fNewest].Null = true, true
	}
	m.stack = m.stack[:0]
	for i := range e.of.frames {
		m.stack = append(m.stack, frameText(&e.of.frames[i]))
	}
	v[fStack].List = m.stack
	v[fEnd].Bytes = ends[e.of.end]
	return &m.row
}

// frameText is "name+0x1f", or the address.
func frameText(f *profile.Frame) []byte {
	if f.Name == "" {
		return append([]byte("0x"), strconv.FormatUint(f.Address, 16)...)
	}
	text := append([]byte(f.Name), "+0x"...)
	return strconv.AppendUint(text, f.Offset, 16)
}
