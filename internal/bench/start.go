package bench

import (
	"context"
	"errors"
	"time"

	"sonde/internal/bench/measure"
)

// pause lets a tool come to rest before it is looked at and stopped.
const pause = 150 * time.Millisecond

// start measures how soon a tool shows something, what that took, and how soon it is gone.
func (b *Bench) start(ctx context.Context) {
	b.each(ctx, "start", b.Scale.StartRounds, func(tool Tool) error {
		running, err := b.attach(tool)
		if err != nil {
			return err
		}
		defer running.Kill()
		if err := b.started(tool, running); err != nil {
			return err
		}
		return b.stopped(tool, running)
	})
}

// started notes what it took a tool to get going.
func (b *Bench) started(tool Tool, running *attached) error {
	time.Sleep(pause)
	peak, errPeak := measure.PeakRSS(running.PID)
	pinned, errPinned := measure.PinnedMemory(running.PID)
	if err := errors.Join(errPeak, errPinned); err != nil {
		return err
	}
	b.Results.Add("start.first", tool.Key, ms(running.First))
	b.Results.Add("start.cpu", tool.Key, ms(running.CPU))
	b.Results.Add("start.rss", tool.Key, float64(peak)/mib)
	b.Results.Add("start.pinned", tool.Key, float64(pinned.Total())/mib)
	return nil
}

// stopped stops a tool and notes how long that took.
func (b *Bench) stopped(tool Tool, running *attached) error {
	time.Sleep(pause)
	took, err := running.Stop()
	if err != nil {
		return err
	}
	b.Results.Add("start.stop", tool.Key, ms(took))
	return nil
}
