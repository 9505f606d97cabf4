package dynevent

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"sonde/internal/kernel"
)

// part is what happened, as an event tells it.
type part uint8

const (
	partEnter   part = iota + 1 // an open begins
	partName                    // the kernel looks for a file by this name
	partOpened                  // it has found it, or not
	partExit                    // an open ends
	partNewTask                 // a task began: tid is its own, by is who made it
	partExec                    // the task tid took the place of by, another thread of its process
	partEnded                   // the task tid ends
)

// event is one event, decoded.
type event struct {
	part   part
	source *layout
	time   uint64 // CLOCK_MONOTONIC nanoseconds
	cpu    uint16
	task   uint32 // the thread in which it happened
	other  uint32 // another thread that it is about
	dirfd  int32
	mode   uint16
	flags  uint64
	ret    int64
	path   []byte
	known  bool // path is
	comm   [16]byte
}

// field is where a number is in an event; size 0: it has none.
type field struct {
	at, size int
	signed   bool
}

// layout is how an event of one kind is read.
type layout struct {
	part part
	how  uint16 // fileevent.How of what begins with it
	// What is read of it.
	task, other, dirfd, flags, mode, ret, comm field
	path                                       int // where the __data_loc is; -1: none
}

// lay finds the fields in an event's format. wants names them as the event has them; a field that is not there is an error.
func lay(f *kernel.TracepointFormat, l layout, wants fieldNames) (*layout, error) {
	l.path = -1
	var err error
	find := func(name string, to *field) {
		if name == "" || err != nil {
			return
		}
		for _, have := range f.Fields {
			if have.Name != name {
				continue
			}
			switch have.Size {
			case 1, 2, 4, 8:
				*to = field{have.Offset, have.Size, have.Signed}
				return
			}
			err = fmt.Errorf("event %s: field %s of %d bytes", f.Name, name, have.Size)
			return
		}
		err = fmt.Errorf("event %s: no field %s", f.Name, name)
	}
	find("common_pid", &l.task)
	find(wants.other, &l.other)
	find(wants.dirfd, &l.dirfd)
	find(wants.flags, &l.flags)
	find(wants.mode, &l.mode)
	find(wants.ret, &l.ret)
	for _, have := range f.Fields {
		switch {
		case have.Name == wants.path && have.DataLoc && have.Size == 4:
			l.path = have.Offset
		case have.Name == wants.comm && have.DataLoc && have.Size == 4:
			l.comm = field{at: have.Offset, size: 4}
		}
	}
	if err == nil && wants.path != "" && l.path < 0 {
		err = fmt.Errorf("event %s: no field %s", f.Name, wants.path)
	}
	return &l, err
}

// fieldNames are the names of fields of an event; empty: it has none, or it is of no interest.
type fieldNames struct{ other, dirfd, flags, mode, ret, comm, path string }

// decode reads an event; what is not in it stays zero. The path is copied.
func (l *layout) decode(e *event, data []byte) error {
	e.part, e.source = l.part, l
	e.path, e.known = e.path[:0], false
	e.comm = [16]byte{}
	var err error
	num := func(f field) uint64 {
		n, ok := number(data, f)
		if !ok {
			err = fmt.Errorf("event of %d bytes: too short", len(data))
		}
		return n
	}
	e.task = uint32(num(l.task))
	e.other = uint32(num(l.other))
	e.dirfd = int32(num(l.dirfd))
	e.flags = num(l.flags)
	e.mode = uint16(num(l.mode))
	e.ret = int64(num(l.ret))
	if l.comm.size > 0 {
		text, ok := located(data, l.comm.at)
		if !ok {
			return fmt.Errorf("event of %d bytes: its comm is not in it", len(data))
		}
		copy(e.comm[:15], cString(text))
	}
	if l.path >= 0 {
		text, ok := located(data, l.path)
		if !ok {
			return fmt.Errorf("event of %d bytes: its path is not in it", len(data))
		}
		// What could not be read is nothing at all, or (from 5.11 on) this word: a file may have that name, but then it is in
		// memory, and the kernel's own copy of the name tells.
		if len(text) > 0 && string(text) != fault {
			e.path, e.known = append(e.path, cString(text)...), true
		}
	}
	return err
}

// fault is what the kernel puts in the place of a string that was not in memory.
const fault = "(fault)\x00"

func number(data []byte, f field) (uint64, bool) {
	if f.size == 0 {
		return 0, true
	}
	if f.at < 0 || f.at+f.size > len(data) {
		return 0, false
	}
	le := binary.NativeEndian
	data = data[f.at:]
	var n uint64
	switch f.size {
	case 1:
		n = uint64(data[0])
	case 2:
		n = uint64(le.Uint16(data))
	case 4:
		n = uint64(le.Uint32(data))
	case 8:
		n = le.Uint64(data)
	}
	if shift := 64 - 8*f.size; f.signed && shift > 0 {
		n = uint64(int64(n<<shift) >> shift)
	}
	return n, true
}

// located returns the bytes that a __data_loc points to: its low half is where, its high half how many.
func located(data []byte, at int) ([]byte, bool) {
	if at < 0 || at+4 > len(data) {
		return nil, false
	}
	loc := binary.NativeEndian.Uint32(data[at:])
	from, length := int(loc&0xffff), int(loc>>16)
	if from+length > len(data) {
		return nil, false
	}
	return data[from : from+length], true
}

// cString is b up to its first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
