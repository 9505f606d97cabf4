package fileevent

import "sonde/internal/prog"

// The positions of the fields in Fields.
const (
	fTime = iota
	fPID
	fTID
	fUID
	fComm
	fPComm
	fPath
	fFile
	fDev
	fIno
	fDirFD
	fFlags
	fMode
	fRet
	fErrno
	fDuration
	fCgroupID
	fCgroup
	fContainer
)

// Fields describe an Event. Row types of tools that tell of accesses to files begin with them.
var Fields = []prog.Field{
	fTime:      {Key: "time", Kind: prog.Time, Doc: "when it began"},
	fPID:       {Key: "pid", Kind: prog.Uint, Doc: "process id"},
	fTID:       {Key: "tid", Kind: prog.Uint, Doc: "the thread that asked"},
	fUID:       {Key: "uid", Kind: prog.Uint, Doc: "real user id"},
	fComm:      {Key: "comm", Kind: prog.Text, Doc: "name of the process"},
	fPComm:     {Key: "pcomm", Kind: prog.Text, Doc: "name of the parent"},
	fPath:      {Key: "path", Kind: prog.Text, Doc: "the path as asked for; null where it was not in memory, or there was none"},
	fFile:      {Key: "file", Kind: prog.Text, Doc: "the file reached, from the root of the mount namespace; null where none was"},
	fDev:       {Key: "dev", Kind: prog.Uint, Doc: "device of the file, as st_dev of stat(2) has it"},
	fIno:       {Key: "ino", Kind: prog.Uint, Doc: "inode of the file"},
	fDirFD:     {Key: "dirfd", Kind: prog.Int, Doc: "the directory a relative path starts from; -100 is the working directory"},
	fFlags:     {Key: "flags", Kind: prog.Symbols, Doc: "flags by name, the access mode first"},
	fMode:      {Key: "mode", Kind: prog.Uint, Doc: "permissions asked for a new file"},
	fRet:       {Key: "ret", Kind: prog.Int, Doc: "the descriptor, or the negative error number"},
	fErrno:     {Key: "errno", Kind: prog.Errno, Doc: "the error by name"},
	fDuration:  {Key: "duration_ns", Kind: prog.Duration, Doc: "time it took; null where its start was not seen"},
	fCgroupID:  {Key: "cgroup_id", Kind: prog.Uint, Doc: "id of the cgroup (v2)"},
	fCgroup:    {Key: "cgroup", Kind: prog.Text, Doc: "path of the cgroup; null where the process was gone too soon"},
	fContainer: {Key: "container", Kind: prog.Text, Doc: "id of the container, null outside of one"},
}

// Maker fills values from Events; it reuses its storage, so what it filled is good until it fills again.
type Maker struct {
	Mono2Wall int64 // nanoseconds from CLOCK_MONOTONIC to the Unix epoch

	path, file []byte
	flags      [][]byte
}

// Fill sets the first len(Fields) values.
func (m *Maker) Fill(values []prog.Value, e *Event) {
	v := values[:len(Fields)]
	v[fTime] = prog.Value{Num: int64(e.Time) + m.Mono2Wall}
	v[fPID] = prog.Value{Num: int64(e.PID)}
	v[fTID] = prog.Value{Num: int64(e.TID)}
	v[fUID] = prog.Value{Num: int64(e.UID)}
	v[fComm] = prog.Value{Bytes: e.Comm()}
	v[fPComm] = prog.Value{Bytes: e.PComm(), Null: len(e.PComm()) == 0}
	m.path = e.AppendPath(m.path[:0])
	v[fPath] = prog.Value{Bytes: m.path, Null: e.Marks&NoPath != 0}
	m.file = m.file[:0]
	if e.HasFile() {
		m.file = e.AppendFile(m.file)
	}
	v[fFile] = prog.Value{Bytes: m.file, Null: !e.HasFile()}
	v[fDev] = prog.Value{Num: int64(StatDev(e.Dev)), Null: !e.Reached()}
	v[fIno] = prog.Value{Num: int64(e.Ino), Null: !e.Reached()}
	v[fDirFD] = prog.Value{Num: int64(e.DirFD), Null: e.Marks&NoDirFD != 0}
	m.flags = AppendFlags(m.flags[:0], e.Flags)
	v[fFlags] = prog.Value{List: m.flags}
	v[fMode] = prog.Value{Num: int64(e.Mode), Null: e.Marks&NoMode != 0}
	v[fRet] = prog.Value{Num: int64(e.Ret)}
	v[fErrno] = prog.Value{Num: max(0, -int64(e.Ret))}
	v[fDuration] = prog.Value{Num: int64(e.Duration), Null: e.Marks&Untimed != 0}
	v[fCgroupID] = prog.Value{Num: int64(e.CgroupID), Null: e.CgroupID == 0}
	v[fCgroup] = prog.Value{Bytes: e.Cgroup, Null: len(e.Cgroup) == 0}
	v[fContainer] = prog.Value{Bytes: e.Container, Null: len(e.Container) == 0}
}

// StatDev turns the kernel's own device number (12 bits major, 20 bits minor) into that of stat(2) (linux/kdev_t.h, glibc's makedev).
func StatDev(dev uint32) uint64 {
	major, minor := uint64(dev>>20), uint64(dev&0xfffff)
	return minor&0xff | (major&0xfff)<<8 | (minor&^0xff)<<12 | (major&^0xfff)<<32
}
