package check

import (
	"strconv"

	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// memoryRows are functions that read memory, and those about addresses.
func memoryRows() []Builtin {
	return []Builtin{
		{Name: "str", Usage: "str(p [, n])", Doc: "the text at an address", Min: 1, Max: 2, value: text},
		{Name: "buf", Usage: "buf(p [, n])", Doc: "bytes at an address", Min: 1, Max: 2, value: buffer},
		{Name: "ksym", Usage: "ksym(address)", Doc: "name of a kernel address", Min: 1, Max: 1, value: symbol(typeKSym)},
		{Name: "usym", Usage: "usym(address)", Doc: "name of an address of the process", Min: 1, Max: 1, value: symbol(typeUSym)},
		{Name: "kaddr", Usage: `kaddr("symbol")`, Doc: "address of a kernel symbol", Min: 1, Max: 1, value: kernelAddress},
		{Name: "uaddr", Usage: `uaddr("symbol")`, Doc: "address of a symbol of the process", Min: 1, Max: 1, Probes: userProbes, value: userAddress},
		{Name: "reg", Usage: `reg("ip")`, Doc: "a register", Min: 1, Max: 1, Probes: registerProbes, Context: true, value: register},
		{Name: "kptr", Usage: "kptr(p)", Doc: "p as a pointer into the kernel", Min: 1, Max: 1, value: inSpace(types.SpaceKernel)},
		{Name: "uptr", Usage: "uptr(p)", Doc: "p as a pointer into the process", Min: 1, Max: 1, value: inSpace(types.SpaceUser)},
		{Name: "ntop", Usage: "ntop([family,] address)", Doc: "an IP address as text", Min: 1, Max: 2, value: ntop},
		{Name: "macaddr", Usage: "macaddr(p)", Doc: "a MAC address as text", Min: 1, Max: 1, value: macAddress},
		{Name: "bswap", Usage: "bswap(n)", Doc: "the bytes of a number in the other order", Min: 1, Max: 1, value: swapped},
	}
}

// size reads the optional length of str and buf: 0 if it is not known now.
func (c *checker) size(u *use) (n int, ok bool) {
	if len(u.args) < 2 {
		return 0, true
	}
	v := c.operand(u.args[1])
	switch {
	case !v.usable():
		return 0, !v.invalid()
	case !v.isInt():
		c.errorf(u.args[1].Span(), "the length of %s is a number, not %s", u.Name, v.t)
		return 0, false
	}
	k := c.info.Consts[u.args[1]]
	switch {
	case k == nil || k.Kind != ConstInt:
		return 0, true
	case isNegative(v.t, k):
		c.errorf(u.args[1].Span(), "the length of %s cannot be negative", u.Name)
		return 0, false
	}
	return int(min(k.Int, maxStrlen)), true
}

func text(c *checker, u *use) value {
	v := c.operand(u.args[0])
	n, ok := c.size(u)
	limit := c.info.Config.MaxStrlen
	switch {
	case !ok || v.invalid():
		return invalid
	case !v.known():
		return unknown
	}
	if k := c.info.Consts[u.args[0]]; k != nil && k.Kind == ConstString {
		s := k.Str
		if len(u.args) == 1 {
			return c.setString(u.at, s)
		}
		if nk := c.info.Consts[u.args[1]]; nk != nil {
			return c.setString(u.at, s[:min(n, len(s))])
		}
	}
	if _, isLiteral := u.args[0].(*syntax.IntLit); isLiteral {
		// As with a parameter: str($1) is its text, also where that is a number.
		s := strconv.FormatUint(c.info.Consts[u.args[0]].Int, 10)
		if len(u.args) == 1 {
			return c.setString(u.at, s)
		}
		if nk := c.info.Consts[u.args[1]]; nk != nil {
			return c.setString(u.at, s[:min(n, len(s))])
		}
	}
	size := limit
	if len(u.args) > 1 && c.info.Consts[u.args[1]] != nil {
		if size = min(n+1, limit); n+1 > limit {
			c.warnf("length", u.args[1].Span(), "str reads %d bytes at most: max_strlen", limit)
		}
	}
	switch {
	case v.isKind(types.String):
		return of(types.StringOf(min(v.t.Size+1, max(size, 1))))
	case v.isKind(types.Array):
		if v.t.Elem.Size != 1 {
			c.errorf(u.args[0].Span(), "str takes an array of bytes, not %s", v.t)
			return invalid
		}
		if v.t.Len > 0 {
			size = min(size, v.t.Len+1)
		}
		return of(types.StringOf(max(size, 1)))
	case v.isInt(), v.isPointer():
		return of(types.StringOf(max(size, 1)))
	}
	c.errorf(u.args[0].Span(), "str takes an address or an array of bytes, not %s", v.t)
	return invalid
}

func buffer(c *checker, u *use) value {
	v := c.operand(u.args[0])
	n, ok := c.size(u)
	limit := max(c.info.Config.MaxStrlen-4, 1)
	switch {
	case !ok || v.invalid():
		return invalid
	case !v.known():
		return unknown
	}
	size := limit
	if len(u.args) > 1 && c.info.Consts[u.args[1]] != nil {
		if size = min(n, limit); n > limit {
			c.warnf("length", u.args[1].Span(), "buf reads %d bytes at most: max_strlen less 4", limit)
		}
	}
	switch {
	case v.isKind(types.Array):
		if !v.t.Elem.IsInt() {
			c.errorf(u.args[0].Span(), "buf takes an array of integers, not %s", v.t)
			return invalid
		}
		if v.t.Size > 0 {
			size = min(size, v.t.Size)
		}
	case v.isKind(types.String, types.Struct):
		size = min(size, v.t.Size)
	case v.isInt(), v.isPointer():
		if len(u.args) == 1 {
			c.errorf(u.at.Span(), "buf needs a length here").hint("as in buf(p, 64)")
			return invalid
		}
	default:
		c.errorf(u.args[0].Span(), "buf takes an address or an array, not %s", v.t)
		return invalid
	}
	return of(bufferOf(max(size, 1)))
}

// symbol is ksym and usym.
func symbol(t *types.Type) func(*checker, *use) value {
	return func(c *checker, u *use) value {
		v := c.operand(u.args[0])
		if v.usable() && !v.isInt() && !v.isPointer() && !v.isKind(types.KSym, types.USym) {
			c.errorf(u.args[0].Span(), "%s takes an address, not %s", u.Name, v.t)
			return invalid
		}
		return of(t)
	}
}

func kernelAddress(c *checker, u *use) value {
	name, ok := c.literalText(u, u.args[0], "the symbol")
	if !ok {
		return of(types.TUint64)
	}
	address, ok := c.target.Symbol(name)
	if !ok {
		c.errorf(u.args[0].Span(), "the kernel shows no symbol %s", name).hint("the names are in /proc/kallsyms")
		return of(types.TUint64)
	}
	c.info.Consts[u.at] = &Const{Kind: ConstInt, Int: address}
	return of(types.TUint64)
}

// userAddress is uaddr: a pointer to an integer of the symbol's size.
func userAddress(c *checker, u *use) value {
	name, ok := c.literalText(u, u.args[0], "the symbol")
	elem := types.TInt64
	if ok && c.prog != nil {
		for i, pt := range c.prog.Points {
			symbol, found := c.target.Address(pt.Group, name)
			switch {
			case !found:
				c.errorf(u.args[0].Span(), "%s has no symbol %s", pt.Group, name)
				return invalid
			case i == 0 && (symbol.Size == 1 || symbol.Size == 2 || symbol.Size == 4):
				elem = types.IntOf(int(symbol.Size), true)
			}
		}
	}
	return of(types.PointerTo(elem, types.SpaceUser))
}

// registers of the machines, by the names the language has for them.
var registers = map[string][]string{
	"amd64": {"r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_rax", "ip", "cs", "flags", "sp", "ss"},
	"arm64": {
		"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "r16", "r17", "r18", "r19",
		"r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30", "sp", "pc", "pstate",
	},
}

func register(c *checker, u *use) value {
	name, ok := c.literalText(u, u.args[0], "the name")
	if ok {
		names := registers[c.target.Machine()]
		found := name == "pc" || name == "ip" || name == "fp" || name == "lr"
		for _, n := range names {
			found = found || n == name
		}
		if !found {
			c.errorf(u.args[0].Span(), "this machine has no register %s", name).suggest(name, names)
			return invalid
		}
	}
	return of(types.TUint64)
}

// inSpace is kptr and uptr.
func inSpace(space types.Space) func(*checker, *use) value {
	return func(c *checker, u *use) value {
		v := c.operand(u.args[0])
		switch {
		case !v.usable():
			return v
		case v.isPointer():
			t := types.PointerTo(v.t.Elem, space)
			t.Trusted = v.t.Trusted && space == v.t.Space
			return of(t)
		case v.isInt():
			return of(types.PointerTo(types.TUint64, space))
		}
		c.errorf(u.args[0].Span(), "%s takes an address, not %s", u.Name, v.t)
		return invalid
	}
}

func ntop(c *checker, u *use) value {
	address := u.args[len(u.args)-1]
	if len(u.args) == 2 {
		if v := c.operand(u.args[0]); v.usable() && !v.isInt() {
			c.errorf(u.args[0].Span(), "the family of ntop is a number, not %s", v.t)
			return invalid
		}
	}
	v := c.operand(address)
	switch {
	case !v.usable():
		return v
	case v.isInt():
	case v.isKind(types.Array, types.String, types.Struct) && (v.t.Size == 4 || v.t.Size == 16):
	case v.isPointer():
	default:
		c.errorf(address.Span(), "ntop takes an address as a number, or as 4 or 16 bytes, not %s", v.t)
		return invalid
	}
	return of(typeInet)
}

func macAddress(c *checker, u *use) value {
	v := c.operand(u.args[0])
	switch {
	case !v.usable():
		return v
	case v.isPointer(), v.isInt():
	case v.isKind(types.Array, types.String) && (v.t.Size >= 6 || v.t.Size == 0):
	default:
		c.errorf(u.args[0].Span(), "macaddr takes 6 bytes, not %s", v.t)
		return invalid
	}
	return of(typeMAC)
}

func swapped(c *checker, u *use) value {
	v := c.operand(u.args[0])
	switch {
	case !v.usable():
		return v
	case !v.isKind(types.Int):
		c.errorf(u.args[0].Span(), "bswap takes an integer, not %s", v.t)
		return invalid
	}
	return of(types.IntOf(v.t.Size, false))
}
