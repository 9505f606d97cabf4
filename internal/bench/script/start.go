package script

import (
	"context"
	"fmt"
	"os"
	"time"

	"sonde/internal/bench/measure"
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
	tag := fmt.Sprintf("sondebench%dx%dx", os.Getpid(), b.tags)
	if err := b.caller.Mark(tag); err != nil {
		return err
	}
	marking := true
	rest := func() error {
		if !marking {
			return nil
		}
		marking = false
		return b.caller.Rest()
	}
	defer func() { _ = rest() }()
	c := b.command(tool, opens, b.caller.PID)
	session, err := traced.Start(traced.Command{Root: c.root, Argv: c.argv}, tag)
	if err != nil {
		return err
	}
	defer session.Kill()
	first, err := session.First(patience)
	if err != nil {
		return err
	}
	used, err := measure.CPUTime(session.PID)
	if err != nil {
		return err
	}
	if err := rest(); err != nil {
		return err
	}
	time.Sleep(pause)
	peak, err := measure.PeakRSS(session.PID)
	if err != nil {
		return err
	}
	b.Results.Add("start.first", tool.Key, ms(first.Sub(session.Started)))
	b.Results.Add("start.cpu", tool.Key, ms(used))
	b.Results.Add("start.rss", tool.Key, float64(peak)/mib)
	_, err = session.Stop()
	return err
}
