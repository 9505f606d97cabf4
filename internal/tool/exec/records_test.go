package exec

import (
	"encoding/binary"
	"strings"
)

// made is an exec record that a test makes by hand.
type made struct {
	flags                               uint16
	ret                                 int32
	pid, tid, ppid, uid, euid, gid, sid uint32
	end, cgroup, ino                    uint64
	dev, mntns, pidns                   uint32
	comm, pcomm, tty                    string
	filename, exe, cwd                  string // exe and cwd as the kernel sends them: names, the innermost first
	args                                string
}

// body is the record as decodeExec takes it.
func (m made) body() []byte {
	b := make([]byte, execFixed)
	le := binary.NativeEndian
	le.PutUint64(b[execEnd:], m.end)
	le.PutUint64(b[execCgroupID:], m.cgroup)
	le.PutUint64(b[execIno:], m.ino)
	for at, v := range map[int]uint32{
		execDev: m.dev, execMntns: m.mntns, execPidns: m.pidns, execPID: m.pid, execTID: m.tid, execPPID: m.ppid,
		execUID: m.uid, execEUID: m.euid, execGID: m.gid, execSID: m.sid, execRet: uint32(m.ret),
		execArgsTotal: uint32(len(m.args)), execArgsLen: uint32(len(m.args)),
	} {
		le.PutUint32(b[at:], v)
	}
	for at, v := range map[int]int{execFlags: int(m.flags), execFilenameLen: len(m.filename), execExeLen: len(m.exe), execCwdLen: len(m.cwd)} {
		le.PutUint16(b[at:], uint16(v))
	}
	copy(b[execComm:execComm+16], m.comm)
	copy(b[execPComm:execPComm+16], m.pcomm)
	copy(b[execTTY:execTTY+16], m.tty)
	return append(b, m.filename+m.exe+m.cwd+m.args...)
}

// chunk is an arguments record as addArgs takes it.
type chunk struct {
	seq        uint64
	data       string
	last       bool
	unreadable uint64
	flags      uint32
}

func (c chunk) body() []byte {
	b := make([]byte, argsFixed)
	le := binary.NativeEndian
	le.PutUint64(b[argsSeq:], c.seq)
	le.PutUint32(b[argsLen:], uint32(len(c.data)))
	le.PutUint32(b[argsLast:], uint32(truth(c.last)))
	le.PutUint64(b[argsUnreadable:], c.unreadable)
	le.PutUint32(b[argsFlags:], c.flags)
	return append(b, c.data...)
}

// words ends each word with NUL, as the kernel keeps an argument vector.
func words(s ...string) string {
	if len(s) == 0 {
		return ""
	}
	return strings.Join(s, "\x00") + "\x00"
}

// put32 and put16 write a lie over a record.
func put32(b []byte, at int, v uint32) []byte {
	binary.NativeEndian.PutUint32(b[at:], v)
	return b
}

func put16(b []byte, at int, v uint16) []byte {
	binary.NativeEndian.PutUint16(b[at:], v)
	return b
}

// sample is a record with something in every place.
var sample = made{
	flags: flagIDs, pid: 4711, tid: 4712, ppid: 4700, uid: 1000, euid: 0, gid: 100, sid: 4000,
	end: 1_500_000, cgroup: 77, ino: 1234567, dev: 8<<20 | 1, mntns: 4026531841, pidns: 4026531836,
	comm: "ls", pcomm: "sh", tty: "pts/3",
	filename: "/bin/ls\x00", exe: words("ls", "bin", "usr"), cwd: words("me", "home"),
	args: words("ls", "", "/"),
}
