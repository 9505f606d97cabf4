package script

import (
	"context"
	"fmt"
	"time"

	"sonde/internal/bench/process"
)

// stopCalls are made to see that a tool is attached.
const stopCalls = 1000

// stop measures how long a script on the entry of every system call takes to end.
func (b *Bench) stop(ctx context.Context) {
	b.rounds(ctx, "run-stop", b.Rounds, func() {
		b.each(ctx, "run-stop", everyEntry, func(tool Tool) error {
			p, err := process.Launch(b.command(tool, everyEntry, b.caller.PID))
			if err != nil {
				return err
			}
			defer p.Close()
			if err := p.Settled(time.Second); err != nil {
				return err
			}
			if _, err := b.caller.Parents(1, stopCalls); err != nil {
				return err
			}
			took, err := p.Interrupt(patience)
			if err != nil {
				return err
			}
			if seen := counted(p.Output()); seen < stopCalls {
				return fmt.Errorf("it counted %d of at least %d calls: %w", seen, stopCalls, p.Said())
			}
			b.Results.Add("stop.wall", tool.Key, ms(took))
			return nil
		})
	})
}
