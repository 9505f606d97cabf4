package script

import (
	"context"
	"io"
	"os"
	"time"

	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/reference"
	"sonde/internal/bench/report"
	"sonde/internal/bench/turns"
	"sonde/internal/bench/workload"
)

// Bench is one run of the benchmark.
type Bench struct {
	Tools   []Tool
	Roots   map[string]peers.Root // by suite
	Rounds  int
	Log     io.Writer
	Results *report.Results

	dir       string
	reference reference.Reference
	caller    *workload.Caller
	tags      int
	slow      map[string]bool // what a tool does not do again, by what and tool
}

// Measure is one of the measures, by its name for -only.
type Measure = turns.Measure[*Bench]

// Measures lists the measures in the order in which they are run.
var Measures = []Measure{
	{Name: "run-cost", Run: (*Bench).cost},
	{Name: "run-flood", Run: (*Bench).flood},
	{Name: "run-start", Run: (*Bench).start},
	{Name: "run-stop", Run: (*Bench).stop},
	{Name: "run-compile", Run: (*Bench).compile},
	{Name: "run-dump", Run: (*Bench).dump},
}

// Patience with a tool that is to end, and the rest that one gets before it is looked at.
const (
	patience = 5 * time.Minute
	pause    = 150 * time.Millisecond
)

// Run takes the measures, one after the other. A round that fails is noted in the results and the rest goes on; an error is
// something that makes every measure impossible, or the end of ctx.
func (b *Bench) Run(ctx context.Context, measures []Measure) (err error) {
	if b.dir, err = os.MkdirTemp("", "sonde-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.reference, err = reference.Build(ctx, b.dir); err != nil {
		return err
	}
	if b.caller, err = workload.StartCaller(); err != nil {
		return err
	}
	defer func() { _ = b.caller.Stop() }()
	b.slow = map[string]bool{}
	return turns.Take(ctx, b, measures)
}

// rounds calls run rounds times.
func (b *Bench) rounds(ctx context.Context, what string, rounds int, run func()) {
	turns.Rounds(ctx, b.Log, what, rounds, run)
}

// slow is what is done once only, however many rounds there are: it is no matter of a few per cent then.
const slow = 20 * time.Second

// each calls run for every tool that can run a script, and is not slow at it.
func (b *Bench) each(ctx context.Context, what string, s script, run func(Tool) error) {
	for _, tool := range b.Tools {
		if ctx.Err() != nil {
			return
		}
		if !tool.can(s) || b.slow[what+tool.Key] {
			continue
		}
		begin := time.Now()
		if err := run(tool); err != nil {
			b.failed(what, tool, err)
		}
		if time.Since(begin) > slow {
			b.slow[what+tool.Key] = true
		}
	}
}

func (b *Bench) failed(what string, tool Tool, err error) {
	b.Results.Fail(b.Log, what, tool.Title, err)
}

// watching starts a tool with a script and waits until it is attached and has come to rest.
func (b *Bench) watching(tool Tool, s script) (*process.Process, error) {
	p, err := process.Launch(b.command(tool, s, b.caller.PID))
	if err != nil {
		return nil, err
	}
	if err := p.Attached(s.probes); err != nil {
		p.Close()
		return nil, err
	}
	time.Sleep(pause)
	return p, nil
}

const mib = 1 << 20

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
