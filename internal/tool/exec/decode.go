package exec

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The flags of exec_record, as exec.h has them.
const (
	flagScript     = 1 << iota // the kernel ran an interpreter in its place
	flagCompat                 // a 32-bit program
	flagNoLink                 // the executable has no name any more
	flagDetached               // ... and hangs in no tree: a memfd
	flagMore                   // arguments follow in records of their own
	flagArgsCut                // a limit cut the arguments
	flagArgsFault              // part of the arguments was not in memory
	flagUntimed                // the start of the exec was not seen
	flagExeCut                 // exe is too deep
	flagNoFilename             // the name as asked was not in memory
	flagIDs                    // what only WANT_IDS fills in is there
	flagCwdCut                 // cwd is too deep
)

const (
	recordTreeEnded = 0 // bpf/record.bpf.h
	recordExec      = 1
	recordArgs      = 2

	maxPooledEvent = 64 << 10 // bytes of an event's buffer that are kept for reuse
)

// Where the members of struct exec_record lie, behind its header. layout_test.go holds these and those of args_record
// against the types in the embedded object.
const (
	execEnd         = 0
	execCgroupID    = 8
	execCSSSet      = 16
	execIno         = 24
	execUnreadable  = 32
	execDev         = 40
	execMntns       = 44
	execPidns       = 48
	execPID         = 52
	execTID         = 56
	execPPID        = 60
	execUID         = 64
	execEUID        = 68
	execGID         = 72
	execSID         = 76
	execRet         = 80
	execArgsTotal   = 84
	execArgsLen     = 88
	execFlags       = 92
	execFilenameLen = 94
	execExeLen      = 96
	execCwdLen      = 98
	execComm        = 100
	execPComm       = 116
	execTTY         = 132
	execExecID      = 148
	execFixed       = 152 // what follows: filename, exe, cwd, arguments
)

// The same of struct args_record.
const (
	argsSeq        = 0
	argsLen        = 8
	argsLast       = 12
	argsUnreadable = 16
	argsFlags      = 24
	argsFixed      = 32 // what follows: arguments
)

// event is one exec, joined from its records.
type event struct {
	start, end uint64 // CLOCK_MONOTONIC nanoseconds
	seq        uint64
	cgroupID   uint64
	cssSet     uint64
	ino        uint64
	dev        uint32
	mntns      uint32
	pidns      uint32
	pid        uint32
	tid        uint32
	ppid       uint32
	uid        uint32
	euid       uint32
	gid        uint32
	sid        uint32
	ret        int32
	argsTotal  uint32
	flags      uint32
	execID     uint32
	comm       [16]byte
	pcomm      [16]byte
	tty        [16]byte

	unreadable []uint32 // numbers of the words that were not in memory
	argsMissed bool     // a record with arguments did not arrive

	buf          []byte // filename, exe, cwd, arguments
	exeAt, cwdAt int
	argsAt       int
	words        int // complete words so far, counted only while words may be unreadable
	cgroup       []byte
	container    []byte
}

func (e *event) filename() []byte { return e.buf[:e.exeAt] }
func (e *event) exe() []byte      { return e.buf[e.exeAt:e.cwdAt] }
func (e *event) cwd() []byte      { return e.buf[e.cwdAt:e.argsAt] }
func (e *event) args() []byte     { return e.buf[e.argsAt:] }

// decodeExec reads an exec_record without its header into e, whose buffer it reuses.
func (e *event) decodeExec(b []byte) error {
	if len(b) < execFixed {
		return fmt.Errorf("exec record of %d bytes: too short", len(b))
	}
	le := binary.NativeEndian
	e.end = le.Uint64(b[execEnd:])
	e.cgroupID = le.Uint64(b[execCgroupID:])
	e.cssSet = le.Uint64(b[execCSSSet:])
	e.ino = le.Uint64(b[execIno:])
	e.dev = le.Uint32(b[execDev:])
	e.mntns = le.Uint32(b[execMntns:])
	e.pidns = le.Uint32(b[execPidns:])
	e.pid = le.Uint32(b[execPID:])
	e.tid = le.Uint32(b[execTID:])
	e.ppid = le.Uint32(b[execPPID:])
	e.uid = le.Uint32(b[execUID:])
	e.euid = le.Uint32(b[execEUID:])
	e.gid = le.Uint32(b[execGID:])
	e.sid = le.Uint32(b[execSID:])
	e.ret = int32(le.Uint32(b[execRet:]))
	e.argsTotal = le.Uint32(b[execArgsTotal:])
	argsLen := int(le.Uint32(b[execArgsLen:]))
	e.flags = uint32(le.Uint16(b[execFlags:]))
	filenameLen, exeLen, cwdLen := int(le.Uint16(b[execFilenameLen:])), int(le.Uint16(b[execExeLen:])), int(le.Uint16(b[execCwdLen:]))
	copy(e.comm[:], b[execComm:])
	copy(e.pcomm[:], b[execPComm:])
	copy(e.tty[:], b[execTTY:])
	e.execID = le.Uint32(b[execExecID:])
	data := b[execFixed:]
	if filenameLen+exeLen+cwdLen+argsLen != len(data) {
		return fmt.Errorf("exec record: parts of %d, %d, %d and %d bytes in %d", filenameLen, exeLen, cwdLen, argsLen, len(data))
	}
	e.buf = append(e.buf[:0], data...)
	e.exeAt = filenameLen
	e.cwdAt = e.exeAt + exeLen
	e.argsAt = e.cwdAt + cwdLen
	e.unreadable = e.unreadable[:0]
	e.argsMissed = false
	e.words = 0
	e.cgroup, e.container = nil, nil
	return nil
}

// addArgs appends an args_record without its header; last says whether it was the last one. A record of another exec is refused.
func (e *event) addArgs(b []byte) (last bool, err error) {
	if len(b) < argsFixed {
		return false, fmt.Errorf("arguments record of %d bytes: too short", len(b))
	}
	le := binary.NativeEndian
	seq, n := le.Uint64(b[argsSeq:]), int(le.Uint32(b[argsLen:]))
	if seq != e.seq {
		return false, fmt.Errorf("arguments of exec %d where %d was under way", seq, e.seq)
	}
	if n != len(b)-argsFixed {
		return false, fmt.Errorf("arguments record: %d bytes in %d", n, len(b)-argsFixed)
	}
	data := b[argsFixed:]
	if e.ret < 0 {
		// Bits count from the first word of the exec; a word may have begun in the record before.
		mask := le.Uint64(b[argsUnreadable:])
		for i := e.words; mask != 0 && i < 64; i++ {
			if mask&(1<<i) != 0 {
				e.unreadable = append(e.unreadable, uint32(i))
				mask &^= 1 << i
			}
		}
		e.words += bytes.Count(data, []byte{0})
	}
	e.flags |= le.Uint32(b[argsFlags:]) & (flagArgsCut | flagArgsFault)
	e.buf = append(e.buf, data...)
	return le.Uint32(b[argsLast:]) != 0, nil
}

// truncated says whether any part of the argument vector is missing.
func (e *event) truncated() bool {
	return e.flags&(flagArgsCut|flagArgsFault) != 0 || e.argsMissed
}

// appendWords splits the arguments into words; an unreadable word is nil. Words live as long as the event's buffer.
func (e *event) appendWords(to [][]byte) [][]byte {
	args := e.args()
	for i := uint32(0); len(args) > 0; i++ {
		n := bytes.IndexByte(args, 0)
		if n < 0 {
			to = append(to, args) // cut inside a word
			break
		}
		word := args[:n:n]
		for _, u := range e.unreadable {
			if u == i {
				word = nil
			}
		}
		to = append(to, word)
		args = args[n+1:]
	}
	return to
}

// appendPath makes a path of NUL-ended names, the innermost first.
func appendPath(to, names []byte, cut bool) []byte {
	if len(names) == 0 {
		return append(to, '/')
	}
	if cut {
		to = append(to, "…"...)
	}
	names = bytes.TrimSuffix(names, []byte{0})
	for len(names) > 0 {
		i := bytes.LastIndexByte(names, 0)
		// A name that is itself a slash is the root of a file system, above a mount of one of its directories that the file was moved out of.
		if name := names[i+1:]; string(name) != "/" {
			to = append(append(to, '/'), name...)
		}
		names = names[:max(i, 0)]
	}
	return to
}

// cString is b up to its first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
