package check

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/kernel"
)

// expandKprobe is kprobe and kretprobe: [module:]function[+offset], or an address.
func expandKprobe(x *pointExpander, parts []string) []Point {
	module, name := "", parts[len(parts)-1]
	if len(parts) == 2 {
		module = parts[0]
	}
	if addr, err := strconv.ParseUint(name, 0, 64); err == nil {
		return x.kernelAddress(addr, module)
	}
	name, offset, ok := x.offset(name)
	if !ok {
		return nil
	}
	if offset > 0 && x.kind == Kretprobe {
		x.errorf(x.at.Span(), "a kretprobe has no offset: it is on the return")
		return nil
	}
	pattern := name
	if module != "" {
		pattern = module + ":" + name
	}
	found, err := x.target.Match("kprobe", pattern)
	if len(found) == 0 && !isWild(pattern) {
		// Functions that the list leaves out, or all where there is no list, may be there all the same.
		if _, ok := x.target.Symbol(name); ok || err != nil && x.target.Types() == nil {
			found = []string{pattern}
		}
	}
	if len(found) == 0 {
		x.noFunction(pattern, err)
		return nil
	}
	points := make([]Point, 0, len(found))
	for _, f := range found {
		mod, fn, hasModule := strings.Cut(f, ":")
		if !hasModule {
			mod, fn = "", f
		}
		p := x.point(x.name + ":" + fn)
		if module != "" && hasModule {
			p.Group, p.Text = mod, x.name+":"+f
		}
		if offset > 0 {
			p.Text += "+" + strconv.FormatUint(offset, 10)
		}
		p.Name, p.Offset, p.Wild = fn, offset, isWild(pattern)
		points = append(points, p)
	}
	return points
}

// noFunction tells that the kernel does not have a function, with the nearest that it has.
func (x *pointExpander) noFunction(pattern string, err error) {
	if x.quiet {
		return
	}
	if isWild(pattern) {
		p := x.missing("no function matches %s", pattern)
		if err != nil {
			p.hint("%v", err)
		}
		return
	}
	_, name, _ := strings.Cut(":"+pattern, ":")
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	p := x.missing("the kernel has no function %s that can be probed", name)
	if p.at < 0 || len(name) < 3 {
		return
	}
	x.suggestions = append(x.suggestions, func() {
		// Most slips are not in the first letters, and asking for all functions is dear.
		near, _ := x.target.Match("kprobe", name[:2]+"*")
		p.suggest(name, near)
	})
}

// kernelAddress is a kprobe on an address.
func (x *pointExpander) kernelAddress(addr uint64, module string) []Point {
	if x.quiet {
		return nil
	}
	switch {
	case module != "":
		x.errorf(x.at.Span(), "an address has no module")
		return nil
	case !x.options.Unsafe:
		x.errorf(x.at.Span(), "a probe on an address may stop the kernel").hint("allow it with --unsafe")
		return nil
	}
	p := x.point(x.name + ":0x" + strconv.FormatUint(addr, 16))
	p.Address = addr
	return []Point{p}
}

// offset takes function+offset apart.
func (x *pointExpander) offset(text string) (name string, offset uint64, ok bool) {
	name, digits, found := strings.Cut(text, "+")
	if !found {
		return text, 0, true
	}
	offset, err := strconv.ParseUint(digits, 0, 63)
	if err != nil || name == "" || isWild(name) {
		if !x.quiet {
			x.errorf(x.at.Span(), "%s is no function with an offset", text).hint("as in %s+4", strings.Trim(name, "*"))
		}
		return "", 0, false
	}
	return name, offset, true
}

// expandTracepoint is tracepoint:category:event.
func expandTracepoint(x *pointExpander, parts []string) []Point {
	pattern := parts[0] + ":" + parts[1]
	found, err := x.target.Match("tracepoint", pattern)
	if len(found) == 0 {
		if x.quiet {
			return nil
		}
		if errors.Is(err, fs.ErrPermission) {
			x.errorf(x.at.Span(), "tracepoint %s cannot be looked up: %v", pattern, err).hint("run it as root")
			return nil
		}
		what := "the kernel has no tracepoint %s"
		if isWild(pattern) {
			what = "no tracepoint matches %s"
		}
		p := x.missing(what, pattern)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			p.hint("%v", err)
		case p.at >= 0:
			x.suggestTracepoint(p, parts[0], parts[1])
		}
		return nil
	}
	points := make([]Point, 0, len(found))
	for _, f := range found {
		group, name, _ := strings.Cut(f, ":")
		p := x.point("tracepoint:" + f)
		p.Group, p.Name, p.Wild = group, name, isWild(pattern)
		p.Syscall = x.syscall(group, name)
		points = append(points, p)
	}
	return points
}

// syscall is the number of the system call that a tracepoint is about, -1 if it is about none.
func (c *checker) syscall(group, name string) int {
	if group != "syscalls" {
		return -1
	}
	call, ok := strings.CutPrefix(name, "sys_enter_")
	if !ok {
		if call, ok = strings.CutPrefix(name, "sys_exit_"); !ok {
			return -1
		}
	}
	if nr, ok := c.target.Syscall(call); ok {
		return nr
	}
	return -1
}

// suggestTracepoint looks in the category first, then for the event in others, then for the category.
func (x *pointExpander) suggestTracepoint(p problem, group, name string) {
	if isWild(group) || isWild(name) {
		return
	}
	if in, _ := x.target.Match("tracepoint", group+":*"); len(in) > 0 {
		p.suggest(group+":"+name, in)
		return
	}
	all, _ := x.target.Match("tracepoint", "*:"+name)
	if len(all) > 0 {
		p.hint("did you mean %s?", all[0])
		return
	}
	all, _ = x.target.Match("tracepoint", "*:*")
	p.suggest(group+":"+name, all)
}

// expandRawTracepoint is rawtracepoint:[module:]event.
func expandRawTracepoint(x *pointExpander, parts []string) []Point {
	pattern := parts[len(parts)-1]
	full := "*:" + pattern
	if len(parts) == 2 {
		full = parts[0] + ":" + pattern
	}
	found, err := x.target.Match("rawtracepoint", full)
	if len(found) == 0 && (err != nil || x.kernelTypes.get() == nil) && !isWild(x.whole) && !x.quiet {
		found = []string{"vmlinux:" + pattern} // nothing to look it up in: the kernel will tell
	}
	if len(found) == 0 {
		if x.quiet {
			return nil
		}
		p := x.missing("the kernel has no raw tracepoint %s", x.whole[strings.IndexByte(x.whole, ':')+1:])
		if p.at >= 0 && !isWild(pattern) {
			all, _ := x.target.Match("rawtracepoint", "*:*")
			for i := range all {
				_, all[i], _ = strings.Cut(all[i], ":")
			}
			p.suggest(pattern, all)
		}
		return nil
	}
	if len(parts) == 1 && !isWild(pattern) && len(found) > 1 {
		found = onlyOne(found)
	}
	points := make([]Point, 0, len(found))
	for _, f := range found {
		module, name, _ := strings.Cut(f, ":")
		p := x.point("rawtracepoint:" + name)
		if len(parts) == 2 {
			p.Text = "rawtracepoint:" + f
		}
		p.Name, p.Wild = name, isWild(full[2:]) || len(parts) == 2 && isWild(parts[0])
		if module != "vmlinux" {
			p.Group = module
		}
		if x.needs.args || x.needs.argN {
			if b := x.kernelTypes.module(module); b != nil {
				p.BTF = tracepointType(b, name)
			}
		}
		points = append(points, p)
	}
	return points
}

// onlyOne prefers the kernel itself to its modules.
func onlyOne(found []string) []string {
	if i := slices.IndexFunc(found, func(f string) bool { return strings.HasPrefix(f, "vmlinux:") }); i >= 0 {
		return found[i : i+1]
	}
	return found[:1]
}

// tracepointType is the ID of the prototype of a tracepoint's programs; 0 if there is none. That of the kernel's own
// function has the same parameters, and names them.
func tracepointType(b *btfTypes, name string) uint32 {
	id, ok := b.raw.Find(kernel.BTFFunc, "__traceiter_"+name)
	if !ok {
		if id, ok = b.raw.Find(kernel.BTFTypedef, "btf_trace_"+name); !ok {
			return 0
		}
	}
	for range maxChain {
		t := b.raw.Type(id)
		if t == nil {
			return 0
		}
		if t.Kind == kernel.BTFFuncProto {
			return id
		}
		id = t.Elem
	}
	return 0
}

// expandFentry is fentry and fexit: [module:]function.
func expandFentry(x *pointExpander, parts []string) []Point {
	if parts[0] == "bpf" && len(parts) > 1 || len(parts) == 3 {
		if !x.quiet {
			x.errorf(x.at.Span(), "%s probes on BPF programs are not compiled yet", x.name)
		}
		return nil
	}
	name := parts[len(parts)-1]
	pattern := "*:" + name
	if len(parts) == 2 {
		pattern = parts[0] + ":" + name
	}
	if x.kernelTypes.get() == nil {
		x.missing("%s needs the kernel's types (BTF), which this kernel does not show", x.whole).hint("kprobe and kretprobe do without")
		return nil
	}
	found, err := x.target.Match("fentry", pattern)
	if len(found) == 0 {
		if !x.quiet {
			x.noFunction(name, err)
		}
		return nil
	}
	if len(parts) == 1 && !isWild(name) && len(found) > 1 {
		if only := onlyOne(found); strings.HasPrefix(only[0], "vmlinux:") {
			found = only
		} else {
			x.errorf(x.at.Span(), "%s is in several modules: %s", name, strings.Join(found, ", ")).hint("say which: %s:%s", x.name, found[0])
			return nil
		}
	}
	points := make([]Point, 0, len(found))
	for _, f := range found {
		module, fn, _ := strings.Cut(f, ":")
		p := x.point(x.name + ":" + fn)
		if len(parts) == 2 {
			p.Text = x.name + ":" + f
		}
		p.Name, p.Wild = fn, isWild(pattern[2:]) || len(parts) == 2 && isWild(parts[0])
		if module != "vmlinux" {
			p.Group = module
		}
		if b := x.kernelTypes.module(module); b != nil && (x.needs.args || x.needs.retval) {
			p.BTF, _ = b.raw.Find(kernel.BTFFunc, fn)
		}
		points = append(points, p)
	}
	return points
}
