package check

import (
	"net/netip"

	"sonde/internal/compile/types"
)

// tableText is the type of names out of a table: of errors, signals and system calls.
var tableText = types.StringOf(64)

// textRows are functions on texts.
func textRows() []Builtin {
	return []Builtin{
		{Name: "strlen", Usage: "strlen(s)", Doc: "length of a text", Min: 1, Max: 1, value: ofTexts(1, types.TUint64)},
		{Name: "strcap", Usage: "strcap(s)", Doc: "how many bytes there are for a text", Min: 1, Max: 1, value: capacity},
		{Name: "strncmp", Usage: "strncmp(a, b, n)", Doc: "0 if two texts begin with the same n bytes, else 1", Min: 3, Max: 3, value: compareStart},
		{Name: "strcontains", Usage: "strcontains(s, part)", Doc: "whether a text contains another", Min: 2, Max: 2, value: ofTexts(2, types.TBool)},
		{Name: "strstr", Usage: "strstr(s, part)", Doc: "where a text contains another, or -1", Min: 2, Max: 2, value: ofTexts(2, types.TInt64)},
		{Name: "strerror", Usage: "strerror(errno)", Doc: "text of an error number", Min: 1, Max: 1, value: fromTable},
		{Name: "signal_name", Usage: "signal_name(n)", Doc: "name of a signal", Min: 1, Max: 1, value: fromTable},
		{Name: "syscall_name", Usage: "syscall_name(n)", Doc: "name of a system call", Min: 1, Max: 1, value: fromTable},
		{Name: "pton", Usage: `pton("address")`, Doc: "an IP address as bytes", Min: 1, Max: 1, value: pton},
	}
}

// ofTexts checks that the first n arguments are texts.
func ofTexts(n int, t *types.Type) func(*checker, *use) value {
	return func(c *checker, u *use) value {
		ok := true
		for _, a := range u.args[:n] {
			v := c.operand(a)
			if v.usable() && !v.isKind(types.String) {
				p := c.errorf(a.Span(), "%s takes a text, not %s", u.Name, v.t)
				if v.isPointer() || v.isInt() {
					p.hint("str() reads the text at an address")
				}
			}
			ok = ok && v.usable()
		}
		if !ok {
			return of(t)
		}
		return of(t)
	}
}

func capacity(c *checker, u *use) value {
	v := c.operand(u.args[0])
	switch {
	case !v.usable():
		return v
	case !v.isKind(types.String):
		c.errorf(u.args[0].Span(), "strcap takes a text, not %s", v.t)
		return invalid
	}
	return c.setInt(u.at, uint64(v.t.Size), false)
}

func compareStart(c *checker, u *use) value {
	v := ofTexts(2, types.TUint64)(c, u)
	n, ok := c.literalNumber(u, u.args[2], "length")
	if ok && n < 0 {
		c.errorf(u.args[2].Span(), "the length of strncmp cannot be negative")
	}
	return v
}

func fromTable(c *checker, u *use) value {
	v := c.operand(u.args[0])
	if v.usable() && !v.isInt() {
		c.errorf(u.args[0].Span(), "%s takes a number, not %s", u.Name, v.t)
		return invalid
	}
	return of(tableText)
}

func pton(c *checker, u *use) value {
	s, ok := c.literalText(u, u.args[0], "the address")
	if !ok {
		return invalid
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Zone() != "":
		c.errorf(u.args[0].Span(), "%q is no IP address", s)
		return invalid
	case a.Is4():
		return of(types.ArrayOf(types.TUint8, 4))
	}
	return of(types.ArrayOf(types.TUint8, 16))
}
