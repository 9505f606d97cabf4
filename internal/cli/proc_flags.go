package cli

import (
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/target"
	"sonde/internal/tool/proc"
)

// procFlags are the flags of sonde proc and of its drop-in name.
type procFlags struct {
	classic     bool // called by the drop-in name
	target      target.Options
	output      outputFlags
	minDuration string
	fails       bool
	forks       bool
	args        bool
	resources   bool
	tree        bool
	timeline    string
	maxArgBytes string
	hook        string
	ebpf        bool
	verbose     bool
}

func (x *procFlags) add(f *pflag.FlagSet) {
	targetFlags(f, &x.target)
	x.output.add(f)
	f.StringVar(&x.minDuration, "min-duration", "", "show only ends of processes that lived so long, and nothing else (`MS`, or 1.5s, 10m)")
	f.BoolVarP(&x.fails, "failed", "x", false, "show only processes that failed: a status other than 0, or a signal")
	f.BoolVar(&x.forks, "forks", false, "show also the processes that are made, with or without an exec")
	f.BoolVar(&x.args, "args", false, "show the arguments, also of processes that end")
	f.BoolVar(&x.resources, "resources", false, "add columns with what a process has used: CPU, memory, page faults, bytes")
	f.BoolVar(&x.tree, "show-tree", false, "end with a tree: who started whom, how long it took (default with -- COMMAND and -f text; also --tree without a PID)")
	f.Lookup("tree").Usage += "; without a PID: --show-tree"
	f.StringVar(&x.timeline, "timeline", "", "write the run to this `FILE`, in the trace format of Chrome and Perfetto")
	x.addCommon(f)
}

// addClassic adds the flags of the drop-in, which takes -d and --duration for itself.
func (x *procFlags) addClassic(f *pflag.FlagSet) {
	shared := pflag.NewFlagSet("", pflag.ContinueOnError)
	targetFlags(shared, &x.target)
	x.output.add(shared)
	shared.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "duration" {
			f.AddFlag(flag)
		}
	})
	f.StringVarP(&x.minDuration, "duration", "d", "", "show only ends of processes that lived so long, and nothing else (`MS`)")
	f.BoolVarP(&x.verbose, "verbose", "v", false, "say on standard error what is attached")
	x.addCommon(f)
}

func (x *procFlags) addCommon(f *pflag.FlagSet) {
	f.StringVar(&x.maxArgBytes, "max-arg-bytes", "", "read at most so many bytes of arguments (`SIZE`, up to 6M; default 128K)")
	f.StringVar(&x.hook, "hook", "auto", "`HOOK` of the programs: raw_tp, tracepoint or auto")
	f.BoolVar(&x.ebpf, "ebpf", false, "print the programs that would be loaded, and stop")
	f.SetInterspersed(true)
}

// parseMillis reads a time that is in milliseconds where it has no unit.
func (x *procFlags) parseMillis() (time.Duration, error) {
	if x.minDuration == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(x.minDuration)
	if n, nerr := strconv.ParseUint(x.minDuration, 10, 63); nerr == nil && n <= uint64(longest/time.Millisecond) {
		d, err = time.Duration(n)*time.Millisecond, nil
	}
	if err != nil || d <= 0 {
		name := "--min-duration"
		if x.classic {
			name = "-d"
		}
		return 0, usage("%s %q: milliseconds such as 50, or a time such as 1.5s or 10m", name, x.minDuration)
	}
	return d, nil
}

const longest = time.Duration(1<<63 - 1)

// shown are the kinds of rows that the flags leave, the ends of processes first.
func (x *procFlags) shown() []*prog.RowType {
	types := []*prog.RowType{proc.ExitType}
	if x.fails || x.minDuration != "" {
		return types
	}
	types = append(types, proc.ExecType)
	if x.forks {
		types = append(types, proc.ForkType)
	}
	return types
}

// columns puts the text columns together from the flags.
func (x *procFlags) columns(out output) ([]prog.Column, error) {
	switch {
	case out.fields != nil:
		cols, err := print.SelectColumns(proc.RowType, out.fields)
		if err != nil {
			return nil, &usageError{err}
		}
		return cols, nil
	case x.classic:
		return proc.ClassicColumns, nil
	case !x.resources:
		return proc.RowType.Columns, nil
	}
	n := len(proc.RowType.Columns) - 1
	cols := append(append([]prog.Column(nil), proc.RowType.Columns[:n]...), proc.UsageColumns...)
	return append(cols, proc.RowType.Columns[n]), nil
}

// gathered are the keys that will be shown, of all kinds of rows.
func (x *procFlags) gathered(out output, cols []prog.Column) (keys []string) {
	for _, t := range x.shown() {
		keys = append(keys, shownFields(t, out, cols)...)
	}
	return keys
}
