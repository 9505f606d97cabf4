package bench

import (
	"context"
	"fmt"
	"time"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/workload"
)

// stormSize is how many execs a storm has.
const stormSize = 5000

// storms are the bursts that are tried. Wide ones keep up to that many processes waiting to run at once.
var storms = []struct {
	key, name  string
	args, wide int
}{
	{"storm.one10", "one after the other, 10 arguments", 10, 0},
	{"storm.par10", "in parallel, 10 arguments", 10, 200},
	{"storm.one1000", "one after the other, 1,000 arguments", 1000, 0},
	{"storm.par1000", "in parallel, 1,000 arguments", 1000, 200},
}

// quiet is how long a tool may print nothing before it is taken to have printed all it will.
const quiet = 1500 * time.Millisecond

// storm measures what arrives of bursts of execs of /bin/true, and what each record costs the tool.
func (b *Bench) storm(ctx context.Context) {
	for _, s := range storms {
		b.each(ctx, "storm, "+s.name, b.Rounds, func(tool Tool) error {
			return b.stormRound(tool, s.key, workload.Storm{Program: b.real, Count: stormSize, Args: s.args, Wide: s.wide})
		})
	}
}

func (b *Bench) stormRound(tool Tool, key string, storm workload.Storm) error {
	running, err := b.attach(tool)
	if err != nil {
		return err
	}
	storm.Tag = b.tag()
	running.Expect(storm.Tag)
	before, errBefore := measure.CPUTime(running.PID)
	errStorm := storm.Run()
	count := running.Settle(stormSize, quiet)
	after, errAfter := measure.CPUTime(running.PID)
	peak, errPeak := measure.PeakRSS(running.PID)
	_, err = running.Stop()
	for _, err := range []error{errBefore, errStorm, errAfter, errPeak, err} {
		if err != nil {
			return err
		}
	}
	if count.Repeated > 0 {
		return fmt.Errorf("%d records came twice", count.Repeated)
	}
	b.Results.Add(key+".printed", tool.Key, float64(count.Distinct))
	b.Results.Add(key+".lost", tool.Key, float64(lostIn(running.Remarks())))
	b.Results.Add(key+".rss", tool.Key, float64(peak)/mib)
	if count.Distinct > 0 {
		b.Results.Add(key+".cpu", tool.Key, us(after-before)/float64(count.Distinct))
	}
	return nil
}
