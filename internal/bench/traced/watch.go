package traced

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"sonde/internal/bench/measure"
)

const (
	maxLine   = 1 << 20   // bytes of a line that are kept: a record with all its arguments is far below
	maxOther  = 64 << 10  // bytes of unmarked lines and of stderr that are kept
	maxNumber = 1_000_000 // marks are numbered below this
)

// watch splits a tool's output into lines and counts the marked records of one tag at a time.
type watch struct {
	mu       sync.Mutex
	partial  []byte
	tag      string
	seen     map[int]bool
	repeated int
	first    chan struct{} // closed at the first record of tag
	firstAt  time.Time
	last     time.Time // of any record of tag
	remarks  []string  // lines in which the tool itself speaks of a loss
	kept     int       // bytes in remarks
}

// expect makes tag the one to count, from nothing.
func (w *watch) expect(tag string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tag, w.seen, w.repeated = tag, map[int]bool{}, 0
	w.first, w.firstAt, w.last = make(chan struct{}), time.Time{}, time.Time{}
	return w.first
}

// write takes a piece of output that was read at a moment.
func (w *watch) write(piece []byte, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(piece) > 0 {
		end := bytes.IndexByte(piece, '\n')
		if end < 0 {
			w.keep(piece)
			return
		}
		if len(w.partial) == 0 {
			w.line(piece[:end], at)
		} else {
			w.keep(piece[:end])
			w.line(w.partial, at)
			w.partial = w.partial[:0]
		}
		piece = piece[end+1:]
	}
}

func (w *watch) keep(piece []byte) {
	if room := maxLine - len(w.partial); len(piece) > room {
		piece = piece[:room]
	}
	w.partial = append(w.partial, piece...)
}

func (w *watch) line(line []byte, at time.Time) {
	number, ok := markNumber(line, w.tag)
	if !ok {
		if w.kept < maxOther && measure.SpeaksOfLoss(line) {
			w.remarks = append(w.remarks, string(line))
			w.kept += len(line)
		}
		return
	}
	if w.seen[number] {
		w.repeated++
		return
	}
	w.seen[number] = true
	w.last = at
	if len(w.seen) == 1 {
		w.firstAt = at
		close(w.first)
	}
}

// markNumber finds "TAG-NUMBER" in a line. The tag alone, as in the command line of a workload, is no mark.
func markNumber(line []byte, tag string) (int, bool) {
	if tag == "" {
		return 0, false
	}
	for {
		at := bytes.Index(line, []byte(tag))
		if at < 0 {
			return 0, false
		}
		line = line[at+len(tag):]
		if len(line) < 2 || line[0] != '-' || line[1] < '0' || line[1] > '9' {
			continue
		}
		number := 0
		for _, c := range line[1:] {
			if c < '0' || c > '9' {
				break
			}
			number = number*10 + int(c-'0')
			if number >= maxNumber {
				return 0, false
			}
		}
		return number, true
	}
}

// Count is what has been seen of a tag.
type Count struct {
	Distinct, Repeated int
	First, Last        time.Time // when the first and the latest record were read
}

func (w *watch) count() Count {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Count{Distinct: len(w.seen), Repeated: w.repeated, First: w.firstAt, Last: w.last}
}

func (w *watch) lossRemarks() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.remarks, "\n")
}
