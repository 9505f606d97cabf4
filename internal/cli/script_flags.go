package cli

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// scriptFlags are the flags of sonde run, and of the drop-in name bpftrace.
type scriptFlags struct {
	expr        string
	list        bool
	pid         string
	command     string
	tree        bool
	format      string
	file        string
	buffering   string
	debug       []string
	verbose     int
	quiet       bool
	warnings    int
	noWarnings  bool
	unsafe      bool
	dryRun      bool
	fmt         bool
	info        bool
	includes    []string
	includeDirs []string
	noFeature   []string
	probeFilter string
	buffer      string
	noOptimize  bool
	ignored     []string
	ignoredBool bool
	version     bool
}

func (x *scriptFlags) add(f *pflag.FlagSet) {
	f.StringVarP(&x.expr, "expr", "e", "", "run this `PROGRAM`")
	f.BoolVarP(&x.list, "list", "l", false, "list probes that match a pattern, or those of a script (-v: with their arguments)")
	f.StringVarP(&x.pid, "pid", "p", "", "trace only this process (`PID`), and end with it")
	f.StringVarP(&x.command, "cmd", "c", "", "start this `COMMAND` once the probes are on, and end with it")
	f.BoolVar(&x.tree, "tree", false, "trace only the command of -c (or the process of -p) and its descendants")
	f.StringVarP(&x.format, "format", "f", "text", "`FORMAT` of the output: text or json")
	f.StringVarP(&x.file, "output", "o", "", "write the output to this `FILE`")
	f.StringVarP(&x.buffering, "buffering", "B", "full", "when the output is written: `MODE` line, full or none")
	f.StringArrayVarP(&x.debug, "debug", "d", nil, "print a `STAGE` of the compiler: ast, types, ir, asm or all; and stop")
	f.CountVarP(&x.verbose, "verbose", "v", "say more: how each probe is attached, what the run has cost")
	f.BoolVarP(&x.quiet, "quiet", "q", false, "say less: no messages but errors")
	f.CountVarP(&x.warnings, "warnings", "k", "warn of every read and look-up that fails")
	f.BoolVar(&x.noWarnings, "no-warnings", false, "no warnings at all")
	f.BoolVar(&x.unsafe, "unsafe", false, "allow what changes the system: system(), signal(), ...")
	f.BoolVar(&x.dryRun, "dry-run", false, "attach all probes, then end")
	f.BoolVar(&x.fmt, "fmt", false, "print the script formatted, and stop")
	f.BoolVar(&x.info, "info", false, "say what this kernel allows, as sonde doctor does")
	f.StringArrayVar(&x.includes, "include", nil, "put this C `FILE` before the script")
	f.StringArrayVarP(&x.includeDirs, "include-dir", "I", nil, "look for C files in this `DIR` too")
	f.StringSliceVar(&x.noFeature, "no-feature", nil, "do without these `FEATURE`s: kprobe_multi, kprobe_session, uprobe_multi, raw_syscalls")
	f.StringVar(&x.probeFilter, "probe-filter", "", "attach only to probes whose names match this `REGEX`")
	f.StringVar(&x.buffer, "buffer", "", "`SIZE` of the ring buffer (64K ... 1G; a power of two)")
	f.BoolVar(&x.noOptimize, "no-optimize", false, "attach every probe as it is written, and compile the plain way")
	f.SetInterspersed(true)
}

// addClassic adds what only the name bpftrace takes: options that have nothing to do here.
func (x *scriptFlags) addClassic(f *pflag.FlagSet) {
	f.BoolVarP(&x.version, "version", "V", false, "print the version")
	for _, name := range []string{"dwarf-pid", "debuginfo", "traceable-functions"} {
		f.StringArrayVar(&x.ignored, name, nil, "taken for the sake of existing command lines")
		_ = f.MarkHidden(name)
	}
	for _, name := range []string{"usdt-file-activation", "btf"} {
		short := ""
		if name == "btf" {
			short = "b"
		}
		f.BoolVarP(&x.ignoredBool, name, short, false, "taken for the sake of existing command lines")
		_ = f.MarkHidden(name)
	}
}

// settingPrefix begins the names of environment variables that are settings of scripts.
const settingPrefix = "BPFTRACE_"

// environmentOnly are variables of that prefix that are no settings: where bpftrace looks for things.
var environmentOnly = []string{"BTF", "KERNEL_SOURCE", "KERNEL_BUILD", "VMLINUX", "COLOR", "KERNEL_MODULES_BTF"}

// settings are the config keys that the environment sets.
func settings(environ []string) map[string]string {
	set := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		key, ok := strings.CutPrefix(name, settingPrefix)
		if !ok || slices.Contains(environmentOnly, key) {
			continue
		}
		set[strings.ToLower(key)] = value
	}
	return set
}

// scriptArgs parts what stands behind the script: --name=value are the script's own options, the rest its positional
// parameters.
func scriptArgs(args []string) (positional []string, named map[string]string) {
	named = map[string]string{}
	for i := 0; i < len(args); i++ {
		name, ok := strings.CutPrefix(args[i], "--")
		if !ok || name == "" {
			positional = append(positional, args[i])
			continue
		}
		key, value, hasValue := strings.Cut(name, "=")
		if !hasValue {
			value = "true"
		}
		named[key] = value
	}
	return positional, named
}

// splitWords cuts a command line as a shell does, without expanding anything: blanks part words, quotes and backslashes
// keep them together.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, in := byte(0), false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case open == '\'' && c != '\'', open == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case open != 0 && c == open:
			open = 0
		case c == '\\':
			if i++; i == len(s) {
				return nil, usage("-c %q: nothing stands behind the last backslash", s)
			}
			if open == '"' && s[i] != '"' && s[i] != '\\' && s[i] != '$' && s[i] != '`' {
				word.WriteByte('\\')
			}
			word.WriteByte(s[i])
			in = true
		case c == '\'' || c == '"':
			open, in = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				words, in = append(words, word.String()), false
				word.Reset()
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if open != 0 {
		return nil, usage("-c %q: a %c is not closed", s, open)
	}
	if in {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, usage("-c: the command is empty")
	}
	return words, nil
}

// parsePID reads the process of -p.
func parsePID(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, usage("-p %q: a process id, 1 or more", s)
	}
	if _, err := os.Stat("/proc/" + s); err != nil {
		return 0, usage("-p %s: there is no such process", s)
	}
	return int(n), nil
}

// filter makes the choice of --probe-filter.
func (x *scriptFlags) filter() (func(string) bool, error) {
	if x.probeFilter == "" {
		return nil, nil
	}
	re, err := regexp.Compile(x.probeFilter)
	if err != nil {
		return nil, usage("--probe-filter: %w", err)
	}
	return re.MatchString, nil
}

func runCommand(io streams) *cobra.Command {
	var x scriptFlags
	c := &cobra.Command{
		Use:   "run [flags] FILE.bt [ARG...]  |  run -e PROGRAM  |  run -",
		Short: "Run a bpftrace script",
		Long: `Compiles a bpftrace script to BPF, here and now, and runs it: probes on, what it prints shown, its maps at the end.

FILE may be - for standard input. What stands behind the script are its parameters ($1, $2, ...); behind -- they may be
options of its own (--name=value).`,
		Example: `  sonde run -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'
  sonde run --tree -c 'make -j4' -e 'tracepoint:sched:sched_process_exec { printf("%s\n", str(args.filename)); }'
  sonde run biolatency.bt`,
		RunE: func(c *cobra.Command, args []string) error {
			return runScript(io, c, &x, args, "sonde")
		},
	}
	x.add(c.Flags())
	return c
}

// bpftraceCommand is the drop-in: bpftrace's own command line.
func bpftraceCommand(io streams, name string) *cobra.Command {
	var x scriptFlags
	c := &cobra.Command{
		Use:   name + " [flags] FILE [ARG...]  |  " + name + " [flags] -e PROGRAM",
		Short: "High-level tracing language",
		RunE: func(c *cobra.Command, args []string) error {
			return runScript(io, c, &x, args, name)
		},
	}
	common(c)
	x.add(c.Flags())
	x.addClassic(c.Flags())
	return c
}
