package script

import (
	"context"
	"fmt"
)

// stopCalls are made to see that a tool is attached.
const stopCalls = 1000

// stop measures how long a script on the entry of every system call takes to end.
func (b *Bench) stop(ctx context.Context) {
	b.rounds(ctx, "run-stop", b.Rounds, func() {
		b.each(ctx, "run-stop", everyEntry, func(tool Tool) error {
			p, err := launch(b.command(tool, everyEntry, b.caller.PID))
			if err != nil {
				return err
			}
			defer p.close()
			if err := p.settled(); err != nil {
				return err
			}
			if _, err := b.caller.Parents(1, stopCalls); err != nil {
				return err
			}
			took, err := p.interrupt(patience)
			if err != nil {
				return err
			}
			if seen := counted(p.output()); seen < stopCalls {
				return fmt.Errorf("it counted %d of at least %d calls: %w", seen, stopCalls, p.said())
			}
			b.Results.Add("stop.wall", tool.Key, ms(took))
			return nil
		})
	})
}
