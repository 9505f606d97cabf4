package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/target"
)

// targetFlags are the flags that say whom to trace, the same for every tool.
func targetFlags(f *pflag.FlagSet, o *target.Options) {
	f.StringSliceVarP(&o.PIDs, "pid", "p", nil, "trace only these processes (`PID`[,PID])")
	f.StringSliceVar(&o.Trees, "tree", nil, "trace this process and its descendants (`PID`[,PID])")
	f.StringVarP(&o.User, "uid", "u", "", "trace only processes of this real user (`USER` name or number)")
	f.StringVarP(&o.PPID, "ppid", "P", "", "trace only children of this process (`PID`)")
	f.StringVarP(&o.Comm, "name", "n", "", "show only processes whose name matches this `REGEX`")
	f.StringArrayVar(&o.Cgroups, "cgroup", nil, "trace only this cgroup (v2 `PATH`) and what is below it; may be repeated")
	f.StringVar(&o.Container, "container", "", "trace only this container (`NAME` or id)")
	f.StringVar(&o.CgroupMap, "cgroupmap", "", "trace only cgroups whose ids are keys of this pinned map (`PIN`)")
	f.StringVar(&o.MntnsMap, "mntnsmap", "", "trace only mount namespaces whose inodes are keys of this pinned map (`PIN`)")
}

// emptyValues refuses a flag that was given an empty value, as by an unset variable of a script: taken as not given it
// would trace more than was meant.
func emptyValues(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		empty := flag.Value.String() == ""
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			empty = strings.Join(list.GetSlice(), "") == ""
		}
		if empty && err == nil {
			err = usage("--%s: the value is empty", flag.Name)
		}
	})
	return err
}

// outputFlags say how records are shown, the same for every tool.
type outputFlags struct {
	format   string
	file     string
	fields   string
	duration string
	count    string
	buffer   string
	noWait   bool
}

func (o *outputFlags) add(f *pflag.FlagSet) {
	o.addAs(f, "f")
}

// addAs adds them with another short name of --format, or none.
func (o *outputFlags) addAs(f *pflag.FlagSet, format string) {
	f.StringVarP(&o.format, "format", format, "text", "`FORMAT` of the records: text or json")
	f.StringVarP(&o.file, "output", "o", "", "write the records to this `FILE`")
	f.StringVar(&o.fields, "fields", "", "show these fields (`A,B`...; \"help\" lists them)")
	f.StringVarP(&o.duration, "duration", "d", "", "stop after this `TIME` (5, 1.5s, 10m)")
	f.StringVarP(&o.count, "count", "c", "", "stop after so many records (`N`)")
	f.StringVar(&o.buffer, "buffer", "", "`SIZE` of the ring buffer (64K ... 1G; a power of two)")
	f.BoolVar(&o.noWait, "no-wait", false, "end with COMMAND, not with the last of its descendants")
}

// output is what the output flags mean.
type output struct {
	json     bool
	file     string
	fields   []string // keys; nil is the default
	duration time.Duration
	count    uint64
	buffer   int // bytes; 0 is the tool's default
	noWait   bool
}

// take checks the flags that all tools have, and shows the fields where that is what is asked for: helped, and nothing else is to be done.
func (o *outputFlags) take(io streams, flags *pflag.FlagSet, t *prog.RowType) (out output, helped bool, err error) {
	if err := emptyValues(flags); err != nil {
		return out, false, err
	}
	if o.fields == "help" {
		_, err := fmt.Fprint(io.out, print.FieldsHelp(t))
		return out, true, err
	}
	out, err = o.resolve(t)
	return out, false, err
}

func (o *outputFlags) resolve(t *prog.RowType) (out output, err error) {
	switch o.format {
	case "text":
	case "json":
		out.json = true
	default:
		return out, usage("-f %q: the formats are text and json", o.format)
	}
	if o.fields != "" {
		out.fields = strings.Split(o.fields, ",")
		if err := print.CheckFields(t, out.fields); err != nil {
			return out, usage("--fields: %w", err)
		}
	}
	if out.duration, err = parseDuration(o.duration); err != nil {
		return out, err
	}
	if o.count != "" {
		if out.count, err = strconv.ParseUint(o.count, 10, 63); err != nil || out.count == 0 {
			return out, usage("-c %q: a number of records, 1 or more", o.count)
		}
	}
	if out.buffer, err = parseBuffer(o.buffer); err != nil {
		return out, err
	}
	out.file, out.noWait = o.file, o.noWait
	return out, nil
}

func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if n, nerr := strconv.ParseFloat(s, 64); nerr == nil && n < 1e9 {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return 0, usage("-d %q: a time such as 5, 1.5s or 10m, more than 0", s)
	}
	return d, nil
}

// Bounds of --buffer: the kernel needs a whole power of two of pages, and refuses what it has no memory for.
const (
	minBuffer = 64 << 10
	maxBuffer = 1 << 30
)

func parseBuffer(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := parseSize(s)
	if err != nil || n < minBuffer || n > maxBuffer || n&(n-1) != 0 {
		return 0, usage("--buffer %q: a power of two from 64K to 1G", s)
	}
	return n, nil
}

// parseSize reads a number of bytes: 4096, 128K, 1M, 1G.
func parseSize(s string) (int, error) {
	shift := 0
	switch {
	case strings.HasSuffix(s, "K"), strings.HasSuffix(s, "k"):
		shift = 10
	case strings.HasSuffix(s, "M"), strings.HasSuffix(s, "m"):
		shift = 20
	case strings.HasSuffix(s, "G"), strings.HasSuffix(s, "g"):
		shift = 30
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, err
	}
	return int(n) << shift, nil
}
