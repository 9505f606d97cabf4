package fileevent

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// How is by what a file was reached.
type How uint16

// As bpf/file.h has them.
const (
	ByOpen How = iota + 1
	ByOpenat
	ByOpenat2
	ByCreat
	ByHandle
	ByIOUring
	ByExec
	ByKernel
	ByHook
)

var howNames = [...]string{
	ByOpen: "open", ByOpenat: "openat", ByOpenat2: "openat2", ByCreat: "creat", ByHandle: "open_by_handle_at",
	ByIOUring: "io_uring", ByExec: "exec", ByKernel: "kernel", ByHook: "hook",
}

// String is the name of the system call, or what took its place; empty for what bpf/file.h does not have.
func (h How) String() string {
	if int(h) < len(howNames) {
		return howNames[h]
	}
	return ""
}

// Mark is what there is to say about a record besides its values.
type Mark uint32

// As bpf/file.h has them.
const (
	Compat   Mark = 1 << iota // a 32-bit caller
	Untimed                   // its start was not seen
	NoPath                    // the path as asked is not known
	PathCut                   // Path is longer than what was read of it
	FileCut                   // the outer part of File is missing
	NoFile                    // it was opened, but which file it is could not be read
	Detached                  // File hangs in no tree
	Deleted                   // the file has no name any more
	BaseCut                   // the outer part of Base is missing
	Created                   // this open made the file
	NoDirFD                   // DirFD does not apply
	NoMode                    // Mode does not apply
	Walked                    // File was asked for: where it is empty, it is the root directory
	Based                     // the same of Base
)

var markNames = []struct {
	mark Mark
	name []byte
}{
	{Compat, []byte("compat")}, {Untimed, []byte("untimed")}, {NoPath, []byte("no_path")}, {PathCut, []byte("path_cut")},
	{FileCut, []byte("file_cut")}, {NoFile, []byte("no_file")}, {Detached, []byte("detached")}, {Deleted, []byte("deleted")},
	{BaseCut, []byte("base_cut")}, {Created, []byte("created")},
}

// AppendNames appends the names of the marks that are of interest to a reader.
func (m Mark) AppendNames(to [][]byte) [][]byte {
	for _, n := range markNames {
		if m&n.mark != 0 {
			to = append(to, n.name)
		}
	}
	return to
}

// AtFDCWD is the DirFD that stands for the working directory.
const AtFDCWD = -100

// Event is one access to a file. It owns its bytes: it may outlive the record it was decoded from.
type Event struct {
	Time     uint64 // CLOCK_MONOTONIC nanoseconds, when it began; of the record's header, so Decode leaves it alone
	Duration uint64 // nanoseconds
	CgroupID uint64
	CSSSet   uint64 // the same for tasks that share their cgroups in every hierarchy
	Ino      uint64 // 0: no file was reached
	Flags    uint64 // as given
	Dev      uint32 // the kernel's own encoding
	PID      uint32
	TID      uint32
	PPID     uint32
	UID      uint32
	DirFD    int32
	Ret      int32 // the descriptor or the negative error number; 0 where there is neither
	Marks    Mark
	Mode     uint16
	How      How

	Cgroup    []byte // looked up by whoever reads the records; empty: not known
	Container []byte

	comm, pcomm    [16]byte
	buf            []byte // path, file, base
	fileAt, baseAt int
}

// Where the members of struct file_event lie, behind its header. A test of each tool holds them against the types in its object.
const (
	atDuration = 0
	atCgroupID = 8
	atCSSSet   = 16
	atIno      = 24
	atFlags    = 32
	atDev      = 40
	atPID      = 44
	atTID      = 48
	atPPID     = 52
	atUID      = 56
	atDirFD    = 60
	atRet      = 64
	atMarks    = 68
	atMode     = 72
	atHow      = 74
	atPathLen  = 76
	atFileLen  = 78
	atBaseLen  = 80
	atComm     = 88
	atPComm    = 104

	// Fixed is the size of struct file_event without its header, in bytes.
	Fixed = 120
)

// Decode reads the body of a record: struct file_event without its header, then extra bytes of the tool's own, then path,
// file and base. It returns the tool's own bytes, which lie in body. An error says what does not fit; the Event is then as it was.
func (e *Event) Decode(body []byte, extra int) ([]byte, error) {
	if extra < 0 || len(body) < Fixed || len(body)-Fixed < extra {
		return nil, fmt.Errorf("file record of %d bytes: too short", len(body))
	}
	le := binary.NativeEndian
	path, file, base := int(le.Uint16(body[atPathLen:])), int(le.Uint16(body[atFileLen:])), int(le.Uint16(body[atBaseLen:]))
	data := body[Fixed+extra:]
	if path+file+base != len(data) {
		return nil, fmt.Errorf("file record: parts of %d, %d and %d bytes in %d", path, file, base, len(data))
	}
	e.Duration = le.Uint64(body[atDuration:])
	e.CgroupID = le.Uint64(body[atCgroupID:])
	e.CSSSet = le.Uint64(body[atCSSSet:])
	e.Ino = le.Uint64(body[atIno:])
	e.Flags = le.Uint64(body[atFlags:])
	e.Dev = le.Uint32(body[atDev:])
	e.PID = le.Uint32(body[atPID:])
	e.TID = le.Uint32(body[atTID:])
	e.PPID = le.Uint32(body[atPPID:])
	e.UID = le.Uint32(body[atUID:])
	e.DirFD = int32(le.Uint32(body[atDirFD:]))
	e.Ret = int32(le.Uint32(body[atRet:]))
	e.Marks = Mark(le.Uint32(body[atMarks:]))
	e.Mode = le.Uint16(body[atMode:])
	e.How = How(le.Uint16(body[atHow:]))
	copy(e.comm[:], body[atComm:])
	copy(e.pcomm[:], body[atPComm:])
	e.buf = append(e.buf[:0], data...)
	e.fileAt, e.baseAt = path, path+file
	e.Cgroup, e.Container = nil, nil
	return body[Fixed : Fixed+extra : Fixed+extra], nil
}

// Comm is the name of the process.
func (e *Event) Comm() []byte { return cString(e.comm[:]) }

// PComm is the name of its parent; empty where it was not asked for.
func (e *Event) PComm() []byte { return cString(e.pcomm[:]) }

// Path is the path as asked.
func (e *Event) Path() []byte { return e.buf[:e.fileAt] }

// Size is how many bytes the Event keeps, for who bounds how many are kept.
func (e *Event) Size() int { return cap(e.buf) }

// Reached says whether it is known which file was reached.
func (e *Event) Reached() bool { return e.Ino != 0 && e.Marks&NoFile == 0 }

// HasFile says whether the path of the file reached is known.
func (e *Event) HasFile() bool { return e.Reached() && e.Marks&Walked != 0 }

// AppendFile appends the absolute path of the file reached, or what there is of it: one that is cut begins with "...",
// a file that hangs in no tree has its name alone.
func (e *Event) AppendFile(to []byte) []byte {
	return appendNames(to, e.buf[e.fileAt:e.baseAt], e.Marks&FileCut != 0, e.Marks&Detached != 0)
}

// AppendFull appends the best absolute path there is: of the file reached, else of what was asked for, joined with the
// directory that a relative path starts from, else the path as asked.
func (e *Event) AppendFull(to []byte) []byte {
	switch {
	case e.HasFile():
		return e.AppendFile(to)
	case e.Marks&Based != 0:
		if to = appendNames(to, e.buf[e.baseAt:], e.Marks&BaseCut != 0, false); to[len(to)-1] != '/' && len(e.Path()) > 0 {
			to = append(to, '/')
		}
	}
	return e.AppendPath(to)
}

// AppendPath appends the path as asked; one that is longer than what was read of it ends with "...".
func (e *Event) AppendPath(to []byte) []byte {
	to = append(to, e.Path()...)
	if e.Marks&PathCut != 0 {
		to = append(to, "..."...)
	}
	return to
}

// appendNames makes a path of NUL-ended names, the innermost first.
func appendNames(to, names []byte, cut, detached bool) []byte {
	if len(names) == 0 {
		if cut {
			return append(to, "..."...)
		}
		return append(to, '/')
	}
	if cut {
		to = append(to, "..."...)
	}
	names = bytes.TrimSuffix(names, []byte{0})
	if detached && !cut && bytes.IndexByte(names, 0) < 0 {
		return append(to, names...)
	}
	start := len(to)
	for {
		i := bytes.LastIndexByte(names, 0)
		// A name that is itself a slash is the root of a file system, above a mount of one of its directories that the file was moved out of.
		if name := names[i+1:]; string(name) != "/" {
			to = append(append(to, '/'), name...)
		}
		if i < 0 {
			break
		}
		names = names[:i]
	}
	if len(to) == start && !cut {
		to = append(to, '/')
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
