package bench

import (
	"context"
	"time"

	"sonde/internal/bench/measure"
)

// startFactor is how many rounds of the start there are for each round of the storms: they are short.
const startFactor = 3

// pause lets a tool come to rest before it is stopped.
const pause = 150 * time.Millisecond

// start measures how soon a tool shows something, what that took, and how soon it is gone.
func (b *Bench) start(ctx context.Context) {
	b.each(ctx, "start", startFactor*b.Rounds, func(tool Tool) error {
		running, err := b.attach(tool)
		if err != nil {
			return err
		}
		time.Sleep(pause)
		peak, errPeak := measure.PeakRSS(running.PID)
		pinned, errPinned := measure.PinnedMemory(running.PID)
		stop, err := running.Stop()
		for _, err := range []error{err, errPeak, errPinned} {
			if err != nil {
				return err
			}
		}
		b.Results.Add("start.first", tool.Key, ms(running.First))
		b.Results.Add("start.cpu", tool.Key, ms(running.CPU))
		b.Results.Add("start.rss", tool.Key, float64(peak)/mib)
		b.Results.Add("start.stop", tool.Key, ms(stop))
		b.Results.Add("start.pinned", tool.Key, float64(pinned.Total())/mib)
		return nil
	})
}
