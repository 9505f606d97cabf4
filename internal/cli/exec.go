package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/target"
	"sonde/internal/tool/exec"
)

// execFlags are the flags of sonde exec and of its drop-in name.
type execFlags struct {
	target      target.Options
	output      outputFlags
	time        bool
	timestamp   bool
	fails       bool
	printUID    bool
	exectime    bool
	quote       bool
	line        string
	maxArgs     string
	maxArgBytes string
	hook        string
	ebpf        bool
}

func (x *execFlags) add(f *pflag.FlagSet) {
	targetFlags(f, &x.target)
	x.output.add(f)
	f.BoolVarP(&x.time, "time", "T", false, "add a column with the time of day")
	f.BoolVarP(&x.timestamp, "timestamp", "t", false, "add a column with the seconds since the start")
	f.BoolVarP(&x.fails, "fails", "x", false, "show execs that failed too")
	f.BoolVarP(&x.printUID, "print-uid", "U", false, "add a column with the user id")
	f.BoolVarP(&x.exectime, "print-exectime", "E", false, "add a column with the time spent in the call (sonde exec always shows it)")
	f.BoolVarP(&x.quote, "quote", "q", false, "put each argument in double quotes")
	f.StringVarP(&x.line, "line", "l", "", "show only execs whose arguments match this `REGEX`")
	f.StringVar(&x.maxArgs, "max-args", "", "show at most `N` arguments (the file name counts)")
	f.StringVar(&x.maxArgBytes, "max-arg-bytes", "", "read at most so many bytes of arguments (`SIZE`, up to 6M; default 128K)")
	f.StringVar(&x.hook, "hook", "auto", "`HOOK` of system calls: raw_tp, tracepoint or auto")
	f.BoolVar(&x.ebpf, "ebpf", false, "print the programs that would be loaded, and stop")
	f.SetInterspersed(true)
}

func execCommand(io streams) *cobra.Command {
	var x execFlags
	c := &cobra.Command{
		Use:   "exec [flags] [-- COMMAND [ARG...]]",
		Short: "Show every execve and execveat",
		Long: `Shows every execve and execveat: who, whom, how long the call took, what it returned, the whole command line.

With -- COMMAND, only that command and its descendants are traced; sonde ends with the last of them, with COMMAND's status.`,
		Example: `  sonde exec -- make
  sonde exec -f json -u www-data -o execs.jsonl
  sonde exec -x -l 'passwd|shadow'`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := commandAfterDash(c, args); err != nil {
				return err
			}
			x.target.Command = args
			return runExec(io, c, &x, false)
		},
	}
	x.add(c.Flags())
	return c
}

// execsnoopCommand is the drop-in: bcc's flags and columns.
func execsnoopCommand(io streams, name string) *cobra.Command {
	var x execFlags
	c := &cobra.Command{
		Use:   name + " [flags]",
		Short: "Trace exec() syscalls",
		RunE: func(c *cobra.Command, args []string) error {
			if err := commandAfterDash(c, args); err != nil {
				return err
			}
			x.target.Command = args
			return runExec(io, c, &x, true)
		},
	}
	common(c)
	addVersion(c)
	x.add(c.Flags())
	return c
}

// commandAfterDash refuses words that are neither flags nor behind "--": a forgotten dash must not trace the whole host.
func commandAfterDash(c *cobra.Command, args []string) error {
	dash := c.ArgsLenAtDash()
	switch {
	case len(args) == 0 && dash < 0:
		return nil
	case dash < 0:
		return usage("unexpected %q (to trace a command: %s -- %s)", args[0], c.CommandPath(), args[0])
	case dash > 0:
		return usage("unexpected %q before --", args[0])
	case len(args) == 0:
		return usage("no COMMAND after --")
	}
	return nil
}

const classicMaxArgs = 20

func runExec(io streams, c *cobra.Command, x *execFlags, classic bool) error {
	out, helped, err := x.output.take(io, c.Flags(), exec.RowType)
	if helped || err != nil {
		return err
	}
	opt := exec.Options{Failed: x.fails, RingBytes: out.buffer, Classic: classic}
	if opt.MaxArgBytes, err = parseArgBytes(x.maxArgBytes); err != nil {
		return err
	}
	cols, err := x.columns(out, classic)
	if err != nil {
		return err
	}
	var line *regexp.Regexp
	if c.Flags().Changed("line") {
		if line, err = target.Regexp("-l", x.line); err != nil {
			return &usageError{err}
		}
	}
	if err := needProc(); err != nil {
		return err
	}
	tgt, err := x.target.Resolve()
	if err != nil {
		return asUsage(err)
	}
	opt.Fields = shownFields(exec.RowType, out, cols)
	switch x.hook {
	case "auto":
		opt.Events = attach.PreemptsRawTracepoints() && attach.MayTrace("syscalls", "sys_enter_execve")
	case "tracepoint":
		opt.Events = true
		if f := attach.Try(kernel.FetchAtomics); f.State == kernel.Absent {
			return fmt.Errorf("--hook tracepoint: %s; %s, or take --hook raw_tp", f.Reason, f.Remedy)
		}
	case "raw_tp":
	default:
		return usage("--hook %q: the hooks are raw_tp, tracepoint and auto", x.hook)
	}
	spec, err := exec.Spec(opt)
	if err != nil {
		return err
	}
	if x.ebpf {
		return attach.WriteDisassembly(io.out, spec)
	}
	run := &run{
		name: c.Root().Name(), io: io, spec: spec, target: tgt, out: out, rowType: exec.RowType, columns: cols, exact: classic,
		inFlight: exec.InFlight, closing: exec.Closing, treeLive: exec.TreeLive, treeSeeded: exec.TreeSeeded,
		missed: exec.Missed,
	}
	return run.trace(func(s print.Sink, mono2wall int64) tracer {
		show := exec.Show{
			Sink: s, Comm: tgt.MatchComm, Line: line, Count: out.count, Mono2Wall: mono2wall, Classic: classic,
			NoArgv: !slices.Contains(opt.Fields, "argv"),
		}
		if exec.WantsCgroups(opt.Fields) {
			show.Cgroups = target.NewCgroups()
		}
		return exec.NewTracer(show)
	})
}

func parseArgBytes(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := parseSize(s)
	if err != nil || n < 1 || n > exec.LimitArgBytes {
		return 0, usage("--max-arg-bytes %q: a size from 1 to 6M", s)
	}
	return n, nil
}

// columns puts the text columns together from the flags.
func (x *execFlags) columns(out output, classic bool) ([]prog.Column, error) {
	maxArgs := 0
	if classic {
		maxArgs = classicMaxArgs
	}
	if x.maxArgs != "" {
		n, err := strconv.ParseUint(x.maxArgs, 10, 31)
		if err != nil || n == 0 {
			return nil, usage("--max-args %q: a number, 1 or more", x.maxArgs)
		}
		maxArgs = int(n)
	}
	cols := x.textColumns(classic)
	if out.fields != nil {
		var err error
		if cols, err = print.SelectColumns(exec.RowType, out.fields); err != nil {
			return nil, &usageError{err}
		}
	}
	for i := range cols {
		if cols[i].Field == "args" || cols[i].Field == "argv" {
			cols[i].MaxWords, cols[i].Quote = maxArgs, x.quote
		}
	}
	return cols, nil
}

// textColumns are those of the row type, behind the ones that flags add. bcc's are "%-9s" TIME, "%-8s" TIME(s), "%-6s" UID,
// then "%-16s %-7s %-7s %3s %s": a printf width of 9 without a space behind it is a column of 8 and a space.
func (x *execFlags) textColumns(classic bool) (cols []prog.Column) {
	relative, uid := 8, 6
	if classic {
		relative, uid = 7, 5
	}
	if x.time {
		cols = append(cols, prog.Column{Head: "TIME", Field: "time", Width: 8, Time: prog.TimeClock})
	}
	if x.timestamp {
		cols = append(cols, prog.Column{Head: "TIME(s)", Field: "time", Width: relative, Time: prog.TimeRelative})
	}
	if x.printUID {
		cols = append(cols, prog.Column{Head: "UID", Field: "uid", Width: uid})
	}
	for _, c := range exec.RowType.Columns {
		if c.Field == "exectime_ns" && classic && !x.exectime {
			continue
		}
		cols = append(cols, c)
	}
	return cols
}

// shownFields are the keys that the programs have to gather for.
func shownFields(t *prog.RowType, out output, cols []prog.Column) []string {
	var keys []string
	switch {
	case out.fields != nil:
		return out.fields
	case out.json:
		for _, f := range t.Fields {
			if !f.Extra {
				keys = append(keys, f.Key)
			}
		}
	default:
		for _, c := range cols {
			keys = append(keys, c.Field)
		}
	}
	return keys
}
