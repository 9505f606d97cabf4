package fileevent

import (
	"slices"

	"sonde/internal/prog"
)

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
	mono2wall  int64
	wanted     []int // positions in Fields
	path, file []byte
	flags      [][]byte
}

// NewMaker returns a Maker. mono2wall is nanoseconds from CLOCK_MONOTONIC to the Unix epoch. Of keys, those of Fields are
// filled, the others left alone; nil: all of Fields.
func NewMaker(mono2wall int64, keys []string) Maker {
	return Maker{mono2wall: mono2wall, wanted: Wanted(Fields, keys)}
}

// Wanted returns the positions of the fields that have one of these keys; nil: of all.
func Wanted(fields []prog.Field, keys []string) (at []int) {
	for i, f := range fields {
		if keys == nil || slices.Contains(keys, f.Key) {
			at = append(at, i)
		}
	}
	return at
}

// Fill sets those of the first len(Fields) values that are wanted. The other members of a value are never set: that they
// stay zero saves most of the work.
func (m *Maker) Fill(values []prog.Value, e *Event) {
	for _, i := range m.wanted {
		m.fill(&values[i], i, e)
	}
}

func (m *Maker) fill(v *prog.Value, field int, e *Event) {
	switch field {
	case fTime:
		v.Num = int64(e.Time) + m.mono2wall
	case fPID:
		v.Num = int64(e.PID)
	case fTID:
		v.Num = int64(e.TID)
	case fUID:
		v.Num = int64(e.UID)
	case fComm:
		v.Bytes = e.Comm()
	case fPComm:
		v.Bytes = e.PComm()
		v.Null = len(v.Bytes) == 0
	case fPath:
		m.path = e.AppendPath(m.path[:0])
		v.Bytes, v.Null = m.path, e.Marks&NoPath != 0
	case fFile:
		m.file = m.file[:0]
		if e.HasFile() {
			m.file = e.AppendFile(m.file)
		}
		v.Bytes, v.Null = m.file, !e.HasFile()
	case fDev:
		v.Num, v.Null = int64(StatDev(e.Dev)), !e.Reached()
	case fIno:
		v.Num, v.Null = int64(e.Ino), !e.Reached()
	case fDirFD:
		v.Num, v.Null = int64(e.DirFD), e.Marks&NoDirFD != 0
	case fFlags:
		m.flags = AppendFlags(m.flags[:0], e.Flags)
		v.List = m.flags
	case fMode:
		v.Num, v.Null = int64(e.Mode), e.Marks&NoMode != 0
	case fRet:
		v.Num = int64(e.Ret)
	case fErrno:
		v.Num = max(0, -int64(e.Ret))
	case fDuration:
		v.Num, v.Null = int64(e.Duration), e.Marks&Untimed != 0
	case fCgroupID:
		v.Num, v.Null = int64(e.CgroupID), e.CgroupID == 0
	case fCgroup:
		v.Bytes, v.Null = e.Cgroup, len(e.Cgroup) == 0
	case fContainer:
		v.Bytes, v.Null = e.Container, len(e.Container) == 0
	}
}

// StatDev turns the kernel's own device number (12 bits major, 20 bits minor) into that of stat(2) (linux/kdev_t.h, glibc's makedev).
func StatDev(dev uint32) uint64 {
	major, minor := uint64(dev>>20), uint64(dev&0xfffff)
	return minor&0xff | (major&0xfff)<<8 | (minor&^0xff)<<12 | (major&^0xfff)<<32
}
