package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// ErrStop ends Run and Final without an error when a Handler returns it (or wraps it).
var ErrStop = errors.New("stop reading records")

// How soon a Handler that holds records back hears of the time again, and how long Final waits for a busy record.
const (
	holdTick  = 10 * time.Millisecond
	finalNaps = 100 // of minNap

	// linger is for how long after the last record Run watches the ring rather than block: see Reader.Watch. It costs a
	// hundred looks a second, which is less than one record would that comes meanwhile.
	linger = 500 * time.Millisecond
)

// Source is what Run reads from: a Reader, or a test's own.
type Source interface {
	Drain(func(prog.Record) error) (int, error)
	Busy() bool
	Pending() (used, size int)
	Nap(time.Duration) error
	Watch(time.Duration) error
	Wait(timeout time.Duration) error
	Wake()
}

// Handler gets the records. All calls come from the goroutine that called Run.
type Handler interface {
	// Before is called before each drain; now is CLOCK_MONOTONIC in nanoseconds, read before the call. Here the
	// in-flight count is to be sampled, see Watermark.
	Before(now uint64) error
	// Record is called for each record, in the ring's order. Its Body is gone afterwards.
	Record(prog.Record) error
	// Drained is called after each drain, also when there were no records: the time to release what is in order, and
	// to flush output. now is the same as in Before. whole says that everything was handed over that was committed
	// before now; it is false when a record was busy, then a Watermark must not take the source as idle.
	Drained(now uint64, whole bool) error
	// Holding says that records are held back: Drained is then called again within 10 ms even if nothing comes.
	Holding() bool
}

// Run hands records from src to h until ctx ends or h returns ErrStop; then it returns nil. Other errors of h and src
// are returned. What is in the ring by then is left there: close the probes and call Final.
//
// It drains, lets h flush, naps while records flow (1 to 10 ms, see pace), watches the ring after an empty drain, and
// blocks when it stays empty; the first record after a quiet time is handed over at once.
func Run(ctx context.Context, src Source, h Handler) error {
	defer context.AfterFunc(ctx, src.Wake)()
	record := h.Record
	var p pace
	var slept uint64 // when it last began to watch or block, or 0
	var last uint64  // when there last were records
	for ctx.Err() == nil {
		now, peak, n, err := pass(src, h, record)
		if err != nil {
			return unlessStop(err)
		}
		if n > 0 {
			last = now
			if slept != 0 {
				p.waited(time.Duration(excess(now, slept)))
				slept = 0
			}
		}
		left, size := src.Pending()
		if n == 0 && left == 0 {
			if slept == 0 {
				slept = now
			}
			switch {
			case excess(now, last) < uint64(linger):
				err = src.Watch(holdTick)
			case h.Holding():
				err = src.Wait(holdTick)
			default:
				err = src.Wait(-1)
			}
		} else if d := p.next(n, peak, left, size); d > 0 {
			err = src.Nap(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Final hands over what is left in src, after the probes were closed. It gives a program that is still writing a
// record a tenth of a second; a record that is busy for longer stays missing in Sequence's verdict. What h holds back
// is for the caller to release: nothing older is to come.
func Final(src Source, h Handler) error {
	record := h.Record
	for naps := 0; ; {
		_, _, n, err := pass(src, h, record)
		if err != nil {
			return unlessStop(err)
		}
		if left, _ := src.Pending(); left == 0 || naps == finalNaps {
			return nil
		}
		if n == 0 {
			naps++
			if err := src.Nap(minNap); err != nil {
				return err
			}
		}
	}
}

// pass is one drain with what belongs to it. The clock is read first: what happens later may be missed, not earlier.
func pass(src Source, h Handler, record func(prog.Record) error) (now uint64, peak, n int, err error) {
	if now, err = Now(); err != nil {
		return
	}
	if err = h.Before(now); err != nil {
		return
	}
	peak, _ = src.Pending()
	if n, err = src.Drain(record); err != nil {
		return
	}
	err = h.Drained(now, !src.Busy())
	return
}

func unlessStop(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Now reads the clock of the records: CLOCK_MONOTONIC, in nanoseconds.
func Now() (uint64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("reading the clock: %w", err)
	}
	return uint64(t.Nano()), nil
}
