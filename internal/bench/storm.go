package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/workload"
)

// stormKind is a kind of burst. A wide one has up to that many processes waiting to run at once.
type stormKind struct {
	key, name  string
	args, wide int
	// A trickle is this many execs with this rest between them, however large storms are.
	trickle int
	pace    time.Duration
}

// storms are the bursts that are tried; the last is what a tool sees most of its time.
var storms = []stormKind{
	{key: "storm.one10", name: "one after the other, 10 arguments", args: 10},
	{key: "storm.par10", name: "in parallel, 10 arguments", args: 10, wide: 200},
	{key: "storm.one1000", name: "one after the other, 1,000 arguments", args: 1000},
	{key: "storm.par1000", name: "in parallel, 1,000 arguments", args: 1000, wide: 200},
	{key: "storm.trickle", name: "about 100 a second, 10 arguments", args: 10, trickle: 300, pace: 10 * time.Millisecond},
}

// count is how many execs the storm has at this scale.
func (s stormKind) count(scale Scale) int {
	if s.trickle > 0 {
		return s.trickle
	}
	return scale.StormSize
}

// quiet is how long a tool may print nothing before it is taken to have printed all it will.
const quiet = 4 * time.Second

// storm measures what arrives of bursts of execs of /bin/true, and what each record costs the tool.
func (b *Bench) storm(ctx context.Context) {
	for _, s := range storms {
		b.each(ctx, "storm, "+s.name, b.Scale.StormRounds, func(tool Tool) error {
			running, err := b.attach(tool)
			if err != nil {
				return err
			}
			defer running.Kill()
			if err := b.burst(tool, running, s); err != nil {
				return err
			}
			if _, err := running.Stop(); err != nil {
				return err
			}
			b.losses(tool, running, s)
			return nil
		})
	}
}

// burst runs a storm under a tool and notes what was shown of it and what that cost the tool.
func (b *Bench) burst(tool Tool, running *attached, s stormKind) error {
	tag := b.tag()
	running.Expect(tag)
	storm := workload.Storm{Program: b.real, Tag: tag, Count: s.count(b.Scale), Args: s.args, Wide: s.wide, Pace: s.pace}
	before, errBefore := measure.CPUTime(running.PID)
	errStorm := storm.Run()
	count := running.Settle(storm.Count, quiet)
	after, errAfter := measure.CPUTime(running.PID)
	peak, errPeak := measure.PeakRSS(running.PID)
	if err := errors.Join(errBefore, errStorm, errAfter, errPeak); err != nil {
		return err
	}
	if count.Repeated > 0 {
		return fmt.Errorf("%d records came twice", count.Repeated)
	}
	b.Results.Add(s.key+".printed", tool.Key, float64(count.Distinct))
	b.Results.Add(s.key+".rss", tool.Key, float64(peak)/mib)
	if count.Distinct > 0 {
		b.Results.Add(s.key+".cpu", tool.Key, us(after-before)/float64(count.Distinct))
	}
	return nil
}

// losses notes what a tool that has ended has said of losses.
func (b *Bench) losses(tool Tool, ended *attached, s stormKind) {
	remarks := ended.Remarks()
	lost := measure.Lost(remarks)
	if lost > 0 {
		fmt.Fprintf(b.Log, "%s said: %s\n", tool.Title, strings.TrimSpace(remarks))
	}
	b.Results.Add(s.key+".lost", tool.Key, float64(lost))
}
