package cli

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"sonde/internal/kernel"
	"sonde/internal/object"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/symbol"
	"sonde/internal/target"
)

// runObject is sonde run for a compiled object.
func runObject(io streams, x *scriptFlags, y *objectFlags, src scriptSource, command []string) error {
	opt, err := y.options(x)
	if err != nil {
		return err
	}
	o, err := y.prepared(src)
	if err != nil {
		return err
	}
	if y.show || y.disasm {
		out := print.NewOutput(io.out)
		show := o.Show
		switch {
		case y.disasm:
			show = o.Disassemble
		case opt.json:
			show = o.ShowJSON
		}
		if err := show(out); err != nil {
			return quietPipe(err)
		}
		if err := out.Flush(); err != nil {
			return quietPipe(err)
		}
		return nil
	}
	streams := o.Streams()
	if err := o.SetRecords(streams, y.records); err != nil {
		return &usageError{err}
	}
	if changes := o.Unsafe(); len(changes) > 0 && !x.unsafe {
		more := ""
		if len(changes) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(changes)-1)
		}
		return fmt.Errorf("%s: %s%s; allow it by --unsafe, or leave it out by --only", src.name, changes[0], more)
	}
	k := liveKernel()
	probes, err := o.Probes(k, opt.object)
	if err != nil {
		return fmt.Errorf("%s: %w", src.name, err)
	}
	reached(stageFound)
	warnOfGo(io, k, probes)
	runtime.GOMAXPROCS(1) // see run.trace
	r := &objectRun{io: io, flags: x, opt: opt, maps: y.maps, object: o, streams: streams}
	pid := 0
	if len(command) > 0 {
		if r.command, err = target.Start(command, [3]*os.File{os.Stdin, os.Stdout, os.Stderr}); err != nil {
			return err
		}
		defer r.command.Cancel()
		pid = r.command.Pid()
	}
	if err := y.setCommand(o, pid); err != nil {
		return err
	}
	r.spec = o.Spec(probes)
	if !x.quiet {
		for _, note := range o.Notes {
			say(io.err, "sonde: %s", note)
		}
		for _, s := range streams {
			if s.Guessed() && x.verbose > 0 {
				say(io.err, "sonde: map %s does not say what its records are: they are shown as the struct of the object's types that has their size, or in hexadecimal; --record STRUCT says which", s.Map)
			}
		}
	}
	return r.run()
}

// warnOfGo says which programs of Go are probed where functions return: the kernel puts another address to return to on their stacks, which
// Go's runtime reads and moves. It is said under -q too, for it is not the run that is at stake.
func warnOfGo(io streams, k kernel.Target, probes []prog.Probe) {
	for _, p := range probes {
		switch p.Kind {
		case prog.Uretprobe, prog.UretprobeMulti, prog.UprobeSession:
		default:
			continue
		}
		if kernel.IsGo(k, p.Path) {
			say(io.err, "sonde: warning: %s: %s is a program of Go, which a probe on returns can crash; uprobes on the instructions that return are safe", p.Shown, p.Path)
		}
	}
}

// tellProbes says with -v where each program is.
func (r *objectRun) tellProbes() {
	if r.flags.verbose == 0 {
		return
	}
	for _, p := range r.spec.Probes {
		where := p.Shown
		switch {
		case p.Path != "":
			where += fmt.Sprintf(" on %d places of %s", len(p.Addresses), p.Path)
		case len(p.Names) > 0:
			where += fmt.Sprintf(" on %d functions", len(p.Names))
		case p.Group != "":
			where += " on " + p.Group + ":" + p.Name
		case p.Name != "":
			where += " on " + p.Name
		}
		say(r.io.err, "sonde: %s", strings.TrimSpace(where))
	}
}

// staticPlaces finds the places of a static probe.
func staticPlaces(path, provider, name string) (places []object.StaticPlace, err error) {
	found, err := symbol.StaticProbes(path, provider, name)
	for _, p := range found {
		places = append(places, object.StaticPlace{Offset: p.Offset, Semaphore: p.Semaphore, Args: p.Args})
	}
	return places, err
}
