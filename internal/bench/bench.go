package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/report"
	"sonde/internal/bench/traced"
	"sonde/internal/bench/turns"
	"sonde/internal/bench/workload"
)

// Bench is one run of the benchmark.
type Bench struct {
	Tools   []Tool
	Root    string // where the peers live
	Scale   Scale
	Log     io.Writer
	Results *report.Results

	tiny string // the smallest program to exec
	real string // /bin/true, which needs its dynamic linker
	tags int
}

// Scale is how much of each measure is done: a guest is much slower than the machine.
type Scale struct {
	StartRounds, StormRounds, CostRounds int
	StormSize                            int // execs in a storm
}

// Full is the scale for the machine's own kernel: the short measures take three rounds for each of the storms.
func Full(rounds int) Scale {
	return Scale{StartRounds: 3 * rounds, StormRounds: rounds, CostRounds: 3 * rounds, StormSize: 5000}
}

// Measure is one of the measures, by its name for -only.
type Measure = turns.Measure[*Bench]

// Measures lists the measures in the order in which they are run.
var Measures = []Measure{
	{Name: "start", Run: (*Bench).start},
	{Name: "storm", Run: (*Bench).storm},
	{Name: "cost", Run: (*Bench).cost},
	{Name: "size", Run: (*Bench).size},
}

// patience is how long a tool may take to print its first record. One that compiles C in an emulated machine needs a while.
const patience = 5 * time.Minute

// Run takes the measures, one after the other. A round that fails is noted in the results and the rest goes on; an error is
// something that makes every measure impossible, or the end of ctx.
func (b *Bench) Run(ctx context.Context, measures []Measure) error {
	dir, err := os.MkdirTemp("", "sonde-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.tiny = filepath.Join(dir, "tiny")
	if err := workload.WriteTiny(b.tiny, runtime.GOARCH); err != nil {
		return err
	}
	if b.real, err = exec.LookPath("true"); err != nil {
		return err
	}
	return turns.Take(ctx, b, measures)
}

// each calls run for every tool, rounds times, tool after tool within a round.
func (b *Bench) each(ctx context.Context, what string, rounds int, run func(Tool) error) {
	turns.Rounds(ctx, b.Log, what, rounds, func() {
		for _, tool := range b.Tools {
			if ctx.Err() != nil {
				return
			}
			if err := run(tool); err != nil {
				b.failed(what, tool, err)
			}
		}
	})
}

func (b *Bench) failed(what string, tool Tool, err error) {
	b.Results.Fail(b.Log, what, tool.Title, err)
}

// tag returns a mark that no other part of this run uses, and none of which begins another.
func (b *Bench) tag() string {
	b.tags++
	return fmt.Sprintf("sondebench%dx%dx", os.Getpid(), b.tags)
}

// attached is a tool that has printed its first record.
type attached struct {
	*traced.Session
	First time.Duration // from before the fork of the tool until its first record was read
	CPU   time.Duration // the tool's CPU time until then
}

// attach starts a tool while marked execs go on, waits for its first record and ends the marks.
func (b *Bench) attach(tool Tool) (*attached, error) {
	tag := b.tag()
	marks, err := workload.StartMarks(b.tiny, tag)
	if err != nil {
		return nil, err
	}
	session, err := traced.Start(tool.command(b.Root), tag)
	if err != nil {
		_ = marks.Stop()
		return nil, err
	}
	first, err := session.First(patience)
	cpu, errCPU := measure.CPUTime(session.PID)
	errMarks := marks.Stop()
	for _, err := range []error{err, errCPU, errMarks} {
		if err != nil {
			session.Kill()
			return nil, err
		}
	}
	return &attached{Session: session, First: first.Sub(session.Started), CPU: cpu}, nil
}

// Units.
const mib = 1 << 20

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
