package exec

import (
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// The positions of the fields in RowType.Fields.
const (
	fTime = iota
	fPID
	fPPID
	fTID
	fUID
	fEUID
	fGID
	fComm
	fPComm
	fFilename
	fExe
	fDev
	fIno
	fArgv
	fArgvTruncated
	fCwd
	fRet
	fErrno
	fExectime
	fCgroupID
	fCgroup
	fContainer
	fMntns
	fPidns
	fFlags
	fTTY
	fSID
	fArgs
	fieldCount
)

// RowType describes an exec record once, for every way to show it.
var RowType = &prog.RowType{
	Name: "exec",
	Fields: []prog.Field{
		fTime:          {Key: "time", Kind: prog.Time, Doc: "when the exec began"},
		fPID:           {Key: "pid", Kind: prog.Uint, Doc: "process id"},
		fPPID:          {Key: "ppid", Kind: prog.Uint, Doc: "process id of the parent"},
		fTID:           {Key: "tid", Kind: prog.Uint, Doc: "the thread that called; a successful exec makes it the leader"},
		fUID:           {Key: "uid", Kind: prog.Uint, Doc: "real user id, after the exec"},
		fEUID:          {Key: "euid", Kind: prog.Uint, Doc: "effective user id, after the exec"},
		fGID:           {Key: "gid", Kind: prog.Uint, Doc: "real group id, after the exec"},
		fComm:          {Key: "comm", Kind: prog.Text, Doc: "name of the process: the new one, of a failed exec the caller's"},
		fPComm:         {Key: "pcomm", Kind: prog.Text, Doc: "name of the parent"},
		fFilename:      {Key: "filename", Kind: prog.Text, Doc: "the file as asked for; /dev/fd/N... where it was given by descriptor"},
		fExe:           {Key: "exe", Kind: prog.Text, Doc: "the executable reached, of a script its interpreter; of a failed exec the caller's"},
		fDev:           {Key: "dev", Kind: prog.Uint, Doc: "device of exe, as st_dev of stat(2) has it"},
		fIno:           {Key: "ino", Kind: prog.Uint, Doc: "inode of exe"},
		fArgv:          {Key: "argv", Kind: prog.Words, Doc: "the argument vector; null stands for a word that was not in memory"},
		fArgvTruncated: {Key: "argv_truncated", Kind: prog.Bool, Doc: "part of argv is missing"},
		fCwd:           {Key: "cwd", Kind: prog.Text, Doc: "working directory"},
		fRet:           {Key: "ret", Kind: prog.Int, Doc: "what the call returned: 0, or the negative error number"},
		fErrno:         {Key: "errno", Kind: prog.Errno, Doc: "the error by name"},
		fExectime:      {Key: "exectime_ns", Kind: prog.Duration, Doc: "time inside the call; null where its start was not seen"},
		fCgroupID:      {Key: "cgroup_id", Kind: prog.Uint, Doc: "id of the cgroup (v2)"},
		fCgroup:        {Key: "cgroup", Kind: prog.Text, Doc: "path of the cgroup; null where the process was gone too soon"},
		fContainer:     {Key: "container", Kind: prog.Text, Doc: "id of the container, null outside of one"},
		fMntns:         {Key: "mntns", Kind: prog.Uint, Doc: "inode of the mount namespace"},
		fPidns:         {Key: "pidns", Kind: prog.Uint, Doc: "inode of the pid namespace"},
		fFlags:         {Key: "flags", Kind: prog.Symbols, Doc: "script, compat (32-bit), memfd, deleted, untimed, path_cut"},
		fTTY:           {Key: "tty", Kind: prog.Text, Doc: "controlling terminal", Extra: true},
		fSID:           {Key: "sid", Kind: prog.Uint, Doc: "session id", Extra: true},
		fArgs:          {Key: "args", Kind: prog.Words, Doc: "the command line as the text form shows it", Extra: true},
	},
	Columns: []prog.Column{
		{Head: "PCOMM", Field: "comm", Width: 16},
		{Head: "PID", Field: "pid", Width: 7},
		{Head: "PPID", Field: "ppid", Width: 7},
		{Head: "EXECTIME(US)", Field: "exectime_ns", Width: 12, Right: true, Divide: 1000},
		{Head: "RET", Field: "ret", Width: 3, Right: true},
		{Head: "ARGS", Field: "args", Mark: "argv_truncated"},
	},
}

// Sets of fields that cost extra work in the kernel.
var (
	pathFields = []string{"exe", "dev", "ino", "cwd", "flags"}
	idFields   = []string{"euid", "gid", "pcomm", "cgroup_id", "cgroup", "container", "mntns", "pidns", "tty", "sid"}
)

// rowMaker turns events into rows; it reuses all its storage, so a row is good until the next is made.
type rowMaker struct {
	row       prog.Row
	mono2wall int64 // nanoseconds from CLOCK_MONOTONIC to the Unix epoch
	classic   bool
	noArgv    bool // the field argv is not looked at
	words     [][]byte
	args      [][]byte
	flags     [][]byte
	exe, cwd  []byte
}

func newRowMaker(mono2wall int64, classic bool) *rowMaker {
	return &rowMaker{row: prog.Row{Type: RowType, Values: make([]prog.Value, fieldCount)}, mono2wall: mono2wall, classic: classic}
}

func (m *rowMaker) make(e *event) *prog.Row {
	v := m.row.Values
	v[fTime] = prog.Value{Num: int64(e.start) + m.mono2wall}
	v[fPID].Num = int64(e.pid)
	v[fPPID].Num = int64(e.ppid)
	v[fTID].Num = int64(e.tid)
	v[fUID].Num = int64(e.uid)
	v[fEUID].Num = int64(e.euid)
	v[fGID].Num = int64(e.gid)
	v[fComm].Bytes = cString(e.comm[:])
	v[fPComm].Bytes = cString(e.pcomm[:])
	v[fFilename] = prog.Value{Bytes: cString(e.filename()), Null: e.flags&flagNoFilename != 0}
	v[fArgvTruncated].Num = truth(e.truncated())
	v[fRet].Num = int64(e.ret)
	v[fErrno].Num = max(0, -int64(e.ret))
	v[fExectime] = prog.Value{Num: int64(e.end - e.start), Null: e.flags&flagUntimed != 0}
	m.words = e.appendWords(m.words[:0])
	v[fArgv].List = m.words
	v[fArgs].List = m.commandLine(e)
	m.paths(e)
	m.ids(e)
	m.flags = appendFlags(m.flags[:0], e)
	v[fFlags].List = m.flags
	return &m.row
}

func (m *rowMaker) paths(e *event) {
	v := m.row.Values
	known := len(e.exe()) > 0
	m.exe = appendPath(m.exe[:0], e.exe(), e.flags&flagExeCut != 0)
	m.cwd = appendPath(m.cwd[:0], e.cwd(), e.flags&flagCwdCut != 0)
	v[fExe] = prog.Value{Bytes: m.exe, Null: !known}
	v[fCwd] = prog.Value{Bytes: m.cwd, Null: !known}
	v[fDev] = prog.Value{Num: int64(statDev(e.dev)), Null: !known}
	v[fIno] = prog.Value{Num: int64(e.ino), Null: !known}
}

func (m *rowMaker) ids(e *event) {
	v := m.row.Values
	known := e.flags&flagIDs != 0
	v[fCgroupID] = prog.Value{Num: int64(e.cgroupID), Null: !known}
	v[fCgroup] = prog.Value{Bytes: e.cgroup, Null: len(e.cgroup) == 0}
	v[fContainer] = prog.Value{Bytes: e.container, Null: len(e.container) == 0}
	v[fMntns] = prog.Value{Num: int64(e.mntns), Null: !known}
	v[fPidns] = prog.Value{Num: int64(e.pidns), Null: !known}
	tty := cString(e.tty[:])
	v[fTTY] = prog.Value{Bytes: tty, Null: len(tty) == 0}
	v[fSID] = prog.Value{Num: int64(e.sid), Null: !known}
}

// commandLine is what the ARGS column shows: the file as asked for and what follows argv[0]. Of a script the kernel
// has put the interpreter, its one argument and the script's name in front: sonde shows that as it is, the classic
// execsnoop knew only what the caller had written, so there the interpreter is left out again.
func (m *rowMaker) commandLine(e *event) [][]byte {
	name := cString(e.filename())
	words := m.words
	if e.flags&flagNoFilename != 0 || len(words) == 0 {
		if len(name) > 0 && len(words) == 0 {
			m.args = append(m.args[:0], name)
			return m.args
		}
		return words
	}
	rest := words[1:]
	if e.flags&flagScript != 0 && e.ret == 0 {
		if !m.classic {
			return words
		}
		for i := 1; i < min(3, len(words)); i++ {
			if string(words[i]) == string(name) {
				rest = words[i+1:]
				break
			}
		}
	}
	if m.noArgv {
		// Nobody looks at the argument vector itself: no copy of what may be thousands of words.
		args := words[len(words)-len(rest)-1:]
		args[0] = name
		return args
	}
	m.args = append(append(m.args[:0], name), rest...)
	return m.args
}

var (
	symScript  = []byte("script")
	symCompat  = []byte("compat")
	symMemfd   = []byte("memfd")
	symDeleted = []byte("deleted")
	symUntimed = []byte("untimed")
	symPathCut = []byte("path_cut")
)

func appendFlags(to [][]byte, e *event) [][]byte {
	for _, f := range []struct {
		on   bool
		name []byte
	}{
		{e.flags&flagScript != 0, symScript},
		{e.flags&flagCompat != 0, symCompat},
		{e.memfd(), symMemfd},
		{e.flags&flagNoLink != 0 && !e.memfd(), symDeleted},
		{e.flags&flagUntimed != 0, symUntimed},
		{e.flags&(flagExeCut|flagCwdCut) != 0 || e.filenameCut(), symPathCut},
	} {
		if f.on {
			to = append(to, f.name)
		}
	}
	return to
}

// memfd says whether the executable is a memfd: a file without a link, in no directory, of the name that the kernel gives one.
// A file on disk that somebody called memfd:x hangs in a directory.
func (e *event) memfd() bool {
	const both = flagNoLink | flagDetached
	return e.flags&both == both && len(e.exe()) > 6 && string(e.exe()[:6]) == "memfd:"
}

// filenameCut says whether the name as asked for is longer than the kernel takes (PATH_MAX, the NUL counted) and so than
// what was read of it.
func (e *event) filenameCut() bool {
	return e.ret == -int32(unix.ENAMETOOLONG) && len(e.filename()) == unix.PathMax
}

// statDev turns the kernel's own device number (12 bits major, 20 bits minor) into that of stat(2) (linux/kdev_t.h, glibc's makedev).
func statDev(dev uint32) uint64 {
	major, minor := uint64(dev>>20), uint64(dev&0xfffff)
	return minor&0xff | (major&0xfff)<<8 | (minor&^0xff)<<12 | (major&^0xfff)<<32
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
