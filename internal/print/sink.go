package print

import (
	"fmt"
	"io"

	"sonde/internal/prog"
)

// Sink takes the rows of one row type and writes them in one form. It keeps nothing of a row after Row returns.
// A sink is for one goroutine.
//
// Every row is one Write to the writer underneath, ended by a newline. An error is the writer's; over an Output
// it may be ErrClosedPipe, upon which the caller ends quietly.
type Sink interface {
	Row(*prog.Row) error
	// Flush brings what the writer holds back to where it goes, if the writer has a Flush() error of its own.
	Flush() error
	// Summary ends the run: it writes the account of it, in forms that have one, and flushes. For Unwritten to be
	// right, flush before it is filled in.
	Summary(*prog.Summary) error
}

// noter is a writer that is told apart rows, which it counts, and what is written around them.
type noter interface{ WriteNote([]byte) (int, error) }

func writeNote(w io.Writer, line []byte) error {
	var err error
	if n, ok := w.(noter); ok {
		_, err = n.WriteNote(line)
	} else {
		_, err = w.Write(line)
	}
	return err
}

func flush(w io.Writer) error {
	if f, ok := w.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// A sink's line buffer is kept from row to row up to this size; a bigger one (a long command line) is let go.
const keepLine = 256 << 10

func checkType(want *prog.RowType, r *prog.Row) error {
	if r.Type != want && r.Type != nil {
		return fmt.Errorf("a row of type %q came to the sink of type %q", r.Type.Name, want.Name)
	}
	return nil
}

var null = prog.Value{Null: true}

// value returns a field of the row; what the row does not have is not known.
func value(r *prog.Row, i int) *prog.Value {
	if i < 0 || i >= len(r.Values) {
		return &null
	}
	return &r.Values[i]
}
