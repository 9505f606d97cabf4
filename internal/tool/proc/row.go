package proc

import (
	"bytes"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"sonde/internal/prog"
	"sonde/internal/tool/exec"
)

// What text shows of all three kinds of record.
var (
	eventField  = prog.Field{Key: "event", Kind: prog.Text, Doc: "EXEC, EXIT or FORK", Extra: true}
	detailField = prog.Field{Key: "detail", Kind: prog.Words, Doc: "what the last column shows: the file, or how the process ended", Extra: true}
)

// Positions of those behind the fields of tool/exec.
var (
	fExecEvent  = len(exec.RowType.Fields)
	fExecDetail = fExecEvent + 1
)

// ExecType describes a process that has become another program.
var ExecType = &prog.RowType{Name: "proc_exec", Fields: append(slices.Clone(exec.RowType.Fields), eventField, detailField)}

// The positions of the fields in ExitType.Fields.
const (
	fTime = iota
	fPID
	fPPID
	fTID
	fUID
	fComm
	fExitCode
	fSignal
	fCore
	fDuration
	fSinceFork
	fCPU
	fMaxRSS
	fArgv
	fArgvTruncated
	fMinorFaults
	fMajorFaults
	fReadBytes
	fWrittenBytes
	fStorageRead
	fStorageWritten
	fEvent
	fDetail
	exitFields
)

// ExitType describes the end of a process.
var ExitType = &prog.RowType{
	Name: "proc_exit",
	Fields: []prog.Field{
		fTime:           {Key: "time", Kind: prog.Time, Doc: "when it happened: the new program was in place, the last thread ended, the child was made"},
		fPID:            {Key: "pid", Kind: prog.Uint, Doc: "process id"},
		fPPID:           {Key: "ppid", Kind: prog.Uint, Doc: "process id of the parent"},
		fTID:            {Key: "tid", Kind: prog.Uint, Doc: "the thread: that called exec, that was the last to end, that made the child"},
		fUID:            {Key: "uid", Kind: prog.Uint, Doc: "real user id"},
		fComm:           {Key: "comm", Kind: prog.Text, Doc: "name of the process"},
		fExitCode:       {Key: "exit_code", Kind: prog.Uint, Doc: "exit status; null of a process that was killed"},
		fSignal:         {Key: "signal", Kind: prog.Text, Doc: "the signal that killed it; null if none did"},
		fCore:           {Key: "core", Kind: prog.Bool, Doc: "its memory was dumped"},
		fDuration:       {Key: "duration_ns", Kind: prog.Duration, Doc: "time since its last exec; null where that was not seen"},
		fSinceFork:      {Key: "since_fork_ns", Kind: prog.Duration, Doc: "age of the process, also of one that sonde found running"},
		fCPU:            {Key: "cpu_ns", Kind: prog.Duration, Doc: "CPU time of all its threads, as far as the kernel has counted it by then"},
		fMaxRSS:         {Key: "max_rss_bytes", Kind: prog.Uint, Doc: "the most memory that it had resident, before execs too"},
		fArgv:           {Key: "argv", Kind: prog.Words, Doc: "the argument vector of its last exec; null where that was not seen"},
		fArgvTruncated:  {Key: "argv_truncated", Kind: prog.Bool, Doc: "part of argv is missing"},
		fMinorFaults:    {Key: "minor_faults", Kind: prog.Uint, Doc: "page faults that needed no storage"},
		fMajorFaults:    {Key: "major_faults", Kind: prog.Uint, Doc: "page faults that did"},
		fReadBytes:      {Key: "read_bytes", Kind: prog.Uint, Doc: "bytes read by system calls, from whatever; null where threads ended early and children were waited for"},
		fWrittenBytes:   {Key: "written_bytes", Kind: prog.Uint, Doc: "bytes written by system calls"},
		fStorageRead:    {Key: "storage_read_bytes", Kind: prog.Uint, Doc: "bytes that had to come from storage"},
		fStorageWritten: {Key: "storage_written_bytes", Kind: prog.Uint, Doc: "bytes that were to go to storage"},
		fEvent:          eventField,
		fDetail:         detailField,
	},
}

// usageFields cost extra work in the kernel.
var usageFields = []string{
	"cpu_ns", "max_rss_bytes", "minor_faults", "major_faults", "read_bytes", "written_bytes", "storage_read_bytes", "storage_written_bytes",
}

// ForkType describes the beginning of a process.
var ForkType = &prog.RowType{
	Name:   "proc_fork",
	Fields: append(slices.Clone(ExitType.Fields[:fExitCode]), eventField, detailField),
}

const (
	fForkEvent  = fExitCode
	fForkDetail = fForkEvent + 1
)

// RowType has the fields of all three, and the columns: for --fields and for text. No row is of it.
var RowType = &prog.RowType{
	Name:   "proc",
	Fields: union(ExitType.Fields, ExecType.Fields),
	Columns: []prog.Column{
		{Head: "TIME", Field: "time", Width: 8, Time: prog.TimeClock},
		{Head: "EVENT", Field: "event", Width: 5},
		{Head: "COMM", Field: "comm", Width: 16},
		{Head: "PID", Field: "pid", Width: 7},
		{Head: "PPID", Field: "ppid", Width: 7},
		{Head: "DURATION(MS)", Field: "duration_ns", Width: 12, Right: true, Divide: 1e6, Decimals: 3},
		{Head: "AGE(MS)", Field: "since_fork_ns", Width: 12, Right: true, Divide: 1e6, Decimals: 3},
		{Head: "FILENAME/EXIT CODE", Field: "detail", Mark: "argv_truncated"},
	},
}

// UsageColumns are those that show what a process has used.
var UsageColumns = []prog.Column{
	{Head: "CPU(MS)", Field: "cpu_ns", Width: 10, Right: true, Divide: 1e6, Decimals: 3},
	{Head: "RSS(KB)", Field: "max_rss_bytes", Width: 8, Right: true, Divide: 1024},
	{Head: "MINFLT", Field: "minor_faults", Width: 7, Right: true},
	{Head: "MAJFLT", Field: "major_faults", Width: 6, Right: true},
	{Head: "READ(KB)", Field: "read_bytes", Width: 8, Right: true, Divide: 1024},
	{Head: "WRITTEN(KB)", Field: "written_bytes", Width: 11, Right: true, Divide: 1024},
}

// ClassicColumns are those of libbpf-bootstrap's bootstrap: "%-8s %-5s %-16s %-7d %-7d ".
var ClassicColumns = []prog.Column{
	RowType.Columns[0], RowType.Columns[1], RowType.Columns[2], RowType.Columns[3], RowType.Columns[4],
	{Head: "FILENAME/EXIT CODE", Field: "detail"},
}

func union(lists ...[]prog.Field) (all []prog.Field) {
	seen := make(map[string]bool)
	for _, fields := range lists {
		for _, f := range fields {
			if !seen[f.Key] {
				seen[f.Key] = true
				all = append(all, f)
			}
		}
	}
	return all
}

var (
	textExec = []byte("EXEC")
	textExit = []byte("EXIT")
	textFork = []byte("FORK")
)

// rowMaker makes rows; it reuses all its storage, so a row is good until the next is made.
type rowMaker struct {
	execs            *exec.Rows
	exec, exit, fork prog.Row
	mono2wall        int64 // nanoseconds from CLOCK_MONOTONIC to the Unix epoch
	page             uint64
	args             bool // the detail has the arguments
	classic          bool
	argv, detail     [][]byte
	how, took        []byte
	filename         int // positions in exec.RowType
	execArgs         int
	execFlags        int
}

func newRowMaker(show *Show) *rowMaker {
	row := func(t *prog.RowType) prog.Row { return prog.Row{Type: t, Values: make([]prog.Value, len(t.Fields))} }
	return &rowMaker{
		execs: exec.NewRows(show.Mono2Wall, show.NoArgv), exec: row(ExecType), exit: row(ExitType), fork: row(ForkType),
		mono2wall: show.Mono2Wall, page: show.PageSize, args: show.Args, classic: show.Classic,
		filename: exec.RowType.Index("filename"), execArgs: exec.RowType.Index("args"),
		execFlags: exec.RowType.Index("flags"),
	}
}

func (m *rowMaker) makeExec(e *exec.Event) *prog.Row {
	v := m.exec.Values
	copy(v, m.execs.Make(e).Values)
	// How long the call took is never known here, and need not be said of each.
	v[m.execFlags].List = slices.DeleteFunc(v[m.execFlags].List, func(flag []byte) bool { return string(flag) == "untimed" })
	v[fExecEvent].Bytes = textExec
	if m.args {
		v[fExecDetail].List = v[m.execArgs].List
		return &m.exec
	}
	m.detail = m.detail[:0]
	if name := v[m.filename]; !name.Null {
		m.detail = append(m.detail, name.Bytes)
	}
	v[fExecDetail].List = m.detail
	return &m.exec
}

func (m *rowMaker) makeFork(f *fork) *prog.Row {
	v := m.fork.Values
	v[fTime].Num = int64(f.time) + m.mono2wall
	v[fPID].Num, v[fPPID].Num, v[fTID].Num, v[fUID].Num = int64(f.pid), int64(f.ppid), int64(f.tid), int64(f.uid)
	v[fComm].Bytes = cString(f.comm[:])
	v[fForkEvent].Bytes = textFork
	v[fForkDetail].List = nil
	return &m.fork
}

// makeExit makes the row of an end; was is what was known of the process.
func (m *rowMaker) makeExit(e *end, was life) *prog.Row {
	v := m.exit.Values
	killed := e.signal() != 0
	v[fTime].Num = int64(e.time) + m.mono2wall
	v[fPID].Num, v[fPPID].Num, v[fTID].Num, v[fUID].Num = int64(e.pid), int64(e.ppid), int64(e.tid), int64(e.uid)
	v[fComm].Bytes = cString(e.comm[:])
	v[fExitCode] = prog.Value{Num: int64(e.status()), Null: killed}
	v[fSignal] = prog.Value{Bytes: signalName(e.signal()), Null: !killed}
	v[fCore].Num = int64(e.code >> 7 & 1)
	v[fDuration] = prog.Value{Null: true}
	if d, ok := was.duration(e); ok {
		v[fDuration] = prog.Value{Num: int64(d)}
	}
	v[fSinceFork].Num = int64(e.age)
	m.fillUsage(e)
	m.argv = m.argv[:0]
	if was.argued != nil {
		m.argv = appendWords(m.argv, was.argued.args)
	}
	v[fArgv] = prog.Value{List: m.argv, Null: was.argued == nil}
	v[fArgvTruncated] = prog.Value{Num: int64(bit(was.argued != nil && was.argued.truncated)), Null: was.argued == nil}
	v[fEvent].Bytes = textExit
	m.fillEnd(e, was)
	v[fDetail].List = m.detail
	return &m.exit
}

func (m *rowMaker) fillUsage(e *end) {
	v := m.exit.Values
	for f, n := range map[int]uint64{
		fCPU: e.cpu, fMaxRSS: e.maxRSS * m.page, fMinorFaults: e.minFlt, fMajorFaults: e.majFlt,
		fReadBytes: e.rchar, fWrittenBytes: e.wchar, fStorageRead: e.readBytes, fStorageWritten: e.writeBytes,
	} {
		v[f] = prog.Value{Num: int64(n), Null: !e.usage() || f >= fReadBytes && e.flags&exitNoIO != 0 || f != fMaxRSS && e.flags&exitPart != 0}
	}
}

// fillEnd makes the words that say how a process ended.
func (m *rowMaker) fillEnd(e *end, was life) {
	m.detail, m.how = m.detail[:0], append(m.how[:0], '[')
	switch {
	case e.signal() == 0:
		m.how = strconv.AppendUint(m.how, uint64(e.status()), 10)
	case m.classic:
		m.how = strconv.AppendUint(m.how, 128+uint64(e.signal()), 10) // what a shell calls it
	default:
		m.how = appendDeath(m.how, e)
	}
	m.how = append(m.how, ']')
	m.detail = append(m.detail, m.how)
	if m.classic {
		m.took = append(strconv.AppendUint(append(m.took[:0], '('), classicNS(e, was)/1e6, 10), "ms)"...)
		m.detail = append(m.detail, m.took)
		if e.signal() != 0 {
			m.detail = append(m.detail, appendDeath(nil, e))
		}
	}
	if m.args {
		m.detail = append(m.detail, m.argv...)
	}
}

// classicNS is how long the classic says a process lived: since its exec, and where that was not seen since it was made.
func classicNS(e *end, was life) uint64 {
	if d, ok := was.duration(e); ok {
		return d
	}
	return e.age
}

// duration is the time from the last exec to the end.
func (l life) duration(e *end) (uint64, bool) {
	if l.exec == 0 || l.exec > e.time {
		return 0, false
	}
	return e.time - l.exec, true
}

// appendDeath says by which signal a process died: "SIGSEGV", "SIGSEGV, core dumped".
func appendDeath(to []byte, e *end) []byte {
	to = append(to, signalName(e.signal())...)
	if e.core() {
		to = append(to, ", core dumped"...)
	}
	return to
}

func signalName(n uint32) []byte {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return []byte(name)
	}
	return strconv.AppendUint([]byte("SIG"), uint64(n), 10)
}

// appendWords splits arguments that each end with NUL; the last may have been cut.
func appendWords(to [][]byte, args []byte) [][]byte {
	for len(args) > 0 {
		word, rest, _ := bytes.Cut(args, []byte{0})
		to = append(to, word)
		args = rest
	}
	return to
}
