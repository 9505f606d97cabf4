package script

import (
	"context"
	"fmt"

	"sonde/internal/bench/measure"
)

// dumped is how many keys the map has that is printed.
const dumped = 100_000

// dump measures what it takes to print a large map at the end.
func (b *Bench) dump(ctx context.Context) {
	b.rounds(ctx, "run-dump", b.Rounds, func() {
		b.each(ctx, "run-dump", byDescriptor, func(tool Tool) error {
			c := b.command(tool, byDescriptor, b.caller.PID)
			c.env = []string{fmt.Sprintf("%s=%d", tool.KeysVariable, 2*dumped)}
			p, err := launch(c)
			if err != nil {
				return err
			}
			defer p.close()
			if err := p.attached(byDescriptor.probes); err != nil {
				return err
			}
			if err := b.caller.Closes(dumped); err != nil {
				return err
			}
			if err := p.idle(); err != nil {
				return err
			}
			before, err := measure.CPUTime(p.pid)
			if err != nil {
				return err
			}
			took, err := p.interrupt(patience)
			if err != nil {
				return err
			}
			b.Results.Add("dump.keys", tool.Key, float64(counted(p.output())))
			b.Results.Add("dump.cpu", tool.Key, ms(p.total()-before))
			b.Results.Add("dump.wall", tool.Key, ms(took))
			return nil
		})
	})
}
