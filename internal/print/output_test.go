package print

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

// disk takes room bytes and then fails with err.
type disk struct {
	bytes.Buffer
	room int
	err  error
	n    int // calls
}

func (d *disk) Write(p []byte) (int, error) {
	d.n++
	if len(p) <= d.room {
		d.room -= len(p)
		return d.Buffer.Write(p)
	}
	n, _ := d.Buffer.Write(p[:d.room])
	d.room = 0
	return n, &fs.PathError{Op: "write", Path: "x", Err: d.err}
}

// TestFullDisk writes rows of four bytes in steps, each ended by a flush, with room as the table says.
func TestFullDisk(t *testing.T) {
	type step struct {
		room int    // room that becomes free before
		rows string // a digit a row; "h" is a heading
	}
	for _, c := range []struct {
		name      string
		steps     []step
		want      string
		unwritten uint64
	}{
		{"all fits", []step{{100, "012"}, {0, "34"}}, "r-0\nr-1\nr-2\nr-3\nr-4\n", 0},
		{"full from the start", []step{{0, "012"}, {0, "3"}}, "", 4},
		{"full at a border", []step{{8, "012"}, {0, "3"}}, "r-0\nr-1\n", 2},
		{"full within a row", []step{{6, "012"}, {0, "3"}}, "r-0\nr-", 3},
		{"all but the newline", []step{{7, "012"}}, "r-0\nr-1", 1},
		{"the newline comes later", []step{{7, "012"}, {100, "3"}}, "r-0\nr-1\nr-3\n", 1},
		{"room again", []step{{6, "012"}, {0, "3"}, {100, "45"}, {0, "6"}}, "r-0\nr-\nr-4\nr-5\nr-6\n", 3},
		{"room again at a border", []step{{8, "012"}, {100, "3"}}, "r-0\nr-1\nr-3\n", 1},
		{"room only for the newline", []step{{6, "012"}, {1, "3"}, {100, "4"}}, "r-0\nr-\nr-4\n", 3},
		{"torn twice", []step{{6, "012"}, {3, "3"}, {100, "4"}}, "r-0\nr-\nr-\nr-4\n", 3},
		{"a heading is no row", []step{{0, "h01"}}, "", 2},
		{"a torn heading", []step{{2, "h0"}, {100, "1h"}}, "r-\nr-1\nr-h\n", 1},
		{"nothing to flush", []step{{6, "012"}, {100, ""}, {0, "3"}}, "r-0\nr-\nr-3\n", 2},
	} {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EFBIG} {
			d := &disk{err: errno}
			o := NewOutput(d)
			full := false
			for _, s := range c.steps {
				d.room += s.room
				for _, r := range s.rows {
					line := []byte("r-" + string(r) + "\n")
					write := o.Write
					if r == 'h' {
						write = o.WriteNote
					}
					if n, err := write(line); err != nil || n != len(line) {
						t.Fatalf("%s, %v: write: %d, %v", c.name, errno, n, err)
					}
				}
				if err := o.Flush(); err != nil {
					t.Fatalf("%s, %v: flush: %v", c.name, errno, err)
				}
				full = full || o.Unwritten() > 0
			}
			if diff := cmp.Diff(c.want, d.String()); diff != "" || o.Unwritten() != c.unwritten {
				t.Errorf("%s, %v: %d unwritten, want %d\n%s", c.name, errno, o.Unwritten(), c.unwritten, diff)
			}
			if full != errors.Is(o.Err(), errno) {
				t.Errorf("%s, %v: the first error is %v", c.name, errno, o.Err())
			}
			if err := o.Close(); full != errors.Is(err, errno) {
				t.Errorf("%s, %v: close: %v", c.name, errno, err)
			}
		}
	}
}

// TestEveryTear cuts the same stream at every byte: what arrived whole and what is counted as unwritten must add up.
func TestEveryTear(t *testing.T) {
	const rows = 40
	for room := 0; room < 300; room++ {
		d := &disk{err: syscall.ENOSPC, room: room}
		o := NewOutput(d)
		for i := range rows {
			if i == rows-5 {
				d.room += 1000
			}
			fmt.Fprintf(o, "<%d>\n", i*i*i)
			if i%3 == 0 {
				o.Flush()
			}
		}
		if err := o.Flush(); err != nil {
			t.Fatal(err)
		}
		whole := 0
		for line := range strings.Lines(d.String()) {
			if strings.HasPrefix(line, "<") && strings.HasSuffix(strings.TrimSuffix(line, "\n"), ">") && strings.Count(line, "<") == 1 {
				whole++
			} else if i := strings.LastIndex(line, "<"); i > 0 {
				t.Fatalf("room %d: a row does not begin its line: %q", room, line)
			}
		}
		if got := whole + int(o.Unwritten()); got != rows {
			t.Fatalf("room %d: %d whole and %d unwritten of %d\n%s", room, whole, o.Unwritten(), rows, d.String())
		}
	}
}

func TestBuffering(t *testing.T) {
	d := &disk{room: 1 << 30}
	o := NewOutput(d)
	row := []byte(strings.Repeat("x", 99) + "\n")
	for range 1000 { // 100,000 bytes
		if _, err := o.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if d.n != 1 || d.Len() <= 64<<10 {
		t.Errorf("%d writes of %d bytes before the flush, want one of more than 64 KiB", d.n, d.Len())
	}
	huge := append(bytes.Repeat([]byte("y"), 1<<20), '\n')
	o.Write(huge)
	if err := o.Flush(); err != nil || d.Len() != 100_000+len(huge) || cap(o.buf) > bufferSize+keepLine {
		t.Errorf("%v, %d bytes, a buffer of %d kept", err, d.Len(), cap(o.buf))
	}
}

func TestOtherErrorsAreFinal(t *testing.T) {
	d := &disk{err: syscall.EBADF}
	o := NewOutput(d)
	o.Write([]byte("a\n"))
	o.Write([]byte("b\n"))
	err := o.Flush()
	if !errors.Is(err, syscall.EBADF) || err.Error() != "cannot write the output: write x: bad file descriptor" {
		t.Errorf("flush: %v", err)
	}
	if _, again := o.Write([]byte("c\n")); again != err {
		t.Errorf("write: %v", again)
	}
	if o.Flush() != err || o.Err() != err || o.Close() != err || o.Unwritten() != 3 || d.n != 1 {
		t.Errorf("%v, %d unwritten, %d writes", o.Err(), o.Unwritten(), d.n)
	}

	o = NewOutput(short{})
	o.Write([]byte("a\n"))
	if err := o.Flush(); !errors.Is(err, io.ErrShortWrite) || o.Unwritten() != 1 {
		t.Errorf("short write: %v, %d unwritten", err, o.Unwritten())
	}
}

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 2, nil }

func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	o := NewOutput(w)
	s := NewJSON(o, sample, nil)
	if err := s.Row(sampleRows()[0]); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := s.Flush(); err != ErrClosedPipe {
		t.Errorf("flush: %v", err)
	}
	if err := s.Row(sampleRows()[0]); err != ErrClosedPipe {
		t.Errorf("row: %v", err)
	}
	if err := s.Summary(&prog.Summary{}); err != ErrClosedPipe {
		t.Errorf("summary: %v", err)
	}
	if err := o.Close(); err != ErrClosedPipe || o.Unwritten() != 0 {
		t.Errorf("close: %v, %d unwritten", err, o.Unwritten())
	}
}

// TestHeadingIsNoRow: of a sink over a full disk only the rows are counted.
func TestHeadingIsNoRow(t *testing.T) {
	for name, with := range map[string]func(io.Writer) Sink{
		"columns": func(w io.Writer) Sink { return NewColumns(w, sample, sample.Columns, ColumnOptions{}) },
		"json":    func(w io.Writer) Sink { return NewJSON(w, sample, nil) },
	} {
		o := NewOutput(&disk{err: syscall.ENOSPC})
		s := with(o)
		for _, r := range sampleRows() {
			if err := s.Row(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Summary(&prog.Summary{}); err != nil || o.Unwritten() != uint64(len(sampleRows())) {
			t.Errorf("%s: %v, %d unwritten", name, err, o.Unwritten())
		}
	}
}
