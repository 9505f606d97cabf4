package cli

import (
	"errors"
	"fmt"

	"sonde/internal/tracefs"
)

// cleanStale lists what loaders that crashed left in tracefs, and takes it away unless it is only to be listed.
func cleanStale(io streams, listOnly bool) error {
	left, err := tracefs.Leftovers()
	if err != nil {
		return fmt.Errorf("--clean-stale: %w", err)
	}
	if len(left) == 0 {
		say(io.err, "sonde: no loader has left a probe in kprobe_events or uprobe_events")
		return nil
	}
	var gone []tracefs.Leftover
	for _, l := range left {
		what := "of " + l.Loader
		switch {
		case l.Lives:
			what += fmt.Sprintf(", process %d, which lives: left alone", l.PID)
		case l.PID != 0:
			what += fmt.Sprintf(", process %d, which has ended", l.PID)
		default:
			what += ", whose process is not known"
		}
		if _, err := fmt.Fprintln(io.out, oneLine(fmt.Sprintf("%s %s (%s)", l.Event, l.Place, what))); err != nil {
			return quietPipe(err)
		}
		if !l.Lives {
			gone = append(gone, l)
		}
	}
	if listOnly {
		say(io.err, "sonde: %d of %d would be removed, unless somebody has a program on them", len(gone), len(left))
		return nil
	}
	removed, held := 0, 0
	for _, l := range gone {
		switch rerr := l.Remove(); {
		case rerr == nil:
			removed++
		case errors.Is(rerr, tracefs.ErrHeld):
			held++
			say(io.err, "sonde: %s is in use, and stays", l.Event)
		default:
			err = errors.Join(err, fmt.Errorf("%s: %w", l.Event, rerr))
		}
	}
	say(io.err, "sonde: %d removed, %d in use, %d of living processes", removed, held, len(left)-len(gone))
	return err
}
