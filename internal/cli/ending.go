package cli

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sonde/internal/print"
	"sonde/internal/target"
)

// endSignals are those that end a run in order: what was seen is shown and accounted for. A hangup that the caller ignores
// (nohup) stays ignored, here and in COMMAND. An interrupt does not: shells let what they start in the background ignore it,
// and scripts end a tracer with `kill -INT` all the same.
func endSignals() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

const (
	// graceAfterSignal is how long a COMMAND may take to end after sonde was told to stop.
	graceAfterSignal = 2 * time.Second
	// sayWaiting is how long sonde waits for a COMMAND that outlives the run before it says so.
	sayWaiting = 200 * time.Millisecond
	// insistAfter is how long after a first signal a second one counts: timeout(1) and terminals send two at once.
	insistAfter = 500 * time.Millisecond
)

// insist gives signals their default action back for who insists: a run whose output nobody takes cannot end in order.
func insist(signals <-chan os.Signal, which []os.Signal) {
	counts := time.After(insistAfter)
	for {
		select {
		case <-signals:
		case <-counts:
			signal.Reset(which...)
			return
		}
	}
}

// release lets COMMAND go. One that was killed while it waited, as by a ^C that reaches both, has ended like any other.
func (r *run) release() error {
	err := r.command.Release()
	var fault *target.CommandError
	if err == nil || errors.As(err, &fault) {
		return err
	}
	say(r.io.err, "%s: %v", r.name, err)
	return nil
}

// unread ends a run whose heading could not be written. Where nobody reads, COMMAND runs all the same, as it does when
// the reader goes later.
func (r *run) unread(err error) error {
	if r.command == nil || !errors.Is(err, print.ErrClosedPipe) {
		return r.written(err)
	}
	if err := errors.Join(r.detach(), r.release()); err != nil {
		return err
	}
	return r.commandStatus(nil)
}

// commandStatus is how a run ends that had no fault of its own: with COMMAND's status where there is one.
func (r *run) commandStatus(err error) error {
	if r.command == nil {
		return err
	}
	if err == nil && r.signal == nil {
		r.await()
	}
	if r.signal != nil {
		// On a terminal COMMAND got the signal too; once more does no harm, and elsewhere it would not know.
		err = errors.Join(err, r.command.Signal(r.signal))
		select {
		case <-r.command.Done():
		case <-time.After(graceAfterSignal):
		}
	}
	select {
	case <-r.command.Done():
	default:
		say(r.io.err, "%s: COMMAND goes on (process %d)", r.name, r.command.Pid())
		if err == nil {
			err = &statusError{128 + int(r.signal.(syscall.Signal))}
		}
	}
	if err != nil {
		return err
	}
	return &statusError{r.command.Status()}
}

// await waits for COMMAND, which the run may have outlived by -d or -c, or for a signal.
func (r *run) await() {
	soon := time.After(sayWaiting)
	for {
		select {
		case <-r.command.Done():
			return
		case r.signal = <-r.signals:
			go insist(r.signals, r.endSignals())
			return
		case <-soon:
			if r.out.duration > 0 || r.out.count > 0 {
				say(r.io.err, "%s: waiting for COMMAND (process %d)", r.name, r.command.Pid())
			}
		}
	}
}
