package guard

import (
	"math/bits"
	"slices"

	"sonde/internal/fileevent"
	"sonde/internal/prog"
	"sonde/internal/tool/guard/rule"
)

// RowType describes a decision once, for every way to show it: the fields of an access to a file, and guard's own.
var RowType = &prog.RowType{
	Name:   "guard",
	Fields: append(slices.Clip(slices.Clone(fileevent.Fields)), ownFields...),
	Columns: []prog.Column{
		{Head: "TIME", Field: "time", Width: 8},
		{Head: "OUTCOME", Field: "outcome", Width: 8},
		{Head: "COMM", Field: "comm", Width: 16},
		{Head: "PID", Field: "pid", Width: 7},
		{Head: "UID", Field: "uid", Width: 5},
		{Head: "ACCESS", Field: "access", Width: 10},
		{Head: "RULE", Field: "rule", Width: 12},
		{Head: "FILE", Field: "file"},
	},
}

var ownFields = []prog.Field{
	{Key: "access", Kind: prog.Symbols, Doc: "what was asked for that the rule is about: read, write, create, delete, rename, link, truncate, exec, metadata"},
	{Key: "rule", Kind: prog.Text, Doc: "name of the rule that decided"},
	{Key: "action", Kind: prog.Text, Doc: "what the rule asks for: log, kill, deny, deny+kill"},
	{Key: "mechanism", Kind: prog.Text, Doc: "how it takes effect: lsm, fmod_ret, override, kill"},
	{Key: "outcome", Kind: prog.Text, Doc: "what came of it: denied, killed, logged, late (killed, where it could not be denied), rate-limited, dry-run"},
	{Key: "match", Kind: prog.Text, Doc: "by what the rule was found: object, entry, name, glob, tree, depth, learnt", Extra: true},
}

var (
	accessNames = [...]string{"read", "write", "create", "delete", "rename", "link", "truncate", "exec", "metadata"}
	actionNames = [...]string{rule.Log: "log", rule.Kill: "kill", rule.Deny: "deny", rule.DenyKill: "deny+kill", rule.Allow: "allow"}
)

// rowMaker turns events into rows; it reuses all its storage, so a row is good until the next is made.
type rowMaker struct {
	row    prog.Row
	file   fileevent.Maker
	mounts mountNames
	access [][]byte
	path   []byte
}

func newRowMaker(mono2wall int64) *rowMaker {
	return &rowMaker{
		row:  prog.Row{Type: RowType, Values: make([]prog.Value, len(RowType.Fields))},
		file: fileevent.NewMaker(mono2wall, nil), mounts: mountNames{table: "/proc/self/mountinfo"},
	}
}

var fFile, fRet = RowType.Index("file"), RowType.Index("ret")

func (m *rowMaker) make(e *Event, ruleName string) *prog.Row {
	m.file.Fill(m.row.Values, &e.Event)
	// The hooks are asked before there is a descriptor.
	m.row.Values[fRet].Null = e.Ret >= 0
	if e.Marks&fileevent.Walked != 0 && (e.Ino == 0 || e.Marks&fileevent.Detached != 0) {
		// What is to be made is not there yet, and has a name all the same; how it goes on above its file system is in no record.
		m.path = e.AppendFile(m.path[:0])
		if e.Marks&(fileevent.Detached|fileevent.FileCut) == fileevent.Detached {
			m.path = slices.Insert(m.path, 0, m.mounts.of(e.Dev, m.path)...)
		}
		m.row.Values[fFile] = prog.Value{Bytes: m.path}
	}
	if e.Mechanism == Override && !e.Reached() {
		// It was decided at the entry of the call, by what the caller wrote, and that is all there is.
		m.path = e.AppendFull(m.path[:0])
		m.row.Values[fFile] = prog.Value{Bytes: m.path, Null: e.Marks&fileevent.NoPath != 0}
	}
	own := m.row.Values[len(fileevent.Fields):]
	m.access = m.access[:0]
	for left := uint(e.Access & rule.AllAccess); left != 0; left &= left - 1 {
		m.access = append(m.access, []byte(accessNames[bits.TrailingZeros(left)]))
	}
	own[0] = prog.Value{List: m.access}
	own[1] = prog.Value{Bytes: []byte(ruleName), Null: ruleName == ""}
	own[2] = prog.Value{Bytes: []byte(actionNames[e.Action])}
	own[3] = prog.Value{Bytes: []byte(e.Mechanism)}
	own[4] = prog.Value{Bytes: []byte(e.Outcome.String())}
	own[5] = prog.Value{Bytes: []byte(e.Match.String())}
	return &m.row
}
