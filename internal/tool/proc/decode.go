package proc

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	recordTreeEnded = 0 // bpf/record.bpf.h
	recordExec      = 1 // exec.h
	recordArgs      = 2
	recordExit      = 3 // proc.h
	recordFork      = 4
)

// The flags of exit_record, as proc.h has them.
const (
	exitUsage = 1 << iota // what was used is known
	exitPart              // ... but not of all threads
	exitNoIO              // the bytes are not known
)

// Where the members of struct exit_record lie, behind its header. layout_test.go holds these and those of fork_record
// against the types in the embedded object.
const (
	exitStart      = 0
	exitAge        = 8
	exitMaxRSS     = 16
	exitCPU        = 24
	exitMinFlt     = 32
	exitMajFlt     = 40
	exitRchar      = 48
	exitWchar      = 56
	exitReadBytes  = 64
	exitWriteBytes = 72
	exitPID        = 80
	exitTID        = 84
	exitPPID       = 88
	exitUID        = 92
	exitCode       = 96
	exitExecID     = 100
	exitFlags      = 104
	exitPad        = 108
	exitComm       = 112
	exitSize       = 128
)

// The same of struct fork_record.
const (
	forkPID    = 0
	forkPPID   = 4
	forkTID    = 8
	forkUID    = 12
	forkExecID = 16
	forkPad    = 20
	forkComm   = 24
	forkSize   = 40
)

// end is the end of a process.
type end struct {
	time  uint64 // CLOCK_MONOTONIC nanoseconds
	start uint64 // the same clock
	age   uint64 // nanoseconds, those of suspend too

	maxRSS                uint64 // pages
	cpu                   uint64 // nanoseconds
	minFlt, majFlt        uint64
	rchar, wchar          uint64
	readBytes, writeBytes uint64

	pid, tid, ppid, uid uint32
	code                uint32 // as wait(2) gives it
	execID              uint32
	flags               uint32
	comm                [16]byte
}

func (e *end) decode(b []byte) error {
	if len(b) != exitSize {
		return fmt.Errorf("exit record of %d bytes, not %d", len(b), exitSize)
	}
	le := binary.NativeEndian
	for _, m := range []struct {
		at int
		to *uint64
	}{
		{exitStart, &e.start}, {exitAge, &e.age}, {exitMaxRSS, &e.maxRSS}, {exitCPU, &e.cpu}, {exitMinFlt, &e.minFlt},
		{exitMajFlt, &e.majFlt}, {exitRchar, &e.rchar}, {exitWchar, &e.wchar}, {exitReadBytes, &e.readBytes},
		{exitWriteBytes, &e.writeBytes},
	} {
		*m.to = le.Uint64(b[m.at:])
	}
	for _, m := range []struct {
		at int
		to *uint32
	}{
		{exitPID, &e.pid}, {exitTID, &e.tid}, {exitPPID, &e.ppid}, {exitUID, &e.uid}, {exitCode, &e.code},
		{exitExecID, &e.execID}, {exitFlags, &e.flags},
	} {
		*m.to = le.Uint32(b[m.at:])
	}
	copy(e.comm[:], b[exitComm:])
	return nil
}

// status is the exit status of a process that was not killed.
func (e *end) status() uint32 { return e.code >> 8 & 0xff }

// signal is the number of the signal that killed it, 0 if none did.
func (e *end) signal() uint32 { return e.code & 0x7f }

// core says whether its memory was dumped.
func (e *end) core() bool { return e.code&0x80 != 0 }

func (e *end) usage() bool { return e.flags&exitUsage != 0 }

// fork is the beginning of a process.
type fork struct {
	time                uint64
	pid, ppid, tid, uid uint32
	execID              uint32
	comm                [16]byte
}

func (f *fork) decode(b []byte) error {
	if len(b) != forkSize {
		return fmt.Errorf("fork record of %d bytes, not %d", len(b), forkSize)
	}
	le := binary.NativeEndian
	f.pid, f.ppid, f.tid = le.Uint32(b[forkPID:]), le.Uint32(b[forkPPID:]), le.Uint32(b[forkTID:])
	f.uid, f.execID = le.Uint32(b[forkUID:]), le.Uint32(b[forkExecID:])
	copy(f.comm[:], b[forkComm:])
	return nil
}

// cString is b up to its first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
