package malloc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"sonde/internal/prog"
)

// The numbers of records: malloc.h.
const (
	recordTreeEnded = 0
	recordStack     = 1
	recordFork      = 2
	recordExec      = 3
	recordExit      = 4
	recordFiles     = 5
	recordMapped    = 6
)

// How the kernel's walk of a stack ended: malloc.h, END_*.
const (
	endRoot = iota
	endBroken
	endFull
)

const (
	maxFrames  = 128
	stackHead  = 8 + 4*6 + 16 // of a stack's record, behind the common header
	taskLength = 8 + 8 + 16
)

// stackKey is the key of the tables.
type stackKey struct {
	hash uint64
	pid  uint32
}

// rawStack is what a record tells of a stack.
type rawStack struct {
	key    stackKey
	tid    uint32
	comm   string
	frames []uint64 // the innermost first
	direct int      // how many of them were not found by frame pointers
	end    uint32
	number int // of the function
}

var errStack = errors.New("a record of a stack that is none: a bug of sonde")

func decodeStack(rec prog.Record) (s rawStack, err error) {
	b := rec.Body
	if len(b) < stackHead {
		return s, fmt.Errorf("%w: %d bytes", errStack, len(b))
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	s.key = stackKey{binary.LittleEndian.Uint64(b), word(8)}
	s.tid = word(12)
	count, direct := int(word(16)), int(word(20))
	s.end, s.number = word(24), int(word(28))
	s.comm = comm(b[32:48])
	if count < 2 || count > maxFrames || len(b) < stackHead+8*count || direct < 2 || direct > count {
		return s, fmt.Errorf("%w: %d frames, %d of them direct, in %d bytes", errStack, count, direct, len(b))
	}
	s.direct = direct
	for i := range count {
		s.frames = append(s.frames, binary.LittleEndian.Uint64(b[stackHead+8*i:]))
	}
	return s, nil
}

func comm(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return strings.Clone(string(text))
}

// task is a record of a process that begins, executes a program, maps other libraries, or ends.
type task struct {
	pid, parent uint32
	code        uint64
	comm        string
}

func decodeTask(rec prog.Record) (t task, err error) {
	if len(rec.Body) < taskLength {
		return t, fmt.Errorf("a record of a process of %d bytes: a bug of sonde", len(rec.Body))
	}
	t.pid, t.parent = binary.LittleEndian.Uint32(rec.Body), binary.LittleEndian.Uint32(rec.Body[4:])
	t.code = binary.LittleEndian.Uint64(rec.Body[8:])
	t.comm = comm(rec.Body[16:32])
	return t, nil
}

// Place is an address with the file that it lies in, which is known by its build ID.
type Place struct {
	ID     [20]byte
	Offset uint64 // in the file
}

const (
	filesHead    = 8
	fileSize     = 32
	buildIDValid = 1
)

// decodeFiles reads in which files the addresses of a stack lie, in the order of the kernel's walk; nil is an address of which
// that is not known.
func decodeFiles(rec prog.Record) (pid uint32, places []*Place, err error) {
	b := rec.Body
	if len(b) < filesHead {
		return 0, nil, fmt.Errorf("a record of files of %d bytes: a bug of sonde", len(b))
	}
	pid = binary.LittleEndian.Uint32(b)
	count := int(binary.LittleEndian.Uint32(b[4:]))
	for b = b[filesHead:]; len(b) >= fileSize && len(places) < count; b = b[fileSize:] {
		var p *Place
		if binary.LittleEndian.Uint32(b) == buildIDValid {
			p = &Place{Offset: binary.LittleEndian.Uint64(b[24:])}
			copy(p.ID[:], b[4:24])
		}
		places = append(places, p)
	}
	return pid, places, nil
}
