package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// Sets of probe kinds.
var (
	argProbes      = setOf(Kprobe, Uprobe, USDT, RawTracepoint)
	argsProbes     = setOf(Tracepoint, RawTracepoint, Fentry, Fexit)
	returnProbes   = setOf(Kretprobe, Uretprobe, Fexit)
	funcProbes     = setOf(Kprobe, Kretprobe, Uprobe, Uretprobe, USDT, Fentry, Fexit)
	registerProbes = setOf(Kprobe, Kretprobe, Uprobe, Uretprobe, USDT, Profile, Interval, Software, Hardware, Watchpoint)
	contextProbes  = registerProbes | setOf(Iter, Tracepoint, RawTracepoint, Fentry, Fexit)
	userProbes     = setOf(Uprobe, Uretprobe, USDT)
)

// is makes the value function of a builtin that always has one type.
func is(t *types.Type) func(*checker, *use) value {
	return func(c *checker, u *use) value {
		c.evalAll(u.args)
		return of(t)
	}
}

// variableRows are the builtin variables.
func variableRows() []Builtin {
	return []Builtin{
		{Name: "pid", Usage: "pid, pid(init), pid(curr_ns)", Doc: "process id", Bare: true, Max: 1, value: processID},
		{Name: "tid", Usage: "tid, tid(init), tid(curr_ns)", Doc: "thread id", Bare: true, Max: 1, value: processID},
		{Name: "uid", Usage: "uid", Doc: "user id", Bare: true, value: is(types.TUint64)},
		{Name: "gid", Usage: "gid", Doc: "group id", Bare: true, value: is(types.TUint64)},
		{Name: "comm", Usage: "comm", Doc: "name of the thread", Bare: true, value: is(types.StringOf(16))},
		{Name: "nsecs", Usage: "nsecs, nsecs(boot|monotonic|tai|sw_tai)", Doc: "nanoseconds since boot, or of another clock", Bare: true, Max: 1, value: nanoseconds},
		{Name: "elapsed", Usage: "elapsed", Doc: "nanoseconds since the script started", Bare: true, value: is(types.TUint64)},
		{Name: "cpu", Usage: "cpu", Doc: "number of the CPU", Bare: true, value: is(types.TUint64)},
		{Name: "ncpus", Usage: "ncpus", Doc: "how many CPUs there are", Bare: true, value: is(types.TUint64)},
		{Name: "numaid", Usage: "numaid", Doc: "number of the NUMA node", Bare: true, value: is(types.TUint64)},
		{Name: "jiffies", Usage: "jiffies", Doc: "the kernel's jiffies, 64 bits", Bare: true, value: is(types.TUint64)},
		{Name: "rand", Usage: "rand", Doc: "a random number of 32 bits", Bare: true, value: is(types.TUint64)},
		{Name: "cgroup", Usage: "cgroup", Doc: "id of the process's cgroup (v2)", Bare: true, value: is(types.TUint64)},
		{Name: "curtask", Usage: "curtask", Doc: "struct task_struct of the thread", Bare: true, value: currentTask},
		{Name: "username", Usage: "username", Doc: "name of the user", Bare: true, value: is(typeUsername)},
		{Name: "arg", Usage: "arg0, arg1, ...", Doc: "arguments of the function, as the registers hold them", Bare: true, Numbered: true, Probes: argProbes, Context: true, value: argument},
		{Name: "args", Usage: "args.name", Doc: "arguments with their names and types", Bare: true, Probes: argsProbes, Context: true, value: arguments},
		{Name: "retval", Usage: "retval", Doc: "what the function returned", Bare: true, Probes: returnProbes, Context: true, value: returnValue},
		{Name: "func", Usage: "func", Doc: "name of the function", Bare: true, Probes: funcProbes, Context: true, value: function},
		{Name: "probe", Usage: "probe", Doc: "the attach point, in full", Bare: true, value: probeText},
		{Name: "probetype", Usage: "probetype", Doc: "the kind of the attach point", Bare: true, value: func(c *checker, u *use) value { return c.setString(u.at, c.prog.Kind.String()) }},
		{Name: "kstack", Usage: "kstack, kstack([mode,] [limit])", Doc: "stack of the kernel", Bare: true, Max: 2, value: stack},
		{Name: "ustack", Usage: "ustack, ustack([mode,] [limit])", Doc: "stack of the process", Bare: true, Max: 2, value: stack},
		{Name: "ctx", Usage: "ctx", Doc: "the context of the BPF program", Bare: true, Probes: contextProbes, Context: true, value: programContext},
		{Name: "usermode", Usage: "usermode", Doc: "1 if the CPU was in user mode, else 0", Bare: true, Probes: registerProbes, Context: true, value: is(types.TUint8)},
		{Name: "cpid", Usage: "cpid", Doc: "process id of the command of -c", Bare: true, value: childPID},
		{Name: "has_cpid", Usage: "has_cpid", Doc: "whether there is a command (-c)", Bare: true, value: func(c *checker, u *use) value { return c.setBool(u.at, c.options.Command) }},
	}
}

// modeWord reads an argument that is one of some words.
func (c *checker) modeWord(u *use, words ...string) string {
	if len(u.args) == 0 {
		return ""
	}
	if id, ok := u.args[0].(*syntax.Ident); ok {
		for _, w := range words {
			if id.Name == w {
				return w
			}
		}
		c.errorf(id.Span(), "%s has no mode %s", u.Name, id.Name).suggest(id.Name, words)
		return ""
	}
	c.expr(u.args[0])
	c.errorf(u.args[0].Span(), "this is no mode of %s", u.Name).hint("it is used as %s", u.Usage)
	return ""
}

func processID(c *checker, u *use) value {
	c.modeWord(u, "init", "curr_ns")
	return of(types.TUint32)
}

func nanoseconds(c *checker, u *use) value {
	c.modeWord(u, "boot", "monotonic", "tai", "sw_tai")
	return of(types.TUint64)
}

// helperCurrentTask is bpf_get_current_task_btf (linux/bpf.h).
const helperCurrentTask = 158

func currentTask(c *checker, _ *use) value {
	t := c.kernelTypes.named("struct", "task_struct")
	if t == nil {
		t = &types.Type{Kind: types.Struct, Name: "task_struct"}
	}
	p := types.PointerTo(t, types.SpaceKernel)
	p.Trusted = t.BTF != 0 && c.target.Helper(programType(c.prog.Kind), helperCurrentTask)
	return of(p)
}

// programType is the kernel's number (linux/bpf.h) of the program type of a probe kind.
func programType(k ProbeKind) uint32 {
	switch k {
	case Begin, End, Self, Test, Bench:
		return 17 // raw tracepoint
	case Interval, Profile, Software, Hardware, Watchpoint:
		return 7 // perf event
	case Tracepoint:
		return 5
	case RawTracepoint, Fentry, Fexit, Iter:
		return 26 // tracing
	}
	return 2 // kprobe, also of uprobes
}

func argument(c *checker, u *use) value {
	limit := 6
	if c.target.Machine() == "arm64" {
		limit = 8
	}
	if c.prog.Kind == RawTracepoint {
		limit = 12
		if c.prog.Params != nil {
			limit = len(c.prog.Params)
		}
	}
	if u.number >= limit {
		p := c.errorf(u.at.Span(), "arg%d: only arg0 to arg%d are passed in registers here", u.number, limit-1)
		if c.prog.Kind != RawTracepoint {
			p.hint("those on the stack can be read with *(reg(\"sp\") + 8)")
		}
		return invalid
	}
	return of(types.TUint64)
}

func arguments(c *checker, u *use) value {
	if c.prog.Args == nil {
		if c.prog.noArgs != "" {
			c.errorf(u.at.Span(), "%s", c.prog.noArgs)
		} else if argsProbes.Has(c.prog.Kind) && len(c.prog.Points) > 0 {
			c.errorf(u.at.Span(), "the arguments of %s are not known", c.prog.Points[0].Text)
		}
		return invalid
	}
	return value{t: c.prog.Args, space: types.SpaceKernel, trusted: true}
}

func returnValue(c *checker, _ *use) value {
	if c.prog.Kind != Fexit {
		return of(types.TUint64)
	}
	switch t := c.prog.Retval; {
	case t == nil:
		return of(types.TUint64)
	case t.Kind == types.None:
		return of(types.TUint64)
	default:
		return of(t)
	}
}

func function(c *checker, _ *use) value {
	if userProbes.Has(c.prog.Kind) {
		return of(typeUSym)
	}
	return of(typeKSym)
}

// probeText is known if there is only one attach point.
func probeText(c *checker, u *use) value {
	longest := 0
	for i := range c.prog.Points {
		longest = max(longest, len(c.prog.Points[i].Text))
	}
	if len(c.prog.Points) == 1 {
		return c.setString(u.at, c.prog.Points[0].Text)
	}
	return of(types.StringOf(longest + 1))
}

// Stacks have this many addresses unless told otherwise, and this many at most.
const (
	defaultStack = 127
	maxStack     = 1024
)

func stack(c *checker, u *use) value {
	t := &types.Type{Kind: types.KStack, Len: defaultStack, StackMode: c.info.Config.StackMode}
	if u.Name == "ustack" {
		t.Kind = types.UStack
	} else if t.StackMode == "build_id" {
		t.StackMode = "bpftrace"
	}
	args := u.args
	if len(args) > 0 {
		if id, ok := args[0].(*syntax.Ident); ok {
			modes := []string{"bpftrace", "perf", "raw"}
			if t.Kind == types.UStack {
				modes = append(modes, "build_id")
			}
			if w := c.modeWord(u, modes...); w != "" {
				t.StackMode = w
			} else if id.Name == "build_id" {
				return invalid
			}
			args = args[1:]
		}
	}
	for i, a := range args {
		v := c.operand(a)
		k := c.info.Consts[a]
		switch {
		case !v.usable():
			return v
		case i > 0:
			c.errorf(a.Span(), "%s takes a mode, then a limit", u.Name).hint("as in %s(perf, 5)", u.Name)
		case k == nil || k.Kind != ConstInt:
			c.errorf(a.Span(), "the limit of %s is a number that stands there", u.Name)
		case k.Int < 1 || k.Int > maxStack:
			c.errorf(a.Span(), "the limit of %s is from 1 to %d, not %d", u.Name, maxStack, int64(k.Int))
		default:
			t.Len = int(k.Int)
		}
	}
	t.Size = 8 + types.FrameSize(t.StackMode)*t.Len
	if t.Kind == types.UStack {
		t.Size += 8
	}
	return of(t)
}

func programContext(c *checker, _ *use) value {
	t := &types.Type{Kind: types.Context, Size: 8, Elem: types.TNone, Space: types.SpaceKernel}
	name := ""
	switch c.prog.Kind {
	case Kprobe, Kretprobe, Uprobe, Uretprobe, USDT:
		name = "pt_regs"
	case Interval, Profile, Software, Hardware:
		name = "bpf_perf_event_data"
	case Iter:
		if len(c.prog.Points) > 0 {
			name = "bpf_iter__" + c.prog.Points[0].Name
		}
	}
	if s := c.kernelTypes.named("struct", name); s != nil && name != "" {
		t.Elem = s
	}
	return of(t)
}

func childPID(c *checker, u *use) value {
	if !c.options.Command {
		c.warnf("cpid", u.at.Span(), "there is no command (-c): cpid is 0")
	}
	return of(types.TUint32)
}
