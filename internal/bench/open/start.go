package open

import (
	"context"
	"fmt"
	"os"
	"time"

	"sonde/internal/bench/traced"
)

// patience is how long a tool may take to print its first record.
const patience = time.Minute

// start measures how soon a tool's first record is on the terminal, what that took, and how soon the tool is gone.
func (b *Bench) start(ctx context.Context) {
	b.rounds(ctx, "open-start", 3*b.Rounds, func() {
		b.each(ctx, "open-start", func(tool Tool) error {
			b.tags++
			c := b.command(tool)
			tag := fmt.Sprintf("sondebench%dx%dx", os.Getpid(), b.tags)
			up, err := traced.Up(traced.Command{Root: c.Root, Argv: c.Argv}, b.caller, tag, patience)
			if err != nil {
				return err
			}
			b.Results.Add("start.first", tool.Key, ms(up.First))
			b.Results.Add("start.cpu", tool.Key, ms(up.CPU))
			b.Results.Add("start.rss", tool.Key, float64(up.Peak)/mib)
			b.Results.Add("start.stop", tool.Key, ms(up.Stop))
			return nil
		})
	})
}
