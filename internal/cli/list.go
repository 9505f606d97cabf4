package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sonde/internal/kernel"
)

// lister writes the probes that patterns match, one a line, as they are written in a script.
type lister struct {
	out     *bufio.Writer
	kernel  kernel.Target
	pid     int
	verbose bool
	found   int
	errs    []error
}

// listedKind is a kind of probe that has its own list: how it is written, under which names it may be asked for.
type listedKind struct {
	name    string
	aliases []string
	list    func(*lister, string, string)
}

// listedKinds is in the order of the output.
var listedKinds = []listedKind{
	{"kprobe", []string{"k"}, (*lister).functions},
	{"kretprobe", []string{"kr"}, (*lister).functions},
	{"fentry", []string{"f", "kfunc"}, (*lister).functions},
	{"fexit", []string{"fr", "kretfunc"}, (*lister).functions},
	{"rawtracepoint", []string{"rt"}, (*lister).rawTracepoints},
	{"tracepoint", []string{"t"}, (*lister).tracepoints},
	{"uprobe", []string{"u"}, (*lister).userFunctions},
	{"uretprobe", []string{"ur"}, (*lister).userFunctions},
	{"software", []string{"s"}, (*lister).events},
	{"hardware", []string{"h"}, (*lister).events},
	{"interval", []string{"i"}, (*lister).timers},
	{"profile", []string{"p"}, (*lister).timers},
	{"iter", []string{"it"}, (*lister).iterators},
}

func listCommand(io streams) *cobra.Command {
	var pid string
	var verbose bool
	c := &cobra.Command{
		Use:   "list [flags] [PATTERN...]",
		Short: "List the probes of this host",
		Long: `Lists probes as they are written in a script. PATTERN is KIND:NAME with * for anything ("kprobe:vfs_*", "*:*open*"),
a part of a name ("*sleep*"), or "struct NAME" for a type of the kernel. With -v the arguments come with their types:
for a function of the kernel that is its signature.`,
		Example: `  sonde list 'tracepoint:syscalls:sys_enter_open*'
  sonde list -v fentry:vmlinux:vfs_read
  sonde list 'uprobe:/bin/bash:readline*'
  sonde list -v 'struct task_struct'`,
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := parsePID(pid)
			if err != nil {
				return err
			}
			return listProbes(io.out, liveKernel(), args, n, verbose)
		},
	}
	c.Flags().StringVarP(&pid, "pid", "p", "", "look for the files of uprobes in the mounts of this process (`PID`)")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the arguments too")
	return c
}

// listProbes writes what the patterns match; no pattern is everything. That nothing matched is an error.
func listProbes(w io.Writer, k kernel.Target, patterns []string, pid int, verbose bool) error {
	l := &lister{out: bufio.NewWriterSize(w, 64<<10), kernel: k, pid: pid, verbose: verbose}
	if len(patterns) == 0 {
		patterns = []string{"*:*"}
	}
	for _, p := range patterns {
		for one := range strings.SplitSeq(p, ",") {
			l.pattern(strings.TrimSpace(one))
		}
	}
	if err := l.out.Flush(); err != nil {
		return quietPipe(err)
	}
	if l.found > 0 {
		return nil
	}
	if len(l.errs) > 0 {
		return l.errs[0]
	}
	return fmt.Errorf("no probe matches %s", strings.Join(patterns, ", "))
}

func (l *lister) pattern(p string) {
	for _, tag := range []string{"struct ", "union ", "enum "} {
		if name, ok := strings.CutPrefix(p, tag); ok {
			l.structs(strings.TrimSpace(tag), strings.TrimSpace(name))
			return
		}
	}
	kind, rest, ok := strings.Cut(p, ":")
	if !ok {
		kind, rest = "*", p
		if !strings.Contains(p, "*") {
			rest = "*" + p + "*"
		}
		if known(p) {
			kind, rest = p, "*"
		}
	}
	matched := false
	for _, k := range listedKinds {
		if wild(kind, k.name) || slices.Contains(k.aliases, kind) {
			matched = true
			// Files are not searched for functions unless they are named.
			if strings.HasPrefix(k.name, "u") && (!ok || strings.Contains(kind, "*")) {
				continue
			}
			k.list(l, k.name, rest)
		}
	}
	if !matched {
		l.errs = append(l.errs, usage("%q: there is no such kind of probe", kind))
	}
}

func known(kind string) bool {
	return slices.ContainsFunc(listedKinds, func(k listedKind) bool { return k.name == kind })
}

// wild matches a name against a pattern in which only * is special.
func wild(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for i := 0; i <= len(name); i++ {
		if wild(rest, name[i:]) {
			return true
		}
	}
	return false
}

func (l *lister) line(format string, args ...any) {
	l.found++
	fmt.Fprintln(l.out, oneLine(fmt.Sprintf(format, args...)))
}

func (l *lister) arg(typ, name string) {
	fmt.Fprintln(l.out, oneLine("    "+strings.TrimSpace(typ+" "+name)))
}

func (l *lister) fault(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.errs = append(l.errs, err)
	}
}

func (l *lister) functions(kind, pattern string) {
	family := "fentry"
	if strings.HasPrefix(kind, "k") {
		family = "kprobe"
	}
	if family == "fentry" && !strings.Contains(pattern, ":") {
		pattern = "*:" + pattern
	}
	names, err := l.kernel.Match(family, pattern)
	l.fault(err)
	for _, n := range names {
		l.line("%s:%s", kind, n)
		if l.verbose {
			l.signature(kind, n)
		}
	}
}

// signature shows the parameters of a function, and what it returns where the probe is at the return.
func (l *lister) signature(kind, name string) {
	types := l.kernel.Types()
	if types == nil {
		return
	}
	module, function, ok := strings.Cut(name, ":")
	if !ok {
		module, function = "", name
	}
	if module != "" && module != "vmlinux" {
		in, err := types.Module(module)
		if err != nil {
			return
		}
		types = in
	}
	id, ok := types.Find(kernel.BTFFunc, function)
	if !ok {
		return
	}
	proto := types.Type(types.Type(id).Elem)
	if proto == nil {
		return
	}
	for i, p := range proto.Params {
		name := p.Name
		if name == "" {
			name = fmt.Sprintf("arg%d", i)
		}
		l.arg(types.TypeName(p.Type), name)
	}
	if kind == "fexit" || kind == "kretprobe" || kind == "fentry" {
		l.arg(types.TypeName(proto.Elem), "retval")
	}
}

func (l *lister) rawTracepoints(kind, pattern string) {
	if !strings.Contains(pattern, ":") {
		pattern = "*:" + pattern
	}
	names, err := l.kernel.Match("rawtracepoint", pattern)
	l.fault(err)
	types := l.kernel.Types()
	for _, n := range names {
		l.line("%s:%s", kind, n)
		if !l.verbose || types == nil {
			continue
		}
		in := types
		module, event, _ := strings.Cut(n, ":")
		if module != "vmlinux" {
			if in, err = types.Module(module); err != nil {
				continue
			}
		}
		id, ok := in.Find(kernel.BTFFunc, "__traceiter_"+event) // it names the parameters
		if !ok {
			if id, ok = in.Find(kernel.BTFTypedef, "btf_trace_"+event); !ok {
				continue
			}
		}
		proto := in.Type(in.Type(id).Elem)
		if proto != nil && proto.Kind == kernel.BTFPtr {
			proto = in.Type(proto.Elem)
		}
		if proto == nil || len(proto.Params) == 0 {
			continue
		}
		for i, p := range proto.Params[1:] { // the first is the kernel's own
			name := p.Name
			if name == "" {
				name = fmt.Sprintf("arg%d", i)
			}
			l.arg(in.TypeName(p.Type), name)
		}
	}
}

func (l *lister) tracepoints(kind, pattern string) {
	if !strings.Contains(pattern, ":") {
		pattern = "*:" + pattern
	}
	names, err := l.kernel.Match("tracepoint", pattern)
	l.fault(err)
	for _, n := range names {
		l.line("%s:%s", kind, n)
		if !l.verbose {
			continue
		}
		group, event, _ := strings.Cut(n, ":")
		format, err := l.kernel.Tracepoint(group, event)
		if err != nil {
			l.fault(err)
			continue
		}
		for _, f := range format.Fields {
			if !f.Common {
				l.arg(f.Type, f.Name)
			}
		}
	}
}

func (l *lister) userFunctions(kind, pattern string) {
	at := strings.LastIndexByte(pattern, ':')
	file, function := pattern, "*"
	if at >= 0 {
		file, function = pattern[:at], pattern[at+1:]
	}
	paths, err := l.kernel.File(file, l.pid)
	l.fault(err)
	for _, path := range paths {
		symbols, err := l.kernel.Functions(path, function)
		l.fault(err)
		for _, s := range symbols {
			l.line("%s:%s:%s", kind, path, s.Name)
		}
	}
}

func (l *lister) events(kind, pattern string) {
	names, err := l.kernel.Match(kind, strings.TrimSuffix(pattern, ":"))
	l.fault(err)
	for _, n := range names {
		l.line("%s:%s:", kind, n)
	}
}

func (l *lister) timers(kind, pattern string) {
	for _, unit := range []string{"hz", "ms", "s", "us"} {
		if wild(strings.TrimSuffix(pattern, ":"), unit) {
			l.line("%s:%s:", kind, unit)
		}
	}
}

func (l *lister) iterators(kind, pattern string) {
	names, err := l.kernel.Match("iter", pattern)
	l.fault(err)
	for _, n := range names {
		l.line("%s:%s", kind, n)
	}
}

// structs shows types of the kernel: their names, or with -v what is in them.
func (l *lister) structs(tag, pattern string) {
	types := l.kernel.Types()
	if types == nil {
		l.errs = append(l.errs, errors.New("this kernel does not show its types (BTF)"))
		return
	}
	kind := map[string]kernel.BTFKind{"struct": kernel.BTFStruct, "union": kernel.BTFUnion, "enum": kernel.BTFEnum}[tag]
	for _, name := range types.Names(kind, pattern) {
		l.found++
		if !l.verbose {
			fmt.Fprintf(l.out, "%s %s\n", tag, oneLine(name))
			continue
		}
		id, ok := types.Find(kind, name)
		if !ok {
			continue
		}
		for line := range strings.Lines(types.Signature(id)) {
			fmt.Fprintln(l.out, strings.TrimSuffix(line, "\n"))
		}
	}
}

// quietPipe takes it as a success when nobody reads on.
func quietPipe(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return fmt.Errorf("writing: %w", err)
}
