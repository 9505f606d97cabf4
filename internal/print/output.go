package print

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// ErrClosedPipe says that who was to read the output has gone. It is no failure: the caller ends quietly.
//
// On standard output and error the Go runtime kills the process on such a write unless SIGPIPE is ignored or notified.
var ErrClosedPipe = errors.New("the reader of the output has gone")

const bufferSize = 64 << 10

// Output buffers rows on their way to a file or pipe and accounts for those that do not get there. It is for one
// goroutine. Rows go out when 64 KiB are full and at Flush.
//
// A full or failing disk (ENOSPC, EDQUOT, EFBIG, EIO) is weather: Write and Flush go on without an error, what was in the
// buffer is dropped and counted, and every flush tries again; Err tells the first such error, Unwritten how many rows it
// cost. A row that was cut in the middle by it counts as unwritten (one that lacks only its newline does not), and what is
// written next begins on a line of its own.
// Any other error is final, and returned by every call from then on.
type Output struct {
	w io.Writer
	// buf begins with a newline, which is only written when torn.
	buf       []byte
	ends      []end
	torn      bool      // the last thing written was a part of a line
	owned     io.Closer // what Close closes; nil if the caller owns it
	err       error     // the first error of all
	final     error
	unwritten uint64
}

// end is where a line in the buffer ends.
type end struct {
	at   int
	note bool
}

// NewOutput returns an Output over w, which stays the caller's to close.
func NewOutput(w io.Writer) *Output {
	return &Output{w: w, buf: append(make([]byte, 0, bufferSize+4<<10), '\n')}
}

// Write takes one row: p ends with a newline and has no other. It always takes all of p unless the error is final.
func (o *Output) Write(p []byte) (int, error) { return o.add(p, false) }

// WriteNote takes a line that is not a row (a heading, a summary): it is not counted if it is lost.
func (o *Output) WriteNote(p []byte) (int, error) { return o.add(p, true) }

func (o *Output) add(p []byte, note bool) (int, error) {
	if o.final != nil {
		if !note && !errors.Is(o.final, ErrClosedPipe) {
			o.unwritten++
		}
		return 0, o.final
	}
	o.buf = append(o.buf, p...)
	o.ends = append(o.ends, end{len(o.buf), note})
	if len(o.buf) > bufferSize {
		if err := o.Flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Flush writes what is buffered. The error is nil in bad weather; ErrClosedPipe if the reader has gone.
func (o *Output) Flush() error {
	if o.final != nil || len(o.ends) == 0 {
		return o.final
	}
	from := 1
	if o.torn {
		from = 0
	}
	n, err := o.w.Write(o.buf[from:])
	n = min(max(n, 0), len(o.buf)-from)
	if err == nil && n < len(o.buf)-from {
		err = io.ErrShortWrite
	}
	if err != nil {
		o.fail(from, from+n, err)
	} else {
		o.torn = false
	}
	o.ends = o.ends[:0]
	o.buf = o.buf[:1]
	if cap(o.buf) > bufferSize+keepLine {
		o.buf = append(make([]byte, 0, bufferSize+4<<10), '\n')
	}
	return o.final
}

// fail accounts for a write that began at from in buf and came as far as to.
func (o *Output) fail(from, to int, err error) {
	if to > from {
		o.torn = to > 1 // else it was but the newline that ended a torn line
	}
	lost, start := uint64(0), 1
	for _, e := range o.ends {
		switch whole := to > start && to == e.at-1; {
		case e.at == to:
			o.torn = false
		case e.at > to && !whole && !e.note:
			lost++
		}
		start = e.at
	}
	switch {
	case errors.Is(err, syscall.EPIPE):
		err, lost = ErrClosedPipe, 0 // nobody misses them
		o.final = err
	case !weather(err):
		err = fmt.Errorf("cannot write the output: %w", err)
		o.final = err
	}
	o.unwritten += lost
	if o.err == nil {
		o.err = err
	}
}

func weather(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Discard makes it go on where the reader has gone: what comes is taken, and goes nowhere.
func (o *Output) Discard() {
	o.w, o.final = io.Discard, nil
	o.ends, o.buf = o.ends[:0], o.buf[:1]
}

// Err returns the first error, weather or not: nil if all is well.
func (o *Output) Err() error { return o.err }

// Unwritten counts the rows that were taken and did not reach the file, one cut in the middle included. It is final once
// Flush has been called. Rows that a reader who has gone did not read are not counted.
func (o *Output) Unwritten() uint64 { return o.unwritten }

// Close flushes, and closes the file if OpenOutput opened it. Unlike Flush it returns an error of the weather too: the
// first that the Output met, or that of closing.
func (o *Output) Close() error {
	_ = o.Flush() // what it met is in o.err
	if o.owned != nil {
		if err := o.owned.Close(); err != nil && o.err == nil {
			o.err = fmt.Errorf("cannot close the output: %w", err)
		}
		o.owned = nil
	}
	return o.err
}
