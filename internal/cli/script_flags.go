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
	profiles    profileFlags
	ignored     []string
	ignoredBool bool
	version     bool
	mode        string
	developer   map[string]*string // options of bpftrace that cannot be had here, by name
}

// switchable are the features that --no-feature takes.
var switchable = []string{"kprobe_multi", "kprobe_session", "uprobe_multi", "raw_syscalls"}

// classicName is the name under which the binary is bpftrace.
const classicName = "bpftrace"

// developerOptions are options of bpftrace that cannot be had here, and what there is instead.
var developerOptions = []struct{ name, instead string }{
	{"emit-elf", "no object file is made; -d asm prints the programs"},
	{"emit-llvm", "there is no LLVM in sonde; -d ir prints what the programs are made from"},
	{"aot", "scripts are compiled where they run"},
	{"test", "test probes are not run"},
	{"bench", "bench probes are not run"},
}

// refuse says what of the developers' options of bpftrace there is not.
func (x *scriptFlags) refuse() error {
	for _, d := range developerOptions {
		if v := x.developer[d.name]; v != nil && *v != "" {
			return usage("--%s: %s", d.name, d.instead)
		}
	}
	if x.mode != "" && x.mode != "format" {
		return usage("--mode %q: the only mode is format", x.mode)
	}
	return nil
}

func (x *scriptFlags) add(f *pflag.FlagSet) {
	f.StringVarP(&x.expr, "expr", "e", "", "run this `PROGRAM`")
	f.BoolVarP(&x.list, "list", "l", false, "list probes that match a pattern, or those of a script (-v: with their arguments)")
	f.StringVarP(&x.pid, "pid", "p", "", "trace only this process (`PID`), and end with it")
	f.StringVarP(&x.command, "cmd", "c", "", "start this `COMMAND` once the probes are on, and end with it")
	f.BoolVar(&x.tree, "tree", false, "trace only the command of -c (or the process of -p) and its descendants")
	f.StringVarP(&x.format, "format", "f", "text", "`FORMAT` of the output: text or json")
	f.StringVarP(&x.file, "output", "o", "", "write the output to this `FILE`")
	f.StringVarP(&x.buffering, "buffering", "B", "", "write the output by the `MODE` line, full (64 KiB) or none; else whenever no event waits")
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
	f.StringSliceVar(&x.noFeature, "no-feature", nil, "do without these `FEATURE`s: "+strings.Join(switchable, ", "))
	f.StringVar(&x.probeFilter, "probe-filter", "", "attach only to probes whose names match this `REGEX` (begin and end run always)")
	f.StringVar(&x.buffer, "buffer", "", "`SIZE` of the ring buffer (64K ... 1G; a power of two)")
	f.BoolVar(&x.noOptimize, "no-optimize", false, "attach every probe as it is written, and compile the plain way")
	x.profiles.add(f)
	f.SetInterspersed(true)
}

// addClassic adds what only the name bpftrace takes: options that have nothing to do here.
func (x *scriptFlags) addClassic(f *pflag.FlagSet) {
	f.BoolVarP(&x.version, "version", "V", false, "print the version")
	for _, name := range []string{"dwarf-pid", "debuginfo", "traceable-functions"} {
		f.StringArrayVar(&x.ignored, name, nil, "taken for the sake of existing command lines")
		_ = f.MarkHidden(name)
	}
	x.developer = make(map[string]*string)
	for _, d := range developerOptions {
		x.developer[d.name] = f.String(d.name, "", d.instead)
		_ = f.MarkHidden(d.name)
		if d.name == "test" || d.name == "bench" {
			f.Lookup(d.name).NoOptDefVal = "true"
		}
	}
	f.StringVar(&x.mode, "mode", "", "format: as --fmt")
	_ = f.MarkHidden("mode")
	for _, name := range []string{"usdt-file-activation", "btf", "verify-llvm-ir"} {
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

// environmentOnly are variables of that prefix that are no settings. But for COLOR they have nothing to say here.
var environmentOnly = []string{
	"BTF", "KERNEL_SOURCE", "KERNEL_BUILD", "VMLINUX", "COLOR", "KERNEL_MODULES_BTF",
	// Of older versions: about a compiler that is not here, or for tests.
	"ADDR2LINE", "DEBUG_OUTPUT", "DUMMY_TS_MAP", "MAX_AST_NODES", "MAX_TYPE_RES_ITERATIONS", "VERIFY_LLVM_IR",
}

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
	var y objectFlags
	c := &cobra.Command{
		Use:   "run [flags] FILE.bt [ARG...]  |  run -e PROGRAM  |  run -  |  run [flags] FILE.o [-- COMMAND...]",
		Short: "Run a bpftrace script, or a compiled BPF object",
		Long: `Compiles a bpftrace script to BPF, here and now, and runs it: probes on, what it prints shown, its maps at the end.

FILE may be - for standard input. What stands behind the script are its parameters ($1, $2, ...); behind -- they may be
options of its own (--name=value).

A compiled object (an ELF file, whatever its name is) is loaded as libbpf would: all its programs are attached, and what
comes through its ring buffers, its perf event arrays and bpf_printk is shown. To an object -d is a TIME and -c a COUNT.`,
		Example: `  sonde run -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'
  sonde run --tree -c 'make -j4' -e 'tracepoint:sched:sched_process_exec { printf("%s\n", str(args.filename)); }'
  sonde run --flame cpu.svg --tree -c 'make -j4' -e 'profile:hz:99 { @[kstack, ustack, comm] = count(); }'
  sonde run biolatency.bt
  sonde run --show minimal.bpf.o
  sonde run --set my_pid=4711 --maps minimal.bpf.o`,
		RunE: func(c *cobra.Command, args []string) error {
			return runScript(io, c, &x, &y, args, "sonde")
		},
	}
	x.add(c.Flags())
	y.add(c.Flags())
	return c
}

// bpftraceCommand is the drop-in: bpftrace's own command line.
func bpftraceCommand(io streams, name string) *cobra.Command {
	var x scriptFlags
	c := &cobra.Command{
		Use:   name + " [flags] FILE [ARG...]  |  " + name + " [flags] -e PROGRAM",
		Short: "Run a bpftrace script",
		Long: `Runs bpftrace scripts, under bpftrace's own command line: this is sonde, of which "sonde run" is the other name.

FILE may be - for standard input. What stands behind the script are its parameters ($1, $2, ...); behind -- they may be
options of its own (--name=value).`,
		Example: `  ` + name + ` -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'
  ` + name + ` -l '*sleep*'
  ` + name + ` biolatency.bt`,
		RunE: func(c *cobra.Command, args []string) error {
			return runScript(io, c, &x, nil, args, name)
		},
	}
	common(c)
	x.add(c.Flags())
	x.addClassic(c.Flags())
	return c
}
