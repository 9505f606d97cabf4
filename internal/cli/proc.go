package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/target"
	"sonde/internal/tool/proc"
)

func procCommand(io streams) *cobra.Command {
	var x procFlags
	c := &cobra.Command{
		Use:   "proc [flags] [-- COMMAND [ARG...]]",
		Short: "Show the lives of processes",
		Long: `Shows the lives of processes: the programs that they become, how they end, after how long, and what they have used.

With -- COMMAND, only that command and its descendants are traced; sonde ends with the last of them, with COMMAND's status,
and shows them as a tree. --tree PID is whom to trace; --tree without a PID shows the tree, as --show-tree does.`,
		Example: `  sonde proc -- make -j4
  sonde proc --tree -d 10
  sonde proc -x --args
  sonde proc --timeline build.json -- make -j4
  sonde proc -f json -u www-data -o lives.jsonl`,
		RunE: func(c *cobra.Command, args []string) error { return x.run(io, c, args) },
	}
	x.add(c.Flags())
	return c
}

// bootstrapCommand is the drop-in: the flags and columns of libbpf-bootstrap's bootstrap.
func bootstrapCommand(io streams, name string) *cobra.Command {
	x := procFlags{classic: true}
	var version bool
	c := &cobra.Command{
		Use:   name + " [flags]",
		Short: "Trace process starts and exits",
		RunE: func(c *cobra.Command, args []string) error {
			if version {
				return showVersion(c)
			}
			return x.run(io, c, args)
		},
	}
	common(c)
	x.addClassic(c.Flags())
	c.Flags().BoolVarP(&version, "version", "V", false, "version for "+name) // -v is another flag here
	return c
}

func (x *procFlags) run(io streams, c *cobra.Command, args []string) error {
	if err := commandAfterDash(c, args); err != nil {
		return err
	}
	x.target.Command = args
	out, helped, err := x.output.take(io, c.Flags(), proc.RowType)
	if helped || err != nil {
		return err
	}
	show := proc.Show{
		Count: out.count, Failures: x.fails, Args: x.args, Classic: x.classic, PageSize: uint64(os.Getpagesize()),
	}
	minDuration, err := x.parseMillis()
	if err != nil {
		return err
	}
	show.MinAge = uint64(minDuration)
	opt := proc.Options{RingBytes: out.buffer}
	if opt.MaxArgBytes, err = parseArgBytes(x.maxArgBytes); err != nil {
		return err
	}
	cols, err := x.columns(out)
	if err != nil {
		return err
	}
	if !c.Flags().Changed("show-tree") {
		x.tree = !x.classic && len(args) > 0 && !out.json
	}
	if x.tree && out.json {
		return usage("--show-tree (--tree without a PID) and -f json: a tree is text; each record has the ppid")
	}
	if err := needProc(); err != nil {
		return err
	}
	r := &run{name: c.Root().Name(), io: io, out: out, columns: cols, exact: x.classic && out.fields == nil, missed: proc.Missed}
	types := x.shown()
	r.rowType, r.also = types[0], types[1:]
	show.Execs, show.Forks = len(types) > 1, len(types) > 2
	if r.target, err = x.target.Resolve(); err != nil {
		return asUsage(err)
	}
	opt.Fields = x.gathered(out, cols)
	show.NoArgv = !slices.Contains(opt.Fields, "argv")
	if x.tree || x.timeline != "" {
		show.History = proc.NewHistory(show.PageSize)
	}
	show.Argv = x.args || !show.NoArgv
	opt.Execs, opt.Forks = true, show.Forks || show.Argv || show.History != nil
	opt.Usage = show.History != nil
	if opt.Events, err = x.events(); err != nil {
		return err
	}
	if r.spec, err = proc.Spec(opt); err != nil {
		return err
	}
	if x.ebpf {
		return attach.WriteDisassembly(io.out, r.spec)
	}
	return x.trace(r, show)
}

// events says whether the programs are to be those of events.
func (x *procFlags) events() (bool, error) {
	switch x.hook {
	case "auto":
		return attach.PreemptsRawTracepoints() && attach.MayTrace("sched", "sched_process_exit"), nil
	case "tracepoint":
		if f := attach.Try(kernel.FetchAtomics); f.State == kernel.Absent {
			return false, fmt.Errorf("--hook tracepoint: %s; %s, or take --hook raw_tp", f.Reason, f.Remedy)
		}
		return true, nil
	case "raw_tp":
		return false, nil
	}
	return false, usage("--hook %q: the hooks are raw_tp, tracepoint and auto", x.hook)
}

func (x *procFlags) trace(r *run, show proc.Show) error {
	r.inFlight, r.closing, r.treeLive, r.treeSeeded = proc.InFlight, proc.Closing, proc.TreeLive, proc.TreeSeeded
	show.Comm = r.target.MatchComm
	if show.Argv {
		show.Ask = target.Arguments
	}
	if proc.WantsCgroups(x.gathered(r.out, r.columns)) {
		show.Cgroups = target.NewCgroups()
	}
	var timeline *print.Output
	if x.timeline != "" {
		var err error
		if timeline, err = print.OpenOutput(x.timeline); err != nil {
			return fmt.Errorf("--timeline: %w", err)
		}
		defer timeline.Close()
		r.hooks.unread = func() bool { return true }
	}
	if x.verbose {
		r.hooks.attached = func() error {
			say(r.io.err, "%s: attached: %s", r.name, attachedTo(r.spec))
			return nil
		}
	}
	r.hooks.account = func(*prog.Summary) (lines []string, err error) {
		if x.tree {
			if lines, err = r.showTree(show.History); err != nil {
				return lines, err
			}
		}
		if timeline != nil {
			line, err := writeTimeline(show.History, timeline, x.timeline)
			return append(lines, line...), err
		}
		return lines, nil
	}
	return r.trace(func(s print.Sink, mono2wall int64) tracer {
		show.Sink, show.Mono2Wall = s, mono2wall
		t := proc.NewTracer(show)
		if show.Argv && !r.target.HasCommand() {
			// What cannot be read is not known of processes whose exec was before.
			_ = target.EachArguments(t.Seed)
		}
		return t
	})
}

// showTree puts the tree below the records.
func (r *run) showTree(h *proc.History) ([]string, error) {
	if h.Len() == 0 {
		return nil, nil
	}
	if _, err := r.file.WriteNote([]byte{'\n'}); err != nil {
		return nil, r.written(err)
	}
	sink := print.NewColumns(r.file, proc.TreeType, proc.TreeType.Columns, r.columnOptions())
	hidden, err := h.Tree(sink.Row)
	var lines []string
	if left := uint64(hidden) + h.Left(); left > 0 {
		lines = append(lines, fmt.Sprintf("%d more processes are not shown in the tree", left))
	}
	return lines, r.written(err)
}

func writeTimeline(h *proc.History, file *print.Output, name string) (lines []string, err error) {
	err = h.WriteTimeline(noteWriter{file})
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	line := fmt.Sprintf("timeline of %d processes in %s", h.Len(), name)
	if n := h.Left(); n > 0 {
		line += fmt.Sprintf("; %d more were too many", n)
	}
	return []string{line}, nil
}

// noteWriter writes what is no row.
type noteWriter struct{ to *print.Output }

func (w noteWriter) Write(b []byte) (int, error) { return w.to.WriteNote(b) }

// attachedTo names where the programs of a spec are.
func attachedTo(s *prog.Spec) string {
	var names []string
	for _, p := range s.Probes {
		name := p.Name
		if p.Kind == prog.Tracepoint {
			name = p.Group + ":" + name
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
