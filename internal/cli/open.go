package cli

import (
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sonde/internal/attach"
	"sonde/internal/print"
	"sonde/internal/target"
	"sonde/internal/tool/open"
)

func openCommand(io streams) *cobra.Command {
	var x openFlags
	c := &cobra.Command{
		Use:   "open [flags] [-- COMMAND [ARG...]]",
		Short: "Show every open of a file",
		Long: `Shows every open of a file: who, what name was asked for, which file was reached, how it ended.

With -- COMMAND, only that command and its descendants are traced; sonde ends with the last of them, with COMMAND's status.
A GLOB of --path is for absolute paths: * and ? stand for what is in one name, ** for any number of names; one without a
slash is for the last name.`,
		Example: `  sonde open -- ls /
  sonde open --unique -- ./configure
  sonde open -x --path '/etc/**' --path '!*.conf'
  sonde open -f json --write -u www-data -o opens.jsonl`,
		RunE: func(c *cobra.Command, args []string) error { return x.run(io, c, args) },
	}
	x.add(c.Flags())
	return c
}

// opensnoopCommand is the drop-in: bcc's flags and columns.
func opensnoopCommand(io streams, name string) *cobra.Command {
	x := openFlags{classic: true}
	c := &cobra.Command{
		Use:   name + " [flags]",
		Short: "Trace open() syscalls",
		RunE:  func(c *cobra.Command, args []string) error { return x.run(io, c, args) },
	}
	common(c)
	addVersion(c)
	x.add(c.Flags())
	return c
}

func (x *openFlags) run(io streams, c *cobra.Command, args []string) error {
	if err := commandAfterDash(c, args); err != nil {
		return err
	}
	x.target.Command = args
	out, helped, err := x.output.take(io, c.Flags(), open.RowType)
	if helped || err != nil {
		return err
	}
	opt, err := x.options(c.Flags(), out)
	if err != nil {
		return err
	}
	show := open.Show{Unique: x.unique, Count: out.count}
	if len(x.paths) > 0 {
		if show.Paths, err = open.ParseGlobs(x.paths); err != nil {
			return &usageError{err}
		}
		opt.Paths = show.Paths
	}
	if x.classic {
		x.target.Comm = regexp.QuoteMeta(x.target.Comm) // there it is a part of the name
	}
	r := &run{name: c.Root().Name(), io: io, out: out, rowType: open.RowType, columns: x.columns(), missed: open.Missed}
	switch {
	case x.classic && !out.json && out.fields == nil:
		r.rowType, r.columns, r.exact = open.Classic, x.classicColumns(), true
	case out.fields != nil:
		if r.columns, err = print.SelectColumns(open.RowType, out.fields); err != nil {
			return &usageError{err}
		}
	}
	if err := needProc(); err != nil {
		return err
	}
	if opt.TID, err = x.thread(); err != nil {
		return err
	}
	opt.Fields = x.gathered(r)
	switch x.via {
	case "bpf":
	case "tracefs":
		return x.traceDynevents(r, c.Flags(), opt, show)
	default:
		return usage("--via %q: the ways are bpf and tracefs", x.via)
	}
	if r.target, err = x.target.Resolve(); err != nil {
		return asUsage(err)
	}
	return x.traceBPF(r, opt, show)
}

// traceBPF is the run with BPF programs.
func (x *openFlags) traceBPF(r *run, opt open.Options, show open.Show) (err error) {
	hook := open.Hook(x.hook)
	if x.classic && hook == open.HookAuto {
		hook = open.HookRaw // the classic knows system calls only
		if openFacts(open.HookAuto).Preempts {
			hook = open.HookTracepoint
		}
	}
	if opt.Plan, err = open.Choose(hook, openFacts(hook)); err != nil {
		return err
	}
	if r.spec, err = open.Spec(opt); err != nil {
		return err
	}
	if x.ebpf {
		return attach.WriteDisassembly(r.io.out, r.spec)
	}
	if s := cannotShow(opt.Plan.CannotShow()); s != "" && !x.classic {
		r.hooks.attached = func() error {
			say(r.io.err, "%s: %s", r.name, s)
			return nil
		}
	}
	r.inFlight, r.closing, r.treeLive, r.treeSeeded = open.InFlight, open.Closing, open.TreeLive, open.TreeSeeded
	show.Ordered = opt.Timed()
	show.Comm = r.target.MatchComm
	show.Fields = opt.Fields
	if open.WantsCgroups(opt.Fields) {
		show.Cgroups = target.NewCgroups()
	}
	return r.trace(func(s print.Sink, mono2wall int64) tracer {
		show.Sink, show.Mono2Wall = r.openSink(s), mono2wall
		return open.NewTracer(show)
	})
}

// gathered are the keys that the programs have to gather for.
func (x *openFlags) gathered(r *run) []string {
	keys := shownFields(open.RowType, r.out, r.columns)
	if r.rowType == open.Classic {
		return open.ClassicFields(keys)
	}
	return keys
}

// openSink puts what turns opens into the classic's lines before a sink, if that is for them.
func (r *run) openSink(s print.Sink) print.Sink {
	if r.rowType == open.Classic {
		return open.NewClassic(s)
	}
	return s
}

// thread checks the thread of -t and, where nothing else says whom to trace, has its process traced.
func (x *openFlags) thread() (uint32, error) {
	if x.tid == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(x.tid, 10, 32)
	if err != nil || n == 0 || n > maxTID {
		return 0, usage("-t %q: a thread id, from 1 to %d", x.tid, maxTID)
	}
	status, err := os.ReadFile("/proc/" + strconv.FormatUint(n, 10) + "/status")
	if err != nil {
		return 0, usage("-t %d: no thread %d", n, n)
	}
	for line := range strings.Lines(string(status)) {
		if pid, ok := strings.CutPrefix(line, "Tgid:"); ok && len(x.target.PIDs)+len(x.target.Trees)+len(x.target.Command) == 0 {
			x.target.PIDs = []string{strings.TrimSpace(pid)}
		}
	}
	return uint32(n), nil
}
