package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"sonde/internal/fileevent"
	"sonde/internal/prog"
	"sonde/internal/target"
	"sonde/internal/tool/open"
)

// openFlags are the flags of sonde open and of its drop-in name.
type openFlags struct {
	classic   bool // called by the drop-in name
	target    target.Options
	output    outputFlags
	timestamp bool
	printUID  bool
	fails     bool
	tid       string
	extended  bool
	flags     []string
	full      bool
	pages     string
	paths     []string
	write     bool
	created   bool
	unique    bool
	hook      string
	via       string
	ebpf      bool
}

func (x *openFlags) add(f *pflag.FlagSet) {
	f.SetNormalizeFunc(dashes)
	shared := pflag.NewFlagSet("", pflag.ContinueOnError)
	targetFlags(shared, &x.target)
	x.output.add(shared)
	filter := ""
	if x.classic { // -f and -n mean something else there
		filter, shared.Lookup("format").Shorthand = "f", ""
		shared.Lookup("name").Usage = "show only processes with this in their name (`NAME`)"
	}
	shared.VisitAll(f.AddFlag)
	f.BoolVarP(&x.timestamp, "timestamp", "T", false, "add a column with the seconds since the start")
	f.BoolVarP(&x.printUID, "print-uid", "U", false, "add a column with the user id")
	f.BoolVarP(&x.fails, "failed", "x", false, "show only opens that failed")
	f.StringVarP(&x.tid, "tid", "t", "", "trace only this thread (`TID`), and show thread ids")
	f.BoolVarP(&x.extended, "extended-fields", "e", false, "add columns with flags and mode")
	f.StringArrayVarP(&x.flags, "flag-filter", filter, nil, "show only opens with this `FLAG` (O_WRONLY, O_CREAT...); may be repeated")
	f.BoolVarP(&x.full, "full-path", "F", false, "show absolute paths")
	f.StringVarP(&x.pages, "buffer-pages", "b", "", "size of the ring buffer in pages (`N`, a power of two)")
	f.StringArrayVar(&x.paths, "path", nil, "show only opens of paths that match this `GLOB` (!GLOB: that do not); may be repeated")
	f.BoolVar(&x.write, "write", false, "show only opens for writing")
	f.BoolVar(&x.created, "created", false, "show only opens that made the file")
	f.BoolVar(&x.unique, "unique", false, "show each path once for each process")
	f.StringVar(&x.hook, "hook", "auto", "`HOOK` where opens are seen: auto, raw_tp, tracepoint, kprobe, fentry or lsm")
	f.StringVar(&x.via, "via", "bpf", "`WAY` to see opens: bpf, or tracefs where bpf(2) is closed")
	f.BoolVar(&x.ebpf, "ebpf", false, "print the programs that would be loaded, and stop")
	f.SetInterspersed(true)
}

// dashes lets flags be written as bcc writes some of its own, with underscores.
func dashes(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}

// options are what the flags mean, checked.
func (x *openFlags) options(f *pflag.FlagSet, out output) (opt open.Options, err error) {
	opt = open.Options{Failed: x.fails, Write: x.write, Created: x.created, FullPath: x.full || x.unique || len(x.paths) > 0, RingBytes: out.buffer, Subvolume: subvolume()}
	if x.created && x.fails {
		return opt, usage("--created and -x: an open that failed made no file")
	}
	for _, name := range x.flags {
		flag, ok := fileevent.FlagNamed(name)
		if !ok {
			return opt, usage("%s %q: no such flag; the flags are %s", x.flagName(), name, strings.Join(fileevent.FlagNames(), " "))
		}
		opt.Flags = append(opt.Flags, flag)
	}
	if x.pages != "" {
		n, err := strconv.ParseUint(x.pages, 10, 31)
		if err != nil || n == 0 || n&(n-1) != 0 || n > maxBuffer/4096 {
			return opt, usage("-b %q: a number of pages, a power of two from 1 to %d", x.pages, maxBuffer/4096)
		}
		if f.Changed("buffer") {
			return opt, usage("-b and --buffer: give one of the two")
		}
		opt.RingBytes = max(int(n)*4096, minBuffer)
	}
	if !slices.Contains(open.Hooks(), open.Hook(x.hook)) {
		return opt, usage("--hook %q: the hooks are %s", x.hook, joined(open.Hooks()))
	}
	return opt, nil
}

const maxTID = 1 << 22 // PID_MAX_LIMIT of 64-bit kernels

// flagName is how the filter for flags is called.
func (x *openFlags) flagName() string {
	if x.classic {
		return "-f"
	}
	return "--flag-filter"
}

// columns puts the text columns together from the flags.
func (x *openFlags) columns() (cols []prog.Column) {
	if x.timestamp {
		cols = append(cols, prog.Column{Head: "TIME(s)", Field: "time", Width: 8, Time: prog.TimeRelative})
	}
	if x.printUID {
		cols = append(cols, prog.Column{Head: "UID", Field: "uid", Width: 6})
	}
	for _, c := range open.RowType.Columns {
		switch c.Field {
		case "pid":
			if x.tid != "" {
				c.Head, c.Field = "TID", "tid"
			}
		case "path":
			if x.extended {
				cols = append(cols, prog.Column{Head: "FLAGS", Field: "flags", Width: 20}, prog.Column{Head: "MODE", Field: "perm", Width: 5})
			}
			if x.full {
				c.Field = "full"
			}
		}
		cols = append(cols, c)
	}
	return cols
}

func joined(hooks []open.Hook) string {
	names := make([]string, len(hooks))
	for i, h := range hooks {
		names[i] = string(h)
	}
	return strings.Join(names, ", ")
}

// classicColumns are those of bcc's opensnoop: "%-14s" TIME(s), "%-6s" UID, then "%-6s %-16s %4s %3s ", and with -e
// "%-8s %-4s ". A printf width without a space behind it is a column of one less, and a space.
func (x *openFlags) classicColumns() (cols []prog.Column) {
	if x.timestamp {
		cols = append(cols, prog.Column{Head: "TIME(s)", Field: "since", Width: 13})
	}
	if x.printUID {
		cols = append(cols, prog.Column{Head: "UID", Field: "uid", Width: 5})
	}
	who := prog.Column{Head: "PID", Field: "pid", Width: 6}
	if x.tid != "" {
		who.Head, who.Field = "TID", "tid"
	}
	cols = append(cols, who, prog.Column{Head: "COMM", Field: "comm", Width: 16},
		prog.Column{Head: "FD", Field: "fd", Width: 4, Right: true}, prog.Column{Head: "ERR", Field: "err", Width: 3, Right: true})
	if x.extended {
		cols = append(cols, prog.Column{Head: "FLAGS", Field: "oflags", Width: 8}, prog.Column{Head: "MODE", Field: "perm", Width: 4})
	}
	path := prog.Column{Head: "PATH", Field: "path"}
	if x.full {
		path.Field = "full"
	}
	return append(cols, path)
}

// narrowed names the target flags that were given and that are not among those in allowed.
func narrowed(f *pflag.FlagSet, allowed ...string) (names []string) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	targetFlags(all, new(target.Options))
	all.VisitAll(func(flag *pflag.Flag) {
		if f.Changed(flag.Name) && !slices.Contains(allowed, flag.Name) {
			names = append(names, "--"+flag.Name)
		}
	})
	return names
}
