package check

import (
	"errors"
	"strings"

	"sonde/internal/compile/format"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// outputRows are functions that send something to the running script.
func outputRows() []Builtin {
	return []Builtin{
		{Name: "printf", Usage: `printf("format", ...)`, Doc: "print formatted", Min: 1, Max: -1, value: formatted},
		{Name: "errorf", Usage: `errorf("format", ...)`, Doc: "print an error with its place in the script", Min: 1, Max: -1, value: formatted},
		{Name: "warnf", Usage: `warnf("format", ...)`, Doc: "print a warning with its place in the script", Min: 1, Max: -1, value: formatted},
		{Name: "print", Usage: "print(value), print(@x [, top [, div]])", Doc: "print a value, or a map", Min: 1, Max: 3, value: printed},
		{Name: "exit", Usage: "exit([code])", Doc: "end the script", Max: 1, value: exit},
		{Name: "time", Usage: `time(["format"])`, Doc: "print the time of day", Max: 1, value: timeOfDay},
		{Name: "strftime", Usage: `strftime("format", nsecs)`, Doc: "a time as text", Min: 2, Max: 2, value: strftime},
		{Name: "join", Usage: `join(argv [, "separator"])`, Doc: "print an array of strings", Min: 1, Max: 2, value: join},
		{Name: "cat", Usage: `cat("format", ...)`, Doc: "print a file", Min: 1, Max: -1, value: formatted},
		{Name: "system", Usage: `system("format", ...)`, Doc: "run a shell command", Min: 1, Max: -1, Unsafe: true, value: formatted},
	}
}

// maxFormatArgs is how many values one printf can print.
const maxFormatArgs = 127

// literalText is an argument that has to be a text that stands there.
func (c *checker) literalText(u *use, e syntax.Expr, what string) (string, bool) {
	v := c.expr(e)
	if k := c.info.Consts[e]; k != nil && k.Kind == ConstString {
		return k.Str, true
	}
	if v.known() && !v.invalid() {
		c.errorf(e.Span(), "%s of %s has to be a text that stands there", what, u.Name).hint("as in %s", u.Usage)
	}
	return "", false
}

// formatted checks the arguments of printf and its like against the format.
func formatted(c *checker, u *use) value {
	text, ok := c.literalText(u, u.args[0], "the format")
	args := u.args[1:]
	values := make([]value, len(args))
	for i, a := range args {
		values[i] = c.operand(a)
	}
	if !ok {
		return of(types.TNone)
	}
	if len(args) > maxFormatArgs {
		c.errorf(u.at.Span(), "%s takes up to %d values, not %d", u.Name, maxFormatArgs, len(args))
		return of(types.TNone)
	}
	items, err := format.Parse(text)
	if err != nil {
		c.formatError(u.args[0], err)
		return of(types.TNone)
	}
	n := 0
	for _, it := range items {
		if it.Verb == "" {
			continue
		}
		if n < len(values) {
			c.conversion(args[n], values[n], it.Verb)
		}
		n++
	}
	if n != len(values) {
		c.errorf(u.at.Span(), "the format has %s, but there %s %s", plural(n, "conversion"), isAre(len(values)), plural(len(values), "value")).
			hint("%%%% prints a percent sign")
	}
	return of(types.TNone)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// formatError tells what is wrong with a format, pointing into it where the source shows it byte by byte.
func (c *checker) formatError(e syntax.Expr, err error) {
	at := e.Span()
	var fe *format.Error
	if lit, ok := e.(*syntax.StringLit); ok && errors.As(err, &fe) {
		if int(at.End-at.Start) == len(lit.Value)+2 {
			at.Start += syntax.Pos(fe.Offset) + 1
			at.End = at.Start + 1
		}
	}
	c.errorf(at, "%v", err)
}

// conversion checks one value against its conversion.
func (c *checker) conversion(e syntax.Expr, v value, verb string) {
	if !v.usable() {
		return
	}
	number := v.t.IsInt() || v.t.Kind == types.Pointer || v.t.Kind == types.Context || v.t.Kind == types.Username
	var ok bool
	var wants string
	switch verb {
	case "s":
		ok, wants = printable(v.t), "a value"
		c.wholeArgs(e)
	case "r", "rx", "rh":
		ok, wants = v.t.Kind == types.Buffer, "a buffer: buf()"
	case "p":
		ok, wants = number || v.t.Kind == types.KSym, "an address"
	default:
		ok, wants = number || v.t.Kind == types.KSym, "a number"
	}
	if !ok {
		p := c.errorf(e.Span(), "%%%s takes %s, not %s", verb, wants, v.t)
		if printable(v.t) {
			p.hint("%%s prints it")
		}
	}
}

// wholeArgs notes that all of args is printed, not one of its fields.
func (c *checker) wholeArgs(e syntax.Expr) {
	if c.isArgs(e) {
		c.note("args_whole")
	}
}

// printable says whether a value has a text form.
func printable(t *types.Type) bool {
	switch t.Kind {
	case types.None, types.Context, types.Invalid:
		return false
	case types.Array:
		return printable(t.Elem)
	case types.Tuple, types.Record:
		for _, f := range t.Fields {
			if !printable(f.Type) {
				return false
			}
		}
	}
	return true
}

// printed is print().
func printed(c *checker, u *use) value {
	done := of(types.TNone)
	ref, isMap := u.args[0].(*syntax.MapRef)
	if !isMap || ref.Key != nil {
		v := c.operand(u.args[0])
		if isMap && v.invalid() {
			return done
		}
		if v.usable() && !printable(v.t) {
			c.errorf(u.args[0].Span(), "%s cannot be printed", v.t)
		}
		c.wholeArgs(u.args[0])
		c.evalAll(u.args[1:])
		if len(u.args) > 1 {
			c.errorf(u.args[1].Span(), "only a map can be printed in part").hint("as in print(@x, 10)")
		}
		return done
	}
	m := c.mapArgument(ref, "print")
	if m != nil {
		m.Printed = true
	}
	for i, a := range u.args[1:] {
		v := c.operand(a)
		k := c.info.Consts[a]
		what := [...]string{"top", "divisor"}[i]
		switch {
		case !v.usable():
		case !v.isInt():
			c.errorf(a.Span(), "the %s of print is a number, not %s", what, v.t)
		case k == nil:
			c.errorf(a.Span(), "the %s of print is a number that stands there", what)
		case i == 0 && int64(k.Int) < 0:
			c.errorf(a.Span(), "print cannot show %d entries", int64(k.Int))
		}
	}
	return done
}

func exit(c *checker, u *use) value {
	for _, a := range u.args {
		if v := c.operand(a); v.usable() && !v.isInt() {
			c.errorf(a.Span(), "the exit code is a number, not %s", v.t)
		}
		if k := c.info.Consts[a]; k != nil && k.Int > 255 {
			c.errorf(a.Span(), "the exit code is from 0 to 255, not %d", int64(k.Int))
		}
	}
	if c.callbacks > 0 {
		c.errorf(u.at.Span(), "exit cannot be used in a loop over a map").hint("set a variable, and call exit after the loop")
	}
	return of(types.TNone)
}

// maxTimeFormat is how long the format of time() can be.
const maxTimeFormat = 64

func timeOfDay(c *checker, u *use) value {
	for _, a := range u.args {
		if text, ok := c.literalText(u, a, "the format"); ok && len(text) > maxTimeFormat {
			c.errorf(a.Span(), "the format of time is longer than %d bytes", maxTimeFormat)
		}
	}
	return of(types.TNone)
}

func strftime(c *checker, u *use) value {
	c.literalText(u, u.args[0], "the format")
	v := c.operand(u.args[1])
	switch {
	case v.usable() && !v.isInt():
		c.errorf(u.args[1].Span(), "the time of strftime is a number of nanoseconds, not %s", v.t)
	default:
		if call, ok := u.args[1].(*syntax.Call); ok && call.Func == "nsecs" && len(call.Args) == 1 {
			if id, ok := call.Args[0].(*syntax.Ident); ok && id.Name != "boot" {
				c.errorf(u.args[1].Span(), "strftime takes the nanoseconds of nsecs, not those of the %s clock", id.Name)
			}
		}
	}
	return of(typeTimestamp)
}

func join(c *checker, u *use) value {
	v := c.operand(u.args[0])
	if v.usable() && !v.isInt() && !v.isPointer() {
		c.errorf(u.args[0].Span(), "join takes a pointer to pointers to text, not %s", v.t)
	}
	if len(u.args) > 1 {
		if text, ok := c.literalText(u, u.args[1], "the separator"); ok && strings.ContainsRune(text, 0) {
			c.errorf(u.args[1].Span(), "the separator of join has a zero byte in it")
		}
	}
	return of(types.TNone)
}
