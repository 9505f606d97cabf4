package open

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/process"
	"sonde/internal/bench/workload"
)

// The flood: opens as fast as one thread can, in slices of which percentiles are taken.
const (
	floodSlices   = 100
	floodCalls    = 2000
	floodOpens    = floodSlices * floodCalls
	controlSlices = 30
)

// floodKind is a kind of flood.
type floodKind struct {
	key, name string
	missing   bool // the files do not exist
	busy      bool // every core has something else to do as well
}

var floods = []floodKind{
	{key: "idle", name: "of files that exist"},
	{key: "busy", name: "of files that exist, every core busy", busy: true},
	{key: "missing", name: "of files that do not exist", missing: true},
}

// opens makes the calls of a flood.
func (b *Bench) opens(f floodKind, slices int) process.Work {
	return func() ([]workload.Slice, error) {
		if f.missing {
			return b.caller.Opens(slices, floodCalls)
		}
		return b.caller.OpenFiles(b.files, slices, floodCalls, 0)
	}
}

// flood measures what a tool prints of a flood, what each record costs the tool, and what that costs the program that
// is traced.
func (b *Bench) flood(ctx context.Context) {
	for _, f := range floods {
		b.rounds(ctx, "open-flood, "+f.key, b.Rounds, func() {
			if err := b.floodRound(ctx, f); err != nil {
				b.Results.Fail(b.Log, "open-flood, "+f.key, "empty program", err)
			}
		})
	}
}

// floodRound is one round; it returns an error when there is nothing to compare with.
func (b *Bench) floodRound(ctx context.Context, f floodKind) error {
	if f.busy {
		spinners, err := workload.StartSpinners(runtime.NumCPU())
		if err != nil {
			return err
		}
		defer func() { _ = spinners.Stop() }()
	}
	unit, err := b.empty(f.key+".empty", b.opens(f, controlSlices), b.opens(f, floodSlices), workload.CPU)
	if err != nil {
		return err
	}
	b.each(ctx, "open-flood, "+f.key, func(tool Tool) error { return b.flooded(tool, f, unit) })
	return nil
}

// empty is what an open takes longer under programs that do nothing, in nanoseconds: the unit of all others in its round.
func (b *Bench) empty(row string, control, work process.Work, what func(workload.Slice) time.Duration) (float64, error) {
	ready := func(p *process.Process) error { return p.Attached(2) }
	p, w, err := process.Watch(b.reference.Command("emptyopen", b.caller.PID), ready, control, work)
	if err != nil {
		return 0, err
	}
	p.Close()
	unit := workload.Longer(w.With, w.Without, what, 10)
	if unit <= 0 {
		return 0, fmt.Errorf("it costs %.0f ns: the machine is too busy", unit)
	}
	b.Results.Add(row, inC, unit)
	b.Results.Add(row, untraced, workload.PerCall(w.Without, what, 10))
	return unit, nil
}

func (b *Bench) flooded(tool Tool, f floodKind, unit float64) error {
	p, w, err := process.Watch(b.command(tool), attached, b.opens(f, controlSlices), b.opens(f, floodSlices))
	if err != nil {
		return err
	}
	defer p.Close()
	seen, err := b.seen(p, f)
	if err != nil {
		return err
	}
	row := "flood." + f.key
	b.Results.Add(row+".printed", tool.Key, float64(seen.printed))
	b.Results.Add(row+".lost", tool.Key, float64(seen.lost))
	if seen.printed > 0 {
		b.Results.Add(row+".cpu", tool.Key, float64(w.CPU)/float64(seen.printed))
	}
	b.Results.Add(row+".pays", tool.Key, workload.Longer(w.With, w.Without, workload.CPU, 10)/unit)
	b.Results.Add(row+".longer", tool.Key, workload.Longer(w.With, w.Without, workload.Wall, 50))
	b.Results.Add(row+".rss", tool.Key, float64(w.Peak)/mib)
	return nil
}

// seen is what a tool has told of a flood.
type seen struct{ printed, lost int }

func (b *Bench) seen(p *process.Process, f floodKind) (seen, error) {
	prefix, different := b.files+"/", workload.Files
	if f.missing {
		prefix, different = workload.MissingDir+"/", floodOpens
	}
	printed, repeated := measure.Tally(p.Output(), prefix, different, floodOpens/different)
	if repeated > 0 {
		return seen{}, fmt.Errorf("%d records came twice", repeated)
	}
	remarks, err := p.Remarks()
	if err != nil {
		return seen{}, err
	}
	lost := measure.Lost(remarks)
	if printed+lost != floodOpens {
		fmt.Fprintf(b.Log, "%d of %d opens shown: %s\n", printed, floodOpens, strings.TrimSpace(remarks))
	}
	return seen{printed, lost}, nil
}

// small measures whether what a tool prints and what it says it has lost make up the whole of a flood, with the smallest
// buffer that it takes.
func (b *Bench) small(ctx context.Context) {
	f := floods[0]
	b.rounds(ctx, "open-small", b.Rounds, func() {
		b.each(ctx, "open-small", func(tool Tool) error {
			if tool.Small == nil {
				return nil
			}
			nothing := func() ([]workload.Slice, error) { return nil, nil }
			p, _, err := process.Watch(b.withArguments(tool, tool.Small), attached, nothing, b.opens(f, floodSlices))
			if err != nil {
				return err
			}
			defer p.Close()
			seen, err := b.seen(p, f)
			if err != nil {
				return err
			}
			b.Results.Add("small.printed", tool.Key, float64(seen.printed))
			b.Results.Add("small.lost", tool.Key, float64(seen.lost))
			b.Results.Add("small.sum", tool.Key, float64(seen.printed+seen.lost))
			return nil
		})
	})
}

// commas writes a count for people.
func commas(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
