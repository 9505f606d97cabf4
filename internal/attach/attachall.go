package attach

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
)

// closersAtOnce is how many links are closed at the same time. Closing waits for the kernel and not for a CPU, but each call
// that waits holds a thread.
const closersAtOnce = 64

// Attach puts the programs on their probes. Several programs on one event run in the order of the Spec. Where it fails,
// Close still has to be called.
//
// It goes from probe to probe: the kernel does this under locks, so that several threads would take as long (measured with
// 300 and more tracepoints, kprobes, uprobes and functions, on 6.1 to 6.18).
func (s *Session) Attach() error {
	if s.spec.Stats || !s.spec.Lean && !s.spec.Uncosted {
		if c, err := ebpf.EnableStats(uint32(statsRunTime)); err == nil {
			s.stats = c
		}
	}
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
	missing := make(map[int]string) // by number of the probe
	failed := make(map[int]error)   // of alternatives
	attached := make(map[int]bool)  // by number of the alternative
	for done, i := range s.inOrder(probes) {
		p := &s.spec.Probes[i]
		links, err := s.attachProbe(p)
		s.links = append(s.links, links...)
		if len(links) > 0 {
			s.attached++
			attached[p.Alternative] = true
		}
		if err != nil {
			s.skipped += skippedBy(err)
			err = fmt.Errorf("%s: %w", shown(p), err)
			switch {
			case p.Missing == prog.MissingError && p.Alternative != 0:
				failed[i] = err
			case p.Missing == prog.MissingError:
				return err
			case p.Missing == prog.MissingWarn:
				missing[i] = err.Error()
			}
		}
		if s.Progress != nil {
			s.Progress(done+1, len(probes))
		}
	}
	for _, i := range probes {
		if err := failed[i]; err != nil {
			if !attached[s.spec.Probes[i].Alternative] {
				return err
			}
			missing[i] = err.Error()
		}
		if text, ok := missing[i]; ok {
			s.missing = append(s.missing, text)
		}
	}
	return nil
}

// partialError says how many of the functions of a probe could not be probed.
type partialError struct {
	functions int
	error
}

func (e *partialError) Unwrap() error { return e.error }

// skippedBy is how many attach points an error of attaching is about.
func skippedBy(err error) int {
	var p *partialError
	if errors.As(err, &p) {
		return p.functions
	}
	return 1
}

// inOrder puts the probes, given as indexes, in the order in which they are to be attached.
func (s *Session) inOrder(probes []int) []int {
	order := make([]int, 0, len(probes))
	for _, e := range eventsOf(s.spec.Probes, probes) {
		if len(e.probes) > 1 && s.lastRunsFirst(e.key.kind) {
			slices.Reverse(e.probes)
		}
		order = append(order, e.probes...)
	}
	return order
}

func (s *Session) attachProbe(p *prog.Probe) ([]io.Closer, error) {
	if err := s.unloaded[p.Program]; err != nil {
		return nil, err
	}
	links, err := attachProbe(p, s.coll.Programs[p.Program])
	if len(links) > 0 {
		if it, ok := links[0].(iterator); ok {
			s.iters[p.Program] = it
		}
	}
	return links, err
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
