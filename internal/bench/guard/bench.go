package guard

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"sonde/internal/bench/guest"
	"sonde/internal/bench/measure"
	"sonde/internal/bench/process"
	"sonde/internal/bench/report"
	"sonde/internal/bench/workload"
	"sonde/internal/vmtest/fetch"
)

// GuestRole is the first argument under which a binary, in a guest, must call InGuest.
const GuestRole = "bench-guard"

// Measure is the one there is, by its name for -only.
const Measure = "guard-cost"

// guestKernel has both mechanisms.
const guestKernel = "7.2"

// mechanisms are the columns: those that can deny. The first is judged.
var mechanisms = []string{"lsm", "fmod_ret"}

// longest is how long a guest may take in all: on a busy machine sonde takes a minute to start in one.
const longest = 25 * time.Minute

// Run boots a guest, measures in it, and returns the results.
func Run(ctx context.Context, sonde string, rounds int, log io.Writer) (*report.Results, error) {
	if _, err := os.Stat(sonde); err != nil {
		return nil, err
	}
	cache, err := fetch.Open("", false, log)
	if err != nil {
		return nil, err
	}
	task := guest.Task{Cache: cache, Kernel: guestKernel, Sonde: sonde, Args: []string{GuestRole, strconv.Itoa(rounds)}, Timeout: longest}
	return guest.Take(ctx, task, log)
}

// InGuest is the guest's side: it measures that many rounds, and hands over the results.
func InGuest(ctx context.Context, rounds string, out, log io.Writer) error {
	n, err := strconv.Atoi(rounds)
	if err != nil || n < 1 {
		return fmt.Errorf("want a number of rounds, got %q", rounds)
	}
	machine, err := measure.Machine()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sonde-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{sonde: guest.Sonde, files: layout{dir}, log: log, results: &report.Results{Machine: machine, Columns: columns(), Notes: notes()}}
	if err := b.files.make(many.rules); err != nil {
		return err
	}
	if b.caller, err = workload.StartCaller(); err != nil {
		return err
	}
	defer func() { _ = b.caller.Stop() }()
	for round := range n {
		fmt.Fprintf(log, "%s: round %d of %d\n", Measure, round+1, n)
		for _, mechanism := range mechanisms {
			if err := b.round(ctx, mechanism, round > 0); err != nil {
				b.results.Fail(log, Measure, mechanism, err)
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped: %w", err)
		}
	}
	return guest.Hand(out, b.results)
}

// bench is one run, in the guest.
type bench struct {
	sonde   string
	files   layout
	caller  *workload.Caller
	log     io.Writer
	results *report.Results
}

// Slices of opens of which the 10th percentile is taken.
const (
	slices = 60
	calls  = 100
)

// patience is how long an emulated machine may take to arm many rules.
const patience = 5 * time.Minute

// round measures all kinds of rules under one mechanism, and what they are compared with before and after. again says that it
// is not the first.
func (b *bench) round(ctx context.Context, mechanism string, again bool) error {
	without, err := b.untraced()
	if err != nil {
		return err
	}
	with := map[string][]workload.Slice{} // by kind
	for _, others := range []bool{true, false} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if others && again {
			continue // a guard that starts takes longest: what needs one of its own is done once
		}
		if err := b.guarded(mechanism, others, with); err != nil {
			return err
		}
	}
	after, err := b.untraced()
	if err != nil {
		return err
	}
	for dir := range without {
		without[dir] = append(without[dir], after[dir]...)
	}
	share := map[string]float64{} // by kind
	for _, k := range kinds {
		if len(with[k.key]) == 0 {
			continue
		}
		guarded, bare := perOpen(with[k.key]), perOpen(without[b.files.opened(k)])
		if guarded <= 0 || bare <= 0 {
			return fmt.Errorf("%s: an open takes %.0f ns, and %.0f ns without sonde: the clock cannot tell", k.title, guarded, bare)
		}
		share[k.key] = guarded / bare
		b.results.Add("open."+k.key, mechanism, share[k.key])
	}
	b.results.Add("constant", mechanism, share[many.key]/share[few.key])
	b.results.Add("untraced", mechanism, perOpen(without[b.files.plain()])/float64(time.Microsecond))
	return nil
}

// perOpen is in wall time: an emulated machine that is starved takes its fine clock for unreliable, and then counts CPU time in
// ticks, which are longer than a slice.
func perOpen(s []workload.Slice) float64 { return workload.PerCall(s, workload.Wall, 10) }

// untraced measures opens without a guard, by folder.
func (b *bench) untraced() (map[string][]workload.Slice, error) {
	all := map[string][]workload.Slice{}
	for _, dir := range []string{b.files.plain(), b.files.deep()} {
		var err error
		if all[dir], err = b.caller.OpenFiles(dir, slices, calls, 0); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// guarded starts a guard and measures opens under each kind of rules that it can have in turn: it takes up a change of its
// file. It begins with the most rules, for which the tables are made.
func (b *bench) guarded(mechanism string, others bool, with map[string][]workload.Slice) error {
	first := many
	if others {
		first = nobody
	}
	if err := b.files.use(first); err != nil {
		return err
	}
	p, err := process.Launch(b.command(mechanism, others))
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Says(first.inForce(), 0, patience); err != nil {
		return fmt.Errorf("%s: %w", first.title, err)
	}
	b.results.Add("armed."+first.key, mechanism, time.Since(p.Started).Seconds())
	inForce := first.key
	for _, k := range kinds {
		if k.others != others {
			continue
		}
		if k.key != inForce {
			if err := b.change(p, k); err != nil {
				return err
			}
			inForce = k.key
		}
		if err := p.Idle(); err != nil {
			return err
		}
		if with[k.key], err = b.caller.OpenFiles(b.files.opened(k), slices, calls, 0); err != nil {
			return err
		}
	}
	_, err = p.Interrupt(patience)
	return err
}

// change has a guard take up other rules.
func (b *bench) change(p *process.Process, k kind) error {
	spoken, err := p.Spoken()
	if err != nil {
		return err
	}
	if err := b.files.use(k); err != nil {
		return err
	}
	if err := p.Says(k.inForce(), spoken, patience); err != nil {
		return fmt.Errorf("%s: %w", k.title, err)
	}
	return nil
}

// command is how to start a guard, for others about a process that opens nothing.
func (b *bench) command(mechanism string, others bool) process.Command {
	c := process.Command{Argv: []string{b.sonde, "guard", "--mechanism", mechanism, "-f", b.files.inUse()}}
	if others {
		c.Argv = append(c.Argv, "-p", strconv.Itoa(os.Getpid()))
	}
	return c
}
