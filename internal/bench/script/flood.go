package script

import (
	"context"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/process"
	"sonde/internal/bench/workload"
)

// The flood: opens as fast as one thread can.
const (
	floodSlices = 100
	floodCalls  = 10_000
	floodEvents = floodSlices * floodCalls
)

// flood measures what a script that prints every openat prints of a flood of them, what each costs the tool, and what
// it costs the program that is traced.
func (b *Bench) flood(ctx context.Context) {
	b.rounds(ctx, "run-flood", b.Rounds, func() {
		b.each(ctx, "run-flood", opens, b.flooded)
	})
}

func (b *Bench) flooded(tool Tool) error {
	control := func() ([]workload.Slice, error) { return b.caller.Opens(costSlices, floodCalls) }
	flood := func() ([]workload.Slice, error) { return b.caller.Opens(floodSlices, floodCalls) }
	ready := func(p *process.Process) error { return p.Attached(opens.probes) }
	p, w, err := process.Watch(b.command(tool, opens, b.caller.PID), ready, control, flood)
	if err != nil {
		return err
	}
	defer p.Close()
	lines, _ := measure.Tally(p.Output(), workload.MissingDir+"/", floodEvents, 1)
	b.Results.Add("flood.delivered", tool.Key, float64(lines))
	if lines > 0 {
		b.Results.Add("flood.cpu", tool.Key, float64(w.CPU)/float64(lines))
	}
	b.Results.Add("flood.rss", tool.Key, float64(w.Peak)/mib)
	b.Results.Add("flood.slow10", tool.Key, workload.Longer(w.With, w.Without, workload.CPU, 10))
	b.Results.Add("flood.slow50", tool.Key, workload.Longer(w.With, w.Without, workload.Wall, 50))
	b.Results.Add("flood.untraced", untraced, workload.PerCall(w.Without, workload.CPU, 10))
	return nil
}
