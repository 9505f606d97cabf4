package script

import (
	"context"
	"fmt"
	"os"

	"sonde/internal/bench/traced"
)

// start measures how soon a script's first line is on the terminal, and what that took.
func (b *Bench) start(ctx context.Context) {
	scriptOnly := opens
	scriptOnly.object = "" // the reference is a program that is already compiled: another thing
	b.rounds(ctx, "run-start", 3*b.Rounds, func() {
		b.each(ctx, "run-start", scriptOnly, b.started)
	})
}

func (b *Bench) started(tool Tool) error {
	b.tags++
	c := b.command(tool, opens, b.caller.PID)
	up, err := traced.Up(traced.Command{Root: c.Root, Argv: c.Argv}, b.caller, fmt.Sprintf("sondebench%dx%dx", os.Getpid(), b.tags), patience)
	if err != nil {
		return err
	}
	b.Results.Add("start.first", tool.Key, ms(up.First))
	b.Results.Add("start.cpu", tool.Key, ms(up.CPU))
	b.Results.Add("start.rss", tool.Key, float64(up.Peak)/mib)
	return nil
}
