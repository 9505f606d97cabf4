package kernel

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// path is a path of the machine, below l's root.
func (l *live) path(path string) string {
	if l.root == "/" {
		return path
	}
	return filepath.Join(l.root, path)
}

// match answers Match. A name in full never makes it list everything. The lock is held.
func (l *live) match(kind, text string) ([]string, error) {
	switch kind {
	case "software":
		return matching(softwareEvents, text), nil
	case "hardware":
		return matching(hardwareEvents, text), nil
	case "iter":
		return matchIterators(l.types(), text), nil
	case "rawtracepoint":
		return l.matchRawTracepoints(text)
	case "tracepoint":
		return l.matchTracepoints(text)
	case "kprobe":
		return l.matchKprobes(text)
	case "fentry":
		return l.matchFentry(text)
	}
	return nil, errMatchKind(kind)
}

// matchTracepoints looks for "group:event" in the folders of tracefs.
func (l *live) matchTracepoints(text string) ([]string, error) {
	group, event, ok := strings.Cut(text, ":")
	if !ok {
		return nil, nil
	}
	dir, err := l.traces()
	if err != nil {
		return nil, err
	}
	if hasStar(group) {
		return grepNames(filepath.Join(dir, "available_events"), func(line string) (string, bool) {
			return line, !strings.HasPrefix(line, "ftrace:")
		}, newPattern(text))
	}
	if !eventWord(group) {
		return nil, nil
	}
	events := filepath.Join(dir, "events", group)
	if !hasStar(event) {
		if !eventWord(event) {
			return nil, nil
		}
		_, err := os.Stat(filepath.Join(events, event, "format"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return []string{text}, nil
	}
	entries, err := os.ReadDir(events)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	p := newPattern(event)
	for _, e := range entries { // sorted
		if e.IsDir() && p.match(e.Name()) {
			found = append(found, group+":"+e.Name())
		}
	}
	return found, nil
}

// matchRawTracepoints asks the types, which have a typedef for each. A kernel without types has at least the events of tracefs;
// those of the group syscalls are made of two raw ones.
func (l *live) matchRawTracepoints(text string) ([]string, error) {
	if b := l.types(); b != nil {
		return matchModules(b, BTFTypedef, rawTypedef, text), nil
	}
	dir, err := l.traces()
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(text, vmlinux+":")
	return grepNames(filepath.Join(dir, "available_events"), func(line string) (string, bool) {
		group, event, _ := strings.Cut(line, ":")
		if group == "syscalls" || group == "ftrace" || !newPattern(name).match(event) {
			return "", false
		}
		return vmlinux + ":" + event, true
	}, newPattern("*"))
}

// matchKprobes answers a name in full from the types, or else from kallsyms. Names for a pattern are those that the kernel's function
// tracer lists, where it has one, without those that kprobes are refused on: one of them would spoil all.
func (l *live) matchKprobes(text string) ([]string, error) {
	module, function, named := strings.Cut(text, ":")
	if !named {
		module, function = "", text
	}
	if function == "" {
		return nil, nil
	}
	if !hasStar(text) {
		if l.hasFunction(module, function) {
			return []string{text}, nil
		}
		return nil, nil
	}
	functions, err := l.traceable(newPattern(module), newPattern(function), named)
	if err != nil {
		return nil, err
	}
	refused := l.kprobeBlacklist()
	functions = slices.DeleteFunc(functions, func(name string) bool {
		return refused[name[strings.IndexByte(name, ':')+1:]]
	})
	slices.Sort(functions)
	return slices.Compact(functions), nil
}

// hasFunction says whether there is such a function, module being "" for any.
func (l *live) hasFunction(module, function string) bool {
	in := l.types()
	if module != "" && module != vmlinux {
		in, _ = in.Module(module)
	}
	if in != nil {
		if len(in.FunctionNames(function)) > 0 {
			return true
		}
	}
	if module == vmlinux {
		module = "" // those of modules are taken along: kallsyms is read once
	}
	return l.symbol(module, function).isText()
}

// matchFentry answers functions that have a type. Those for a pattern are also listed by the function tracer, where it lists any.
func (l *live) matchFentry(text string) ([]string, error) {
	found := matchModules(l.types(), BTFFunc, "", text)
	if !hasStar(text) || len(found) == 0 {
		return found, nil
	}
	module, function, named := strings.Cut(text, ":")
	if !named {
		module, function = "*", text
	}
	dir, err := l.traces()
	if err != nil {
		return found, nil
	}
	traceable, err := l.grepTraceable(dir, newPattern(module), newPattern(function), true)
	if err != nil || len(traceable) == 0 {
		return found, nil
	}
	slices.Sort(traceable)
	return slices.DeleteFunc(found, func(name string) bool {
		_, ok := slices.BinarySearch(traceable, name)
		return !ok
	}), nil
}

// traceable lists the functions that probes can be put on, as "func", or "mod:func" if named.
func (l *live) traceable(module, function pattern, named bool) ([]string, error) {
	dir, err := l.traces()
	if err == nil {
		found, err := l.grepTraceable(dir, module, function, named)
		if err == nil {
			return found, nil
		}
	}
	return grepNames(l.path("/proc/kallsyms"), func(line string) (string, bool) {
		s, name, in, ok := parseSymbol(line)
		if !ok || !s.isText() || strings.HasPrefix(name, "__pfx_") || strings.HasPrefix(name, "__cfi_") || !function.match(name) {
			return "", false
		}
		return inModule(module, in, name, named)
	}, newPattern("*"))
}

// grepTraceable looks into what the function tracer lists: "func", or "func [mod]". The list is kept, for the kernel
// takes long to make it.
func (l *live) grepTraceable(tracefs string, module, function pattern, named bool) ([]string, error) {
	if l.traced == "" {
		text, err := readSmall(filepath.Join(tracefs, "available_filter_functions"), maxTraced)
		if err != nil {
			return nil, err
		}
		l.traced = text
	}
	return grepLines(strings.NewReader(l.traced), func(line string) (string, bool) {
		name, in, _ := strings.Cut(line, " ")
		if !function.match(name) || strings.HasPrefix(name, "__ftrace_invalid_address__") {
			return "", false
		}
		return inModule(module, strings.Trim(in, "[] "), name, named)
	}, newPattern("*"))
}

// inModule gives a function's name as it was asked for, with or without its module, if it is in the right one.
func inModule(module pattern, in, name string, named bool) (string, bool) {
	if !named {
		return name, true
	}
	if in == "" {
		in = vmlinux
	}
	return in + ":" + name, module.match(in)
}

// kprobeBlacklist returns the functions that the kernel refuses kprobes on. It is empty where debugfs is not mounted: mounting it
// is not for us.
func (l *live) kprobeBlacklist() map[string]bool {
	refused := make(map[string]bool)
	table, err := readSmall(l.path("/proc/self/mountinfo"), 4<<20)
	if err != nil {
		return refused
	}
	for m := range MountsOf(table, "debugfs") {
		names, err := grepNames(l.path(filepath.Join(m.Point, "kprobes/blacklist")), func(line string) (string, bool) {
			_, name, ok := strings.Cut(line, "\t")
			return name, ok
		}, newPattern("*"))
		if err == nil {
			for _, name := range names {
				refused[name] = true
			}
			break
		}
	}
	return refused
}

// maxNames bounds how many lines of one file are looked at: the largest kernels have some 200,000 functions.
const maxNames = 4 << 20

// maxTraced bounds the list of functions that can be traced; it is 2 MB in a kernel with all its modules.
const maxTraced = 32 << 20

// grepNames reads a file of the kernel's line by line and returns, sorted, what name makes of those that match.
func grepNames(path string, name func(line string) (string, bool), match pattern) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return grepLines(file, name, match)
}

func grepLines(text io.Reader, name func(line string) (string, bool), match pattern) ([]string, error) {
	var found []string
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 64<<10), 64<<10)
	for range maxNames {
		if !lines.Scan() {
			break
		}
		if text, ok := name(lines.Text()); ok && match.match(text) {
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), lines.Err()
}
