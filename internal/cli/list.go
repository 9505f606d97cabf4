package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sonde/internal/compile"
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
	// named kinds are listed only by their names, and not for a pattern of kinds: the returns of functions are the
	// functions once more, timers have no names, and no file is searched that was not named.
	named bool
	list  func(*lister, string, string)
	args  func(*lister, string, string) // nil where nothing is known of arguments
}

// listedKinds is in the order of the output. It is filled at start because the rows refer to what refers to it.
var listedKinds []listedKind

func init() {
	listedKinds = []listedKind{
		{"kprobe", []string{"k"}, false, (*lister).functions, (*lister).signature},
		{"kretprobe", []string{"kr"}, true, (*lister).functions, (*lister).signature},
		{"fentry", []string{"f", "kfunc"}, false, (*lister).functions, (*lister).signature},
		{"fexit", []string{"fr", "kretfunc"}, true, (*lister).functions, (*lister).signature},
		{"rawtracepoint", []string{"rt"}, false, (*lister).rawTracepoints, (*lister).rawArguments},
		{"tracepoint", []string{"t"}, false, (*lister).tracepoints, (*lister).tracepointFields},
		{"uprobe", []string{"u"}, true, (*lister).userFunctions, nil},
		{"uretprobe", []string{"ur"}, true, (*lister).userFunctions, nil},
		{"software", []string{"s"}, false, (*lister).events, nil},
		{"hardware", []string{"h"}, false, (*lister).events, nil},
		{"interval", []string{"i"}, true, (*lister).timers, nil},
		{"profile", []string{"p"}, true, (*lister).timers, nil},
		{"iter", []string{"it"}, false, (*lister).iterators, (*lister).iteratorFields},
	}
}

func listCommand(io streams) *cobra.Command {
	var pid string
	var verbose bool
	c := &cobra.Command{
		Use:   "list [flags] [PATTERN...]",
		Short: "List the probes of this host",
		Long: `Lists probes as they are written in a script. PATTERN is KIND:NAME with * for anything ("kprobe:vfs_*", "*:*open*"),
a name of any kind ("vfs_read", "*sleep*"), a kind ("software"), or "struct NAME", "union NAME", "enum NAME" for a type
of the kernel. Functions of programs are listed when their file is named ("uprobe:/bin/bash:read*"). With -v the
arguments come with their types: for a function of the kernel that is its signature.`,
		Example: `  sonde list 'tracepoint:syscalls:sys_enter_open*'
  sonde list -v fentry:vmlinux:vfs_read
  sonde list 'uprobe:/bin/bash:readline*'
  sonde list -p 1234 'uprobe:*:*alloc'
  sonde list -v 'struct task_struct'`,
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := parsePID(pid)
			if err != nil {
				return err
			}
			return listProbes(io.out, liveKernel(), args, n, verbose)
		},
	}
	c.Flags().StringVarP(&pid, "pid", "p", "", "look for the files of uprobes in the mounts of this process (`PID`); uprobe:* are all that it has mapped")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the arguments too")
	return c
}

// listProbes writes what the patterns match; no pattern is everything. That nothing matched is an error, and so is what
// could not be looked up.
func listProbes(w io.Writer, k kernel.Target, patterns []string, pid int, verbose bool) error {
	l := newLister(w, k, pid, verbose)
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
	if len(l.errs) > 0 { // then the list is not whole
		return l.errs[0]
	}
	if l.found > 0 {
		return nil
	}
	err := fmt.Sprintf("no probe matches %s", strings.Join(patterns, ", "))
	if len(patterns) == 1 {
		if near := l.nearest(patterns[0]); near != "" {
			err += fmt.Sprintf("; did you mean %s?", near)
		}
	}
	return &unmatchedError{err}
}

// unmatchedError is that nothing matched. bpftrace takes that for a success.
type unmatchedError struct{ text string }

func (e *unmatchedError) Error() string { return e.text }

func newLister(w io.Writer, k kernel.Target, pid int, verbose bool) *lister {
	return &lister{out: bufio.NewWriterSize(w, 64<<10), kernel: k, pid: pid, verbose: verbose}
}

// pattern lists what one pattern matches: KIND:NAME, a kind, a name of any kind, a type of the kernel.
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
		if kindOf(p) != nil {
			kind, rest = p, "*"
		}
	}
	if !strings.Contains(kind, "*") {
		k := kindOf(kind)
		if k == nil {
			l.errs = append(l.errs, l.noKind(kind))
			return
		}
		k.list(l, k.name, rest)
		return
	}
	for _, k := range listedKinds {
		if !k.named && wild(kind, k.name) {
			k.list(l, k.name, rest)
		}
	}
}

// points lists the attach points of a script.
func (l *lister) points(points []string) error {
	for _, p := range points {
		l.line("%s", p)
		kind, rest, _ := strings.Cut(p, ":")
		if k := kindOf(kind); k != nil && l.verbose && k.args != nil {
			k.args(l, k.name, rest)
		}
	}
	if err := l.out.Flush(); err != nil {
		return quietPipe(err)
	}
	return nil
}

func kindOf(name string) *listedKind {
	for i := range listedKinds {
		if k := &listedKinds[i]; k.name == name || slices.Contains(k.aliases, name) {
			return k
		}
	}
	return nil
}

// unlisted are kinds of probes that have nothing to list.
var unlisted = []string{"begin", "end", "BEGIN", "END", "self", "usdt", "watchpoint", "test", "bench"}

func (l *lister) noKind(kind string) error {
	if slices.Contains(unlisted, kind) {
		return usage("there is nothing to list of %s probes", kind)
	}
	var names []string
	for _, k := range listedKinds {
		names = append(names, k.name)
	}
	if near := compile.Nearest(kind, names); near != "" {
		return usage("there are no %s probes; did you mean %s?", kind, near)
	}
	return usage("there are no %s probes; the kinds are %s", kind, strings.Join(names, ", "))
}

// nearest looks for a probe of which a pattern without wildcards may be a slip.
func (l *lister) nearest(pattern string) string {
	kind, name, ok := strings.Cut(pattern, ":")
	if !ok {
		kind, name = "", pattern
	}
	if strings.Contains(pattern, "*") {
		return ""
	}
	best, distance := "", 1<<30
	for _, family := range []string{"kprobe", "fentry", "rawtracepoint", "tracepoint", "software", "hardware", "iter"} {
		if k := kindOf(kind); kind != "" && (k == nil || k.family() != family) {
			continue
		}
		group, last := "", name
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			group, last = name[:i+1], name[i+1:]
		}
		if len(last) < 3 {
			continue
		}
		// Most slips are not in the first letters, and asking for all functions is dear.
		all, err := l.kernel.Match(family, group+last[:2]+"*")
		if group == "" && strings.Contains("fentry rawtracepoint tracepoint", family) {
			all, err = l.kernel.Match(family, "*:"+last[:2]+"*")
		}
		if err != nil {
			continue
		}
		whole := make(map[string]string, len(all))
		names := make([]string, len(all))
		for i, n := range all {
			names[i] = n[strings.LastIndexByte(n, ':')+1:]
			whole[names[i]] = n
		}
		if near := compile.Nearest(last, names); near != "" && abs(len(near)-len(last)) < distance {
			best, distance = family+":"+whole[near], abs(len(near)-len(last))
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// family is the kind whose names this kind has.
func (k *listedKind) family() string {
	switch k.name {
	case "kretprobe":
		return "kprobe"
	case "fexit":
		return "fentry"
	}
	return k.name
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

func (l *lister) fault(err error) {
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, fs.ErrPermission):
		l.errs = append(l.errs, fmt.Errorf("%w; run it as root for a whole list", err))
	default:
		l.errs = append(l.errs, err)
	}
}

// list writes the names of a kind that match, each with its arguments if they are wanted.
func (l *lister) list(kind, family, pattern string) {
	names, err := l.kernel.Match(family, pattern)
	l.fault(err)
	args := kindOf(kind).args
	for _, n := range names {
		l.line("%s:%s", kind, n)
		if l.verbose && args != nil {
			args(l, kind, n)
		}
	}
}

func (l *lister) functions(kind, pattern string) {
	family := kindOf(kind).family()
	if family == "fentry" {
		pattern = anyGroup(pattern)
	}
	l.list(kind, family, pattern)
}

func (l *lister) rawTracepoints(kind, pattern string) { l.list(kind, kind, anyGroup(pattern)) }
func (l *lister) tracepoints(kind, pattern string)    { l.list(kind, kind, anyGroup(pattern)) }
func (l *lister) iterators(kind, pattern string)      { l.list(kind, kind, pattern) }

// anyGroup takes a name without a module or category as one of any.
func anyGroup(pattern string) string {
	if strings.Contains(pattern, ":") {
		return pattern
	}
	return "*:" + pattern
}

func (l *lister) userFunctions(kind, pattern string) {
	at := strings.LastIndexByte(pattern, ':')
	file, function := pattern, "*"
	if at >= 0 {
		file, function = pattern[:at], pattern[at+1:]
	}
	files := []string{file}
	if file == "*" && l.pid != 0 {
		files = executables(l.pid)
	}
	var paths []string
	for _, f := range files {
		found, err := l.kernel.File(f, l.pid)
		l.fault(err)
		paths = append(paths, found...)
	}
	for _, path := range paths {
		symbols, err := l.kernel.Functions(path, function)
		l.fault(err)
		for _, s := range symbols {
			l.line("%s:%s:%s", kind, path, s.Name)
		}
	}
}

// executables are the files that a process has mapped to run: its program and its libraries.
func executables(pid int) (files []string) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(maps)) {
		// "7f00-7f10 r-xp 00000000 fe:00 1234  /path", proc_pid_maps(5)
		at := strings.IndexByte(line, '/')
		if at < 0 || !strings.Contains(line[:at], " r-xp ") {
			continue
		}
		if file := strings.TrimSuffix(line[at:], "\n"); !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
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
