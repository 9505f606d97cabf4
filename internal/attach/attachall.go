package attach

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
)

const (
	// Closing waits for the kernel and not for a CPU, but each call that waits holds a thread.
	closersAtOnce = 64
	// Few probes are attached faster than goroutines are started for it.
	fewProbes = 8
)

// Attach puts the programs on their probes. Several programs on one event run in the order of the Spec; probes of
// different events may be attached in any order. Where it fails, Close still has to be called.
func (s *Session) Attach() error {
	if !s.spec.Lean || s.spec.Stats {
		if c, err := ebpf.EnableStats(uint32(statsRunTime)); err == nil {
			s.stats = c
		}
	}
	var a attaching
	var probes []int
	for i := range s.spec.Probes {
		p := &s.spec.Probes[i]
		if p.Kind == prog.TestRun {
			continue
		}
		if s.coll.Programs[p.Program] == nil && s.unloaded[p.Program] == nil {
			return fmt.Errorf("%s: no program %q for probe %s", s.spec.Name, p.Program, p.Name)
		}
		probes = append(probes, i)
	}
	a.total, a.byEvent = len(probes), eventsOf(s.spec.Probes, probes)
	a.outcomes = make([]outcome, len(s.spec.Probes))
	workers := 1
	if a.total > fewProbes {
		workers = 2 * runtime.GOMAXPROCS(0)
	}
	inParallel(len(a.byEvent), workers, func(i int) { s.attachEvent(&a, a.byEvent[i]) })

	var first error
	for i, o := range a.outcomes {
		p := &s.spec.Probes[i]
		s.links = append(s.links, o.links...)
		if len(o.links) > 0 {
			s.attached++
			if it, ok := o.links[0].(iterator); ok {
				s.iters[p.Program] = it
			}
		}
		switch {
		case o.err == nil:
		case p.Missing == prog.MissingWarn:
			s.missing = append(s.missing, o.err.Error())
		case p.Missing == prog.MissingError && first == nil:
			first = o.err
		}
	}
	return first
}

// attaching is what the goroutines of one Attach share.
type attaching struct {
	byEvent  []event
	total    int
	outcomes []outcome // parallel to the Spec's probes, each written by one goroutine
	failed   atomic.Bool
	mu       sync.Mutex
	done     int // under mu, as are the calls of Progress
}

// outcome is what became of a probe: both, where it is on some of its functions only.
type outcome struct {
	links []io.Closer
	err   error
}

// attachEvent attaches the programs of one event, one after the other.
func (s *Session) attachEvent(a *attaching, e event) {
	fromLast := len(e.probes) > 1 && lastRunsFirst(e.key.kind)
	for n := range e.probes {
		if a.failed.Load() {
			return
		}
		i := e.probes[n]
		if fromLast {
			i = e.probes[len(e.probes)-1-n]
		}
		p := &s.spec.Probes[i]
		o := &a.outcomes[i]
		if o.err = s.unloaded[p.Program]; o.err == nil {
			o.links, o.err = attachProbe(p, s.coll.Programs[p.Program])
		}
		if o.err != nil {
			o.err = fmt.Errorf("%s: %w", shown(p), o.err)
			if p.Missing == prog.MissingError {
				a.failed.Store(true)
			}
		}
		a.mu.Lock()
		a.done++
		if s.Progress != nil {
			s.Progress(a.done, a.total)
		}
		a.mu.Unlock()
	}
}

// inParallel calls do for 0 to n-1, by so many goroutines.
func inParallel(n, workers int, do func(i int)) {
	if workers = min(workers, n); workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}
