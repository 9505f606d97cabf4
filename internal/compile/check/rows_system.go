package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// systemRows are functions about processes and cgroups.
func systemRows() []Builtin {
	return []Builtin{
		{Name: "cgroupid", Usage: `cgroupid("/path")`, Doc: "id of a cgroup (v2)", Min: 1, Max: 1, value: cgroupID},
		{Name: "cgroup_path", Usage: `cgroup_path(id [, "hierarchies"])`, Doc: "path of a cgroup", Min: 1, Max: 2, value: cgroupPath},
		{Name: "signal", Usage: `signal("TERM")`, Doc: "send the process a signal", Min: 1, Max: 1, Unsafe: true, value: sendSignal},
		{Name: "signal_thread", Usage: `signal_thread("TERM")`, Doc: "send the thread a signal", Min: 1, Max: 1, Unsafe: true, value: sendSignal},
	}
}

func cgroupID(c *checker, u *use) value {
	path, ok := c.literalText(u, u.args[0], "the path")
	if ok {
		id, err := c.target.CgroupID(path)
		if err != nil {
			c.errorf(u.args[0].Span(), "%v", err)
		} else {
			c.info.Consts[u.at] = &Const{Kind: ConstInt, Int: id}
		}
	}
	return of(types.TUint64)
}

func cgroupPath(c *checker, u *use) value {
	if v := c.operand(u.args[0]); v.usable() && !v.isInt() {
		c.errorf(u.args[0].Span(), "cgroup_path takes the id of a cgroup, not %s", v.t)
	}
	if len(u.args) > 1 {
		c.literalText(u, u.args[1], "the hierarchies")
	}
	return of(typeCgroupPath)
}

// signals by number, the same on all machines that are compiled for.
var signals = [...]string{
	"", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
	"CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

// SignalNumber is the number of a signal by its name, with SIG in front or without.
func SignalNumber(name string) (int, bool) {
	name = strings.TrimPrefix(strings.ToUpper(name), "SIG")
	switch name {
	case "":
		return 0, false
	case "IOT":
		name = "ABRT"
	case "POLL":
		name = "IO"
	}
	if n := slices.Index(signals[:], name); n > 0 {
		return n, true
	}
	for prefix, base := range map[string]int{"RTMIN": 34, "RTMAX": 64} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			off := 0
			if rest != "" {
				var err error
				if off, err = strconv.Atoi(rest); err != nil {
					return 0, false
				}
			}
			if n := base + off; n >= 34 && n <= 64 {
				return n, true
			}
		}
	}
	return 0, false
}

// sendSignal takes a name or a number. A name becomes the constant of the argument.
func sendSignal(c *checker, u *use) value {
	a := u.args[0]
	v := c.operand(a)
	switch k := c.info.Consts[a]; {
	case !v.usable():
	case k != nil && k.Kind == ConstString:
		if _, ok := SignalNumber(k.Str); !ok {
			c.errorf(a.Span(), "there is no signal %s", k.Str).suggest(strings.TrimPrefix(strings.ToUpper(k.Str), "SIG"), signals[1:])
		}
	case !v.isInt():
		c.errorf(a.Span(), "%s takes the name or the number of a signal, not %s", u.Name, v.t)
	case k != nil && (k.Int < 1 || k.Int > 64):
		c.errorf(a.Span(), "there is no signal %d", int64(k.Int))
	}
	return of(types.TNone)
}

// compileTimeRows are functions whose value is known before the script runs.
func compileTimeRows() []Builtin {
	return []Builtin{
		{Name: "getopt", Usage: `getopt("name" [, default [, "help"]])`, Doc: "an option of the script: --name=value after --", Min: 1, Max: 3, value: getopt},
		{Name: "fail", Usage: `fail("message")`, Doc: "refuse to compile, if this is reached", Min: 1, Max: -1, value: fail},
		{Name: "static_assert", Usage: `static_assert(condition, "message")`, Doc: "refuse to compile, unless a condition holds", Min: 1, Max: 2, value: staticAssert},
		{Name: "is_str", Usage: "is_str(e)", Doc: "whether e is a text", Min: 1, Max: 1, value: asks(func(t *types.Type) bool { return t.Kind == types.String })},
		{Name: "is_ptr", Usage: "is_ptr(e)", Doc: "whether e is a pointer", Min: 1, Max: 1, value: asks(func(t *types.Type) bool { return t.Kind == types.Pointer || t.Kind == types.Context })},
		{Name: "is_array", Usage: "is_array(e)", Doc: "whether e is an array", Min: 1, Max: 1, value: asks(func(t *types.Type) bool { return t.Kind == types.Array })},
		{Name: "is_integer", Usage: "is_integer(e)", Doc: "whether e is an integer", Min: 1, Max: 1, value: asks(func(t *types.Type) bool { return t.Kind == types.Int })},
		{Name: "is_unsigned_integer", Usage: "is_unsigned_integer(e)", Doc: "whether e is an unsigned integer", Min: 1, Max: 1, value: asks(func(t *types.Type) bool { return t.Kind == types.Int && !t.Signed })},
		{Name: "is_literal", Usage: "is_literal(e)", Doc: "whether the value of e is known before the script runs", Min: 1, Max: 1, value: isLiteral},
		{Name: "kfunc_exist", Usage: `kfunc_exist("name")`, Doc: "whether programs may call a kernel function", Min: 1, Max: 1, value: kfuncExists},
		{Name: "kfunc_allowed", Usage: `kfunc_allowed("name")`, Doc: "whether this program may call a kernel function", Min: 1, Max: 1, value: kfuncExists},
	}
}

// getopt is a literal: what the command line says, or the default.
func getopt(c *checker, u *use) value {
	name, ok := c.literalText(u, u.args[0], "the name")
	var def *Const
	var defType *types.Type
	if len(u.args) > 1 {
		v := c.operand(u.args[1])
		if v.invalid() {
			return invalid
		}
		defType = v.t
		if def = c.info.Consts[u.args[1]]; def == nil {
			c.errorf(u.args[1].Span(), "the default of getopt has to stand there")
			return invalid
		}
	} else {
		def = &Const{Kind: ConstBool}
	}
	option := ScriptOption{Name: name}
	if len(u.args) > 2 {
		option.Help, _ = c.literalText(u, u.args[2], "the help")
	}
	if !ok {
		return invalid
	}
	given, isGiven := c.options.Named[name]
	switch def.Kind {
	case ConstBool:
		on := def.Int != 0
		option.Default = strconv.FormatBool(on)
		if isGiven {
			switch strings.ToLower(given) {
			case "", "true", "1":
				on = true
			case "false", "0":
				on = false
			default:
				c.errorf(u.at.Span(), "--%s is true or false, not %q", name, given)
			}
		}
		c.help(option)
		return c.setBool(u.at, on)
	case ConstInt:
		n, negative := def.Int, isNegative(defType, def)
		option.Default = strconv.FormatUint(n, 10)
		if negative {
			option.Default = strconv.FormatInt(int64(n), 10)
		}
		if isGiven {
			var err error
			if n, negative, err = parseNumber(given); err != nil {
				c.errorf(u.at.Span(), "--%s is a number, not %q", name, given)
			}
		}
		c.help(option)
		return c.setInt(u.at, n, negative)
	}
	option.Default = def.Str
	s := def.Str
	if isGiven {
		s = given
	}
	c.help(option)
	return c.setString(u.at, s)
}

func parseNumber(s string) (n uint64, negative bool, err error) {
	if strings.HasPrefix(s, "-") {
		i, err := strconv.ParseInt(s, 0, 64)
		return uint64(i), i < 0, err
	}
	n, err = strconv.ParseUint(s, 0, 64)
	return n, false, err
}

// help lists an option once.
func (c *checker) help(o ScriptOption) {
	if i := slices.IndexFunc(c.info.Help, func(h ScriptOption) bool { return h.Name == o.Name }); i >= 0 {
		if c.info.Help[i].Help == "" {
			c.info.Help[i].Help = o.Help
		}
		return
	}
	c.info.Help = append(c.info.Help, o)
}

func fail(c *checker, u *use) value {
	text, ok := c.literalText(u, u.args[0], "the message")
	var args []any
	for _, a := range u.args[1:] {
		c.operand(a)
		switch k := c.info.Consts[a]; {
		case k == nil:
			args = append(args, "?")
		case k.Kind == ConstString:
			args = append(args, k.Str)
		default:
			args = append(args, int64(k.Int))
		}
	}
	if ok {
		if len(args) > 0 {
			text = fmt.Sprintf(text, args...)
		}
		c.errorf(u.at.Span(), "%s", strings.ReplaceAll(text, "\n", " "))
	}
	return of(types.TNone)
}

func staticAssert(c *checker, u *use) value {
	text := "static_assert does not hold"
	if len(u.args) > 1 {
		if s, ok := c.literalText(u, u.args[1], "the message"); ok {
			text = s
		}
	}
	v := c.condition(u.args[0])
	switch k := c.info.Consts[u.args[0]]; {
	case !v.usable():
	case k == nil:
		c.errorf(u.args[0].Span(), "the value of this is not known before the script runs")
	case k.Int == 0:
		c.errorf(u.at.Span(), "%s", text)
	}
	return of(types.TNone)
}

// asks makes a function that answers a question about a type.
func asks(question func(*types.Type) bool) func(*checker, *use) value {
	return func(c *checker, u *use) value {
		v := c.expr(u.args[0])
		switch {
		case v.invalid():
			return invalid
		case !v.known():
			return of(types.TBool)
		}
		return c.setBool(u.at, question(v.t))
	}
}

func isLiteral(c *checker, u *use) value {
	if v := c.expr(u.args[0]); v.invalid() {
		return invalid
	}
	return c.setBool(u.at, c.info.Consts[u.args[0]] != nil)
}

func kfuncExists(c *checker, u *use) value {
	name, ok := c.literalText(u, u.args[0], "the name")
	if !ok {
		return of(types.TBool)
	}
	_, exists := c.target.Kfunc(name)
	return c.setBool(u.at, exists)
}

// laterRows are known, and not compiled yet.
func laterRows() []Builtin {
	later := []Builtin{
		{Name: "tseries", Usage: `tseries(n, interval, buckets [, "function"])`, Doc: "values over time", Max: -1},
		{Name: "path", Usage: "path(struct path [, n])", Doc: "a path as text", Max: -1},
		{Name: "skboutput", Usage: "skboutput(file, skb, length, offset)", Doc: "write a packet to a pcap file", Max: -1},
		{Name: "override", Usage: "override(value)", Doc: "let a function return at once", Max: -1, Unsafe: true},
		{Name: "write_user", Usage: "write_user(to, from, length)", Doc: "write memory of the process", Max: -1, Unsafe: true},
		{Name: "socket_cookie", Usage: "socket_cookie(sk)", Doc: "cookie of a socket", Max: -1},
		{Name: "dw_ustack", Usage: "dw_ustack", Doc: "user stack by unwind tables", Max: -1, Bare: true},
		{Name: "debugf", Usage: `debugf("format", ...)`, Doc: "print to the kernel's trace pipe", Max: -1},
		{Name: "unwatch", Usage: "unwatch(address)", Doc: "remove a watchpoint", Max: -1},
		{Name: "percpu_kaddr", Usage: `percpu_kaddr("symbol" [, cpu])`, Doc: "address of a per-CPU variable", Max: -1},
		{Name: "find", Usage: "find(@x, key, $v)", Doc: "look up a key", Max: -1},
		{Name: "str_concat", Usage: "str_concat(a, b)", Doc: "two texts as one", Max: -1},
		{Name: "memcmp", Usage: "memcmp(a, b, n)", Doc: "compare bytes", Max: -1},
		{Name: "config", Usage: "config.name", Doc: "the settings", Bare: true},
	}
	for i := range later {
		later[i].Todo = true
	}
	return later
}

// call is a call of a function.
func (c *checker) call(e *syntax.Call, target *mapState) value {
	b := builtinOf(e.Func)
	if b == nil {
		c.evalAll(e.Args)
		at := e.Name
		if at == (syntax.Span{}) {
			at = e.Span()
		}
		names := builtinNames(false, true)
		for n := range c.macros {
			names = append(names, n)
		}
		c.errorf(at, "there is no function %s", e.Func).suggest(e.Func, names)
		return invalid
	}
	return c.builtin(b, e, e.Args, target)
}
