package open

import (
	"context"
	"io"
	"os"
	"path/filepath"
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
	Root    peers.Root // where the peers live
	Rounds  int
	Log     io.Writer
	Results *report.Results

	dir       string // of this run
	files     string // the folder of the files that are opened
	reference reference.Reference
	caller    *workload.Caller
	tags      int
}

// Measure is one of the measures, by its name for -only.
type Measure = turns.Measure[*Bench]

// Measures lists the measures in the order in which they are run.
var Measures = []Measure{
	{Name: "open-flood", Run: (*Bench).flood},
	{Name: "open-small", Run: (*Bench).small},
	{Name: "open-paced", Run: (*Bench).paced},
	{Name: "open-start", Run: (*Bench).start},
}

// Run takes the measures, one after the other. A round that fails is noted in the results and the rest goes on; an error is
// something that makes every measure impossible, or the end of ctx.
func (b *Bench) Run(ctx context.Context, measures []Measure) (err error) {
	if b.dir, err = os.MkdirTemp("", "sonde-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	// As deep as the files that programs open most.
	b.files = filepath.Join(b.dir, "usr/lib")
	if err := workload.MakeFiles(b.files); err != nil {
		return err
	}
	if b.reference, err = reference.Build(ctx, b.dir); err != nil {
		return err
	}
	remove, err := b.restrictScripts()
	defer remove()
	if err != nil {
		return err
	}
	if b.caller, err = workload.StartCaller(); err != nil {
		return err
	}
	defer func() { _ = b.caller.Stop() }()
	return turns.Take(ctx, b, measures)
}

// rounds calls run rounds times.
func (b *Bench) rounds(ctx context.Context, what string, rounds int, run func()) {
	turns.Rounds(ctx, b.Log, what, rounds, run)
}

// each calls run for every tool.
func (b *Bench) each(ctx context.Context, what string, run func(Tool) error) {
	for _, tool := range b.Tools {
		if ctx.Err() != nil {
			return
		}
		if err := run(tool); err != nil {
			b.Results.Fail(b.Log, what, tool.Title, err)
		}
	}
}

// attached waits until a tool is: how many places that is differs, and with sonde from kernel to kernel.
func attached(p *process.Process) error { return p.Settled(400 * time.Millisecond) }

const mib = 1 << 20

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
