package script

import (
	"context"
	"fmt"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/process"
)

// dumped is how many keys the map has that is printed.
const dumped = 100_000

// dump measures what it takes to print a large map at the end.
func (b *Bench) dump(ctx context.Context) {
	b.rounds(ctx, "run-dump", b.Rounds, func() {
		b.each(ctx, "run-dump", byDescriptor, func(tool Tool) error {
			c := b.command(tool, byDescriptor, b.caller.PID)
			c.Env = []string{fmt.Sprintf("%s=%d", tool.KeysVariable, 2*dumped)}
			p, err := process.Launch(c)
			if err != nil {
				return err
			}
			defer p.Close()
			if err := p.Attached(byDescriptor.probes); err != nil {
				return err
			}
			if err := b.caller.Closes(dumped); err != nil {
				return err
			}
			if err := p.Idle(); err != nil {
				return err
			}
			before, err := measure.CPUTime(p.PID)
			if err != nil {
				return err
			}
			took, err := p.Interrupt(patience)
			if err != nil {
				return err
			}
			b.Results.Add("dump.keys", tool.Key, float64(counted(p.Output())))
			b.Results.Add("dump.cpu", tool.Key, ms(p.Total()-before))
			b.Results.Add("dump.wall", tool.Key, ms(took))
			return nil
		})
	})
}
