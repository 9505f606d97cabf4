package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"sonde/internal/object"
)

// objectFlags are the flags of sonde run that compiled objects have and scripts do not. -d and -c mean to objects what they
// mean to the tools: a time and a number of records.
type objectFlags struct {
	set        []string
	only       []string
	attach     []string
	records    []string
	maps       bool
	show       bool
	disasm     bool
	cleanStale bool
	frequency  string
	duration   string
	count      string
}

func (x *objectFlags) add(f *pflag.FlagSet) {
	f.StringArrayVar(&x.set, "set", nil, "give a global variable of the object its value (`NAME=VALUE`; cpid is the process of COMMAND); may be repeated")
	f.StringArrayVar(&x.only, "only", nil, "load only this `PROGRAM` of the object; may be repeated")
	f.StringArrayVar(&x.attach, "attach", nil, "attach a program of the object elsewhere than its section says (`PROGRAM=SECTION`)")
	f.StringArrayVar(&x.records, "record", nil, "the struct of the object's records (`[MAP=]STRUCT`), by its types")
	f.BoolVar(&x.maps, "maps", false, "show the object's maps at the end")
	f.BoolVar(&x.show, "show", false, "print what is in the object, and stop")
	f.BoolVar(&x.disasm, "disasm", false, "print the object's instructions with their source lines, and stop")
	f.BoolVar(&x.cleanStale, "clean-stale", false, "list and remove probes that loaders which crashed left in tracefs (--dry-run: list only)")
	f.StringVar(&x.frequency, "frequency", "", "how often perf_event programs of the object run (`HZ`, default 99)")
	f.StringVar(&x.duration, "duration", "", "of objects, as -d: stop after this `TIME` (5, 1.5s, 10m)")
	f.StringVar(&x.count, "count", "", "of objects, as -c: stop after so many records (`N`)")
}

// names are the names of these flags.
var objectFlagNames = []string{"set", "only", "attach", "record", "maps", "show", "disasm", "frequency", "duration", "count"}

// scriptOnly are flags of scripts that mean nothing to an object.
var scriptOnly = []string{"list", "tree", "buffering", "warnings", "fmt", "info", "include", "include-dir", "no-feature", "probe-filter", "no-optimize", "no-warnings"}

// onlyForObjects refuses flags of objects where a script is run.
func onlyForObjects(f *pflag.FlagSet) error {
	for _, name := range objectFlagNames {
		if flag := f.Lookup(name); flag != nil && flag.Changed {
			return usage("--%s is for compiled objects, and this is a script", name)
		}
	}
	return nil
}

// onlyForScripts refuses flags of scripts where an object is run.
func onlyForScripts(f *pflag.FlagSet) error {
	for _, name := range scriptOnly {
		if flag := f.Lookup(name); flag != nil && flag.Changed {
			return usage("--%s is for scripts, and this is a compiled object", name)
		}
	}
	return nil
}

// objectOptions are what the flags mean.
type objectOptions struct {
	object   object.Options
	duration time.Duration
	count    uint64
	buffer   int
	pid      int
	json     bool
}

func (x *objectFlags) options(s *scriptFlags) (o objectOptions, err error) {
	o.json = s.format == "json"
	if o.pid, err = parsePID(s.pid); err != nil {
		return o, err
	}
	o.object.PID = o.pid
	duration := x.duration
	switch {
	case len(s.debug) == 1 && duration == "":
		duration = s.debug[0]
	case len(s.debug) > 0:
		return o, usage("-d is given twice; to an object it is a time after which to stop")
	}
	if o.duration, err = parseDuration(duration); err != nil {
		return o, err
	}
	count := x.count
	if s.command != "" {
		if count != "" {
			return o, usage("-c and --count are the same to an object")
		}
		count = s.command
	}
	if count != "" {
		if o.count, err = strconv.ParseUint(count, 10, 63); err != nil || o.count == 0 {
			return o, usage("-c %q: to an object it is a number of records, 1 or more; a command goes behind --", count)
		}
	}
	if o.buffer, err = parseBuffer(s.buffer); err != nil {
		return o, err
	}
	if x.frequency != "" {
		if o.object.Frequency, err = strconv.ParseUint(x.frequency, 10, 32); err != nil || o.object.Frequency == 0 {
			return o, usage("--frequency %q: a number of times a second, 1 or more", x.frequency)
		}
	}
	o.object.Static = staticPlaces
	o.object.Attach = make(map[string]string)
	for _, text := range x.attach {
		program, section, ok := strings.Cut(text, "=")
		if !ok || program == "" || section == "" {
			return o, usage("--attach %q: it is written PROGRAM=SECTION, as in --attach trace_open=tp/syscalls/sys_enter_openat", text)
		}
		o.object.Attach[program] = section
	}
	return o, nil
}

// objectArgs parts what stands behind an object's name: a COMMAND may, behind --.
func objectArgs(args []string, dash int) (command []string, err error) {
	// args are without the object's name; dash counts with it, -1 is none.
	switch {
	case len(args) == 0 && dash < 0:
		return nil, nil
	case dash == 1 && len(args) == 0:
		return nil, usage("behind -- there is to be a COMMAND")
	case dash == 1:
		return args, nil
	}
	return nil, usage("%q: an object has no parameters; its variables are set by --set, and a COMMAND goes behind --", args[0])
}

// commandPID is the value of --set that is the process of COMMAND, by the name that scripts have for it.
const commandPID = "=cpid"

// setCommand gives the variables their values that are to have the process of COMMAND.
func (x *objectFlags) setCommand(o *object.Object, pid int) error {
	for _, text := range x.set {
		name, ok := strings.CutSuffix(text, commandPID)
		if !ok {
			continue
		}
		if pid == 0 {
			return usage("--set %s: there is no COMMAND whose process it could be; it goes behind --", text)
		}
		if err := o.Set(name + "=" + strconv.Itoa(pid)); err != nil {
			return &usageError{err}
		}
	}
	return nil
}

// prepared reads the object and does what the flags say of what is in it.
func (x *objectFlags) prepared(src scriptSource) (*object.Object, error) {
	o, err := object.Open(src.name, src.text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.name, err)
	}
	for _, text := range x.set {
		if strings.HasSuffix(text, commandPID) {
			text = strings.TrimSuffix(text, commandPID) + "=0" // until COMMAND is there
		}
		if err := o.Set(text); err != nil {
			return nil, &usageError{err}
		}
	}
	if x.show && len(x.only) == 0 {
		return o, nil
	}
	if x.disasm && len(x.only) == 0 {
		return o, nil
	}
	if err := o.Only(slices.Compact(slices.Sorted(slices.Values(x.only)))); err != nil {
		if len(x.only) > 0 {
			return nil, usage("--only: %w", err)
		}
		return nil, fmt.Errorf("%s: %w", src.name, err)
	}
	return o, nil
}
