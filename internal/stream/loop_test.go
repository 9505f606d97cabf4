package stream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

// script is a Source and a Handler that write down what Run does. Each element of drains is what one Drain finds.
type script struct {
	t      *testing.T
	drains []found
	log    []string
	end    func() // called when drains are used up and Run would sleep

	at       int
	now      uint64
	holding  []bool // by drain
	recordIs error
	beforeIs error
	afterIs  error
	sleepIs  error
}

type found struct {
	records int
	left    int // bytes afterwards
	busy    bool
}

func (s *script) cur() found {
	if s.at == 0 || s.at > len(s.drains) {
		return found{}
	}
	return s.drains[s.at-1]
}

func (s *script) Drain(f func(prog.Record) error) (n int, err error) {
	s.at++
	for range s.cur().records {
		n++
		if err := f(prog.Record{}); err != nil {
			return n, err
		}
	}
	return n, nil
}
func (s *script) Busy() bool                { return s.cur().busy }
func (s *script) Pending() (used, size int) { return s.cur().left, 1 << 20 }
func (s *script) Wake()                     { s.log = append(s.log, "wake") }

func (s *script) Nap(d time.Duration) error { return s.sleep(fmt.Sprint("nap ", d)) }

func (s *script) Watch(d time.Duration) error { return s.sleep(fmt.Sprint("watch ", d)) }

func (s *script) Wait(d time.Duration) error {
	if d < 0 {
		return s.sleep("wait")
	}
	return s.sleep(fmt.Sprint("wait ", d))
}

func (s *script) sleep(what string) error {
	s.log = append(s.log, what)
	if s.at >= len(s.drains) && s.end != nil {
		s.end()
	}
	return s.sleepIs
}

func (s *script) Before(now uint64) error {
	if now < s.now {
		s.t.Errorf("time went from %d back to %d", s.now, now)
	}
	s.now = now
	s.log = append(s.log, "before")
	return s.beforeIs
}

func (s *script) Record(prog.Record) error {
	s.log = append(s.log, "record")
	return s.recordIs
}

func (s *script) Drained(now uint64, whole bool) error {
	if now != s.now {
		s.t.Errorf("drained at %d, before at %d", now, s.now)
	}
	if whole {
		s.log = append(s.log, "drained")
	} else {
		s.log = append(s.log, "drained in part")
	}
	return s.afterIs
}

func (s *script) Holding() bool { return s.at <= len(s.holding) && s.at > 0 && s.holding[s.at-1] }

func TestRun(t *testing.T) {
	bad := errors.New("bad")
	stop := fmt.Errorf("enough: %w", ErrStop)
	tests := []struct {
		name string
		s    script
		want []string
		err  error
	}{
		{"blocks on an empty ring", script{drains: make([]found, 1)}, []string{"before", "drained", "wait"}, nil},
		{"naps while records flow, longer and longer", script{drains: []found{{records: 1}, {records: 1}, {}}},
			[]string{"before", "record", "drained", "nap 1ms", "before", "record", "drained", "nap 2ms",
				"before", "drained", "watch 10ms"}, nil},
		{"a busy record is not waited for in the ring", script{drains: []found{{left: 40, busy: true}, {records: 1}, {}}},
			[]string{"before", "drained in part", "nap 1ms", "before", "record", "drained", "nap 1ms",
				"before", "drained", "watch 10ms"}, nil},
		{"much is left", script{drains: []found{{records: 1, left: 300 << 10}, {records: 1}}},
			[]string{"before", "record", "drained", "before", "record", "drained", "nap 1ms"}, nil},
		{"a handler that holds records hears of the time", script{drains: make([]found, 2), holding: []bool{true, false}},
			[]string{"before", "drained", "wait 10ms", "before", "drained", "wait"}, nil},
		{"a record says stop", script{drains: []found{{records: 2}}, recordIs: stop}, []string{"before", "record"}, nil},
		{"a record fails", script{drains: []found{{records: 2}}, recordIs: bad}, []string{"before", "record"}, bad},
		{"before fails", script{drains: []found{{records: 2}}, beforeIs: bad}, []string{"before"}, bad},
		{"drained says stop", script{drains: []found{{records: 1}}, afterIs: stop}, []string{"before", "record", "drained"}, nil},
		{"drained fails", script{drains: []found{{}}, afterIs: bad}, []string{"before", "drained"}, bad},
		{"the source fails", script{drains: []found{{}}, sleepIs: os.ErrClosed}, []string{"before", "drained", "wait"}, os.ErrClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &quietWake{test.s}
			s.t, s.end = t, cancel
			if err := Run(ctx, s, s); !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, s.log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// quietWake ignores Wake, which comes from another goroutine when the test cancels.
type quietWake struct{ script }

func (quietWake) Wake() {}

// The end of ctx wakes a Run that blocks for ever.
func TestRunWoken(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &blocking{script: script{t: t}, woken: make(chan struct{}), waits: make(chan struct{})}
	done := make(chan error)
	go func() { done <- Run(ctx, s, s) }()
	<-s.waits
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s.at != 1 {
		t.Errorf("%d drains", s.at)
	}
}

type blocking struct {
	script
	woken, waits chan struct{}
}

func (b *blocking) Wake() { close(b.woken) }
func (b *blocking) Wait(time.Duration) error {
	close(b.waits)
	<-b.woken
	return nil
}

func TestRunEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &quietWake{script{t: t}}
	if err := Run(ctx, s, s); err != nil || len(s.log) != 0 {
		t.Errorf("%v after %q", err, s.log)
	}
}

func TestFinal(t *testing.T) {
	always := make([]found, 3*finalNaps)
	for i := range always {
		always[i] = found{left: 40, busy: true}
	}
	tests := []struct {
		name    string
		drains  []found
		records error
		passes  int
		naps    int
	}{
		{"nothing left", []found{{}}, nil, 1, 0},
		{"some left", []found{{records: 3}}, nil, 1, 0},
		{"more came", []found{{records: 3, left: 80}, {records: 2}}, nil, 2, 0},
		{"busy for a while", []found{{records: 1, left: 80, busy: true}, {left: 80, busy: true}, {records: 2}}, nil, 3, 1},
		{"busy for ever", always, nil, finalNaps + 1, finalNaps},
		{"stop", []found{{records: 3, left: 80}, {records: 2}}, ErrStop, 1, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &script{t: t, drains: test.drains, recordIs: test.records}
			if err := Final(s, s); err != nil {
				t.Error(err)
			}
			naps := 0
			for _, what := range s.log {
				if what == "nap 1ms" {
					naps++
				}
			}
			if s.at != test.passes || naps != test.naps {
				t.Errorf("%d drains and %d naps, want %d and %d", s.at, naps, test.passes, test.naps)
			}
		})
	}
	s := &script{t: t, drains: []found{{records: 1}}, recordIs: os.ErrInvalid}
	if err := Final(s, s); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

func TestPace(t *testing.T) {
	const size = 1 << 20
	ms := time.Millisecond
	type step struct {
		waited        time.Duration
		n, peak, left int
		want          time.Duration
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"grows to ten", []step{{0, 1, 100, 0, ms}, {0, 1, 100, 0, 2 * ms}, {0, 1, 100, 0, 4 * ms}, {0, 1, 100, 0, 8 * ms},
			{0, 1, 100, 0, 10 * ms}, {0, 1, 100, 0, 10 * ms}}},
		{"short after quiet", []step{{0, 1, 100, 0, ms}, {0, 1, 100, 0, 2 * ms}, {time.Second, 1, 100, 0, ms}}},
		{"a gap is not quiet", []step{{0, 1, 100, 0, ms}, {0, 1, 100, 0, 2 * ms}, {10 * ms, 1, 100, 0, 4 * ms}}},
		{"stays when an eighth gathers", []step{{0, 1, 100, 0, ms}, {0, 1, 100, 0, 2 * ms}, {0, 9, size / 5, 0, 2 * ms}}},
		{"shrinks when more than a quarter gathers", []step{{0, 1, 1, 0, ms}, {0, 1, 1, 0, 2 * ms}, {0, 1, 1, 0, 4 * ms},
			{0, 1, 1, 0, 8 * ms}, {0, 9, size / 2, 0, 4 * ms}}},
		{"no nap when more than half did", []step{{0, 9, size/2 + 1, 0, 0}, {0, 1, 100, 0, 2 * ms}}},
		{"no nap when much is left", []step{{0, 9, 0, size/4 + 1, 0}}},
		{"never under a millisecond else", []step{{0, 9, size / 2, 0, ms}, {0, 9, size / 2, 0, ms}}},
		{"nothing committed", []step{{0, 0, size, size, ms}}},
		{"nothing at all", []step{{0, 0, 0, 0, ms}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var p pace
			for i, s := range test.steps {
				p.waited(s.waited)
				if got := p.next(s.n, s.peak, s.left, size); got != s.want {
					t.Errorf("step %d: %v, want %v", i, got, s.want)
				}
			}
		})
	}
}
