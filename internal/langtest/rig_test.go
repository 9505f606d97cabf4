package langtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/script"
	"sonde/internal/stream"
	"sonde/internal/symbol"
)

// live is the running kernel.
var live = kernel.Live(attach.Trials())

// outcome is what a script gave.
type outcome struct {
	refused string // what the compiler says, all errors; nothing was run then
	out     string // what it printed
	maps    string // its maps, as printed at the end
	err     string // messages at run time
	code    int    // of exit()
	lost    uint64
}

// run is how a script is run.
type run struct {
	compile.Options
	json, quiet bool
	cpus        int // run the begin programs on so many CPUs, one after the other; 0 for where we are
	ring        int
}

// root skips a test that cannot run programs.
func root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// execute compiles a script, runs its begin and end programs and returns what it said. An error is a bug of ours: the kernel
// refuses the code, or the run-time does not understand it.
func execute(text string, how run) (o outcome, err error) {
	how.NoWarnings = true // about the source; those of the run are the Runner's
	how.RingSize = max(how.ring, 1<<18)
	p, diags := compile.Compile([]byte(text), "stdin", live, how.Options)
	src := syntax.NewSource("stdin", []byte(text))
	for _, d := range diags {
		if d.Severity == syntax.Error {
			o.refused += src.Render(d, false) + "\n"
		}
	}
	if o.refused != "" {
		return o, nil
	}
	session, err := attach.OpenFor(p.Spec, live.Types())
	if err != nil {
		var refused *attach.Refused
		if errors.As(err, &refused) {
			tail := refused.Log[max(0, len(refused.Log)-40):]
			return o, fmt.Errorf("%w\n%s", err, strings.Join(tail, "\n"))
		}
		return o, err
	}
	defer session.Close()
	r, err := newRunning(p, session, how)
	if err != nil {
		return o, err
	}
	defer r.reader.Close()
	if err := r.run(how.cpus); err != nil {
		return o, err
	}
	o.out = r.out.String()
	r.out.Reset()
	if err := r.runner.PrintMaps(); err != nil {
		return o, err
	}
	o.maps, o.err = strings.TrimPrefix(r.out.String(), "\n\n"), r.err.String()
	o.code = r.code
	o.lost, err = r.account()
	return o, err
}

// running is a script between its loading and its end.
type running struct {
	p        *compile.Program
	session  *attach.Session
	reader   *stream.Reader
	runner   *script.Runner
	counters *stream.Counters
	seq      *stream.Sequence
	out      output
	err      bytes.Buffer
	code     int
}

// output is what the script prints.
type output struct{ bytes.Buffer }

func (o *output) Flush() error { return nil }

func newRunning(p *compile.Program, session *attach.Session, how run) (r *running, err error) {
	r = &running{p: p, session: session}
	if r.counters, err = stream.NewCounters(session.Map(p.Spec.Counters), p.Spec.LostReasons); err != nil {
		return nil, err
	}
	tally, err := r.counters.Read()
	if err != nil {
		return nil, err
	}
	r.seq = stream.NewSequence(len(tally.CPUs))
	maps := stream.NewMaps(session.Map)
	if at := p.Elapsed; at.Map != "" {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			return nil, err
		}
		if err := maps.WriteAt(at.Map, binary.LittleEndian.AppendUint64(nil, uint64(now.Nano())), at.Offset); err != nil {
			return nil, err
		}
	}
	env := script.Env{
		Out: &r.out, Err: &r.err, JSON: how.json, NoWarnings: how.quiet, Maps: maps, Symbols: symbols{}, CgroupPath: kernel.CgroupPaths,
	}
	if r.runner, err = script.New(p, env); err != nil {
		return nil, err
	}
	r.reader, err = stream.NewReader(session.Map(p.Spec.Ring))
	return r, err
}

// run runs the begin programs, then the end programs.
func (r *running) run(cpus int) error {
	turns := func() error { return r.programs(r.p.Begin) }
	if cpus > 0 {
		turns = func() error { return onEach(cpus, func() error { return r.programs(r.p.Begin) }) }
	}
	if err := turns(); err != nil {
		return err
	}
	r.code, _ = r.runner.Exited()
	r.runner.AtEnd()
	if err := r.programs(r.p.End); err != nil {
		return err
	}
	if code, exited := r.runner.Exited(); exited && code != 0 {
		r.code = code
	}
	return nil
}

func (r *running) programs(names []string) error {
	for _, name := range names {
		if _, err := r.session.Run(name); err != nil {
			return err
		}
	}
	return stream.Final(r.reader, r)
}

func (r *running) Before(now uint64) error    { return r.runner.Before(now) }
func (r *running) Drained(uint64, bool) error { return nil }
func (r *running) Holding() bool              { return false }
func (r *running) Record(rec prog.Record) error {
	if rec.Seq != 0 {
		r.seq.Add(rec.CPU, rec.Seq)
	}
	err := r.runner.Record(rec)
	if errors.Is(err, stream.ErrStop) {
		return nil // what comes after exit() the runner leaves out
	}
	return err
}

// account returns how many records were lost, and an error where that is not what the counters say.
func (r *running) account() (uint64, error) {
	tally, err := r.counters.Read()
	if err != nil {
		return 0, err
	}
	if n := r.runner.Malformed(); n > 0 {
		return 0, fmt.Errorf("%d records are not what their site sends", n)
	}
	v := r.seq.Verdict(tally)
	if v.Unexplained > 0 || v.Odd > 0 {
		return 0, fmt.Errorf("the sequence numbers do not add up: %+v", v)
	}
	return v.Lost, nil
}

// onEach calls f on so many CPUs, one after the other.
func onEach(cpus int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	for cpu := 0; cpu < len(before)*64 && cpus > 0; cpu++ {
		if !before.IsSet(cpu) {
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
		cpus--
	}
	return nil
}

// symbols names addresses of the kernel; of processes no row asks.
type symbols struct{ script.Symbols }

func (symbols) Kernel(addr uint64) script.Frame {
	k, err := symbol.OpenKernel()
	if err != nil {
		return script.Frame{}
	}
	f := k.Lookup(addr)
	if f.Module == symbol.KernelModule {
		f.Module = ""
	}
	return script.Frame{Name: f.Name, Offset: f.Offset, Module: f.Module}
}

func (symbols) User(uint32, uint32, uint64) script.Frame { return script.Frame{} }
func (symbols) Observe(uint32, uint64, uint64)           {}
