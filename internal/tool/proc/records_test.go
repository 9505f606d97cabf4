package proc

import (
	"encoding/binary"
	"strings"

	"sonde/internal/prog"
)

// madeEnd is an exit record that a test makes by hand.
func (e end) record(seq uint64) prog.Record {
	b := make([]byte, exitSize)
	le := binary.NativeEndian
	for at, v := range map[int]uint64{
		exitStart: e.start, exitAge: e.age, exitMaxRSS: e.maxRSS, exitCPU: e.cpu, exitMinFlt: e.minFlt, exitMajFlt: e.majFlt,
		exitRchar: e.rchar, exitWchar: e.wchar, exitReadBytes: e.readBytes, exitWriteBytes: e.writeBytes,
	} {
		le.PutUint64(b[at:], v)
	}
	for at, v := range map[int]uint32{
		exitPID: e.pid, exitTID: e.tid, exitPPID: e.ppid, exitUID: e.uid, exitCode: e.code, exitExecID: e.execID, exitFlags: e.flags,
	} {
		le.PutUint32(b[at:], v)
	}
	copy(b[exitComm:], e.comm[:])
	return prog.Record{Type: recordExit, Seq: seq, Time: e.time, Body: b}
}

func (f fork) record(seq uint64) prog.Record {
	b := make([]byte, forkSize)
	le := binary.NativeEndian
	for at, v := range map[int]uint32{forkPID: f.pid, forkPPID: f.ppid, forkTID: f.tid, forkUID: f.uid, forkExecID: f.execID} {
		le.PutUint32(b[at:], v)
	}
	copy(b[forkComm:], f.comm[:])
	return prog.Record{Type: recordFork, Seq: seq, Time: f.time, Body: b}
}

// madeExec is a record of an exec. tool/exec's own tests hold its layout; here it is enough that its decoder takes it.
type madeExec struct {
	time           uint64
	pid, ppid, uid uint32
	execID         uint32
	comm           string
	filename, args string
	flags          uint16
}

func (m madeExec) record(seq uint64) prog.Record {
	const (
		pid, tid, ppid, uid, total, length, flags, filename, comm, execID, fixed = 52, 56, 60, 64, 84, 88, 92, 94, 100, 148, 152
	)
	b := make([]byte, fixed)
	le := binary.NativeEndian
	for at, v := range map[int]uint32{
		pid: m.pid, tid: m.pid, ppid: m.ppid, uid: m.uid, total: uint32(len(m.args)), length: uint32(len(m.args)), execID: m.execID,
	} {
		le.PutUint32(b[at:], v)
	}
	le.PutUint16(b[flags:], m.flags)
	le.PutUint16(b[filename:], uint16(len(m.filename)+1))
	copy(b[comm:comm+16], m.comm)
	return prog.Record{Type: recordExec, Seq: seq, Time: m.time, Body: append(append(b, m.filename+"\x00"...), m.args...)}
}

func comm(s string) (c [16]byte) {
	copy(c[:], s)
	return c
}

// words ends each word with NUL, as the kernel keeps an argument vector.
func words(s ...string) string { return strings.Join(s, "\x00") + "\x00" }

const (
	second = uint64(1e9)
	ms     = uint64(1e6)
)

const flagUntimed = 128 // exec.h: EXEC_UNTIMED

// family is a run as the kernel tells it: a shell that starts a compiler, which is killed, and a child of its own.
var family = []prog.Record{
	madeExec{time: 10 * second, pid: 100, ppid: 1, uid: 7, execID: 5, comm: "sh", filename: "/bin/sh", args: words("sh", "-c", "cc; (exit 4)"), flags: flagUntimed}.record(1),
	fork{time: 10*second + 5*ms, pid: 101, ppid: 100, tid: 100, uid: 7, execID: 5, comm: comm("sh")}.record(2),
	madeExec{time: 10*second + 6*ms, pid: 101, ppid: 100, uid: 7, execID: 6, comm: "cc", filename: "/usr/bin/cc", args: words("cc", "", "a\x1b[2J.c"), flags: flagUntimed}.record(3),
	end{
		time: 11 * second, start: 10*second + 4*ms, age: 996 * ms, pid: 101, tid: 101, ppid: 100, uid: 7, code: 11 | 0x80, execID: 6, flags: exitUsage,
		cpu: 900 * ms, maxRSS: 1000, minFlt: 12, majFlt: 3, rchar: 4096, wchar: 1, readBytes: 8192, writeBytes: 0, comm: comm("cc"),
	}.record(4),
	fork{time: 11*second + 1*ms, pid: 102, ppid: 100, tid: 100, uid: 7, execID: 5, comm: comm("sh")}.record(5),
	end{time: 11*second + 2*ms, start: 11 * second, age: 2 * ms, pid: 102, tid: 103, ppid: 100, uid: 7, code: 4 << 8, execID: 5, flags: exitUsage | exitNoIO, comm: comm("sh")}.record(6),
	end{time: 11*second + 3*ms, start: 9 * second, age: 2003 * ms, pid: 100, tid: 100, ppid: 1, uid: 7, code: 139 << 8, execID: 5, comm: comm("sh")}.record(7),
}
