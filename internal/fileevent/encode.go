package fileevent

import "encoding/binary"

// AppendBody appends the body of a record that Decode reads: for those who make records of what they were told in another
// way than by a program of their own. There is no file and no base in it. A path that is longer than the kernel takes is cut, and marked.
func (e *Event) AppendBody(to []byte, comm [16]byte, path []byte) []byte {
	marks := e.Marks
	if len(path) > maxPath {
		path, marks = path[:maxPath], marks|PathCut
	}
	at := len(to)
	to = append(to, make([]byte, Fixed)...)
	body, ne := to[at:], binary.NativeEndian
	ne.PutUint64(body[atDuration:], e.Duration)
	ne.PutUint64(body[atCgroupID:], e.CgroupID)
	ne.PutUint64(body[atCSSSet:], e.CSSSet)
	ne.PutUint64(body[atIno:], e.Ino)
	ne.PutUint64(body[atFlags:], e.Flags)
	ne.PutUint32(body[atDev:], e.Dev)
	ne.PutUint32(body[atPID:], e.PID)
	ne.PutUint32(body[atTID:], e.TID)
	ne.PutUint32(body[atPPID:], e.PPID)
	ne.PutUint32(body[atUID:], e.UID)
	ne.PutUint32(body[atDirFD:], uint32(e.DirFD))
	ne.PutUint32(body[atRet:], uint32(e.Ret))
	ne.PutUint32(body[atMarks:], uint32(marks))
	ne.PutUint16(body[atMode:], e.Mode)
	ne.PutUint16(body[atHow:], uint16(e.How))
	ne.PutUint16(body[atPathLen:], uint16(len(path)))
	copy(body[atComm:], comm[:])
	return append(to, path...)
}

// maxPath is the longest path that the kernel takes, in bytes (PATH_MAX without the NUL).
const maxPath = 4095
