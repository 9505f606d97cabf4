package open

import (
	"strconv"

	"sonde/internal/fileevent"
	"sonde/internal/prog"
)

// extra are the fields that only opens have, or that only text shows.
var extra = []prog.Field{
	{Key: "full", Kind: prog.Text, Doc: "the absolute path: of the file reached, else of what was asked for", Extra: true},
	{Key: "fd", Kind: prog.Int, Doc: "the descriptor, -1 where there is none", Extra: true},
	{Key: "perm", Kind: prog.Text, Doc: "mode in octal", Extra: true},
	{Key: "oflags", Kind: prog.Uint, Doc: "flags as a number", Extra: true},
	{Key: "ppid", Kind: prog.Uint, Doc: "process id of the parent", Extra: true},
	{Key: "how", Kind: prog.Text, Doc: "the system call; or io_uring, exec, kernel", Extra: true},
	{Key: "marks", Kind: prog.Symbols, Doc: "created, deleted, detached (in no directory), compat (32-bit), untimed, *_cut (too long), no_*", Extra: true},
}

// The positions of these, behind those of fileevent.Fields.
const (
	xFull = iota
	xFD
	xPerm
	xOFlags
	xPPID
	xHow
	xMarks
)

// RowType describes an open once, for every way to show it.
var RowType = &prog.RowType{
	Name:   "open",
	Fields: append(append([]prog.Field(nil), fileevent.Fields...), extra...),
	Columns: []prog.Column{
		{Head: "PID", Field: "pid", Width: 7},
		{Head: "COMM", Field: "comm", Width: 16},
		{Head: "FD", Field: "fd", Width: 4, Right: true},
		{Head: "ERR", Field: "errno", Width: 7},
		{Head: "PATH", Field: "path"},
	},
}

// rowMaker turns events into rows; it reuses all its storage, so a row is good until the next is made.
type rowMaker struct {
	row    prog.Row
	maker  fileevent.Maker
	wanted []int // positions in extra
	full   []byte
	perm   []byte
	marks  [][]byte
}

// newRowMaker makes a rowMaker. Only the fields with these keys are filled; nil: all.
func newRowMaker(mono2wall int64, keys []string) *rowMaker {
	return &rowMaker{
		row:    prog.Row{Type: RowType, Values: make([]prog.Value, len(RowType.Fields))},
		maker:  fileevent.NewMaker(mono2wall, keys),
		wanted: fileevent.Wanted(extra, keys),
	}
}

func (m *rowMaker) make(e *fileevent.Event) *prog.Row {
	m.maker.Fill(m.row.Values, e)
	values := m.row.Values[len(fileevent.Fields):]
	for _, i := range m.wanted {
		m.fill(&values[i], i, e)
	}
	return &m.row
}

// fill is as fileevent.Maker's.
func (m *rowMaker) fill(v *prog.Value, field int, e *fileevent.Event) {
	switch field {
	case xFull:
		m.full = e.AppendFull(m.full[:0])
		v.Bytes, v.Null = m.full, len(m.full) == 0 && e.Marks&fileevent.NoPath != 0
	case xFD:
		v.Num = descriptor(e)
	case xPerm:
		m.perm = m.perm[:0]
		if e.Marks&fileevent.NoMode == 0 {
			m.perm = strconv.AppendUint(append(m.perm, '0'), uint64(e.Mode), 8)
		}
		v.Bytes, v.Null = m.perm, len(m.perm) == 0
	case xOFlags:
		v.Num = int64(e.Flags)
	case xPPID:
		v.Num, v.Null = int64(e.PPID), e.PPID == 0
	case xHow:
		v.Bytes, v.Null = howText(e.How), e.How == 0
	case xMarks:
		m.marks = e.Marks.AppendNames(m.marks[:0])
		v.List = m.marks
	}
}

// descriptor is what an open gave to its process.
func descriptor(e *fileevent.Event) int64 {
	if e.Ret < 0 || e.How > fileevent.ByHandle {
		return -1
	}
	return int64(e.Ret)
}

// howTexts saves a conversion for each record.
var howTexts = func() (texts [fileevent.ByHook + 1][]byte) {
	for how := range texts {
		texts[how] = []byte(fileevent.How(how).String())
	}
	return texts
}()

func howText(how fileevent.How) []byte {
	if int(how) < len(howTexts) {
		return howTexts[how]
	}
	return nil
}
