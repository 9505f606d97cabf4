package compile

import (
	"net/netip"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// call is the value of a function.
func (f *fn) call(c *syntax.Call) value {
	if v, ok := f.mapCall(c); ok {
		return v
	}
	if f.emitCall(c) {
		return value{t: types.TNone}
	}
	if c.Func == "static_assert" { // the checker has seen to it
		return value{t: types.TNone}
	}
	t := f.typeOf(c)
	if t == nil {
		t = types.TNone
	}
	if lower, ok := numberCalls[c.Func]; ok {
		return lower(f, c, t)
	}
	if !t.InRegister() && t.Kind != types.None {
		m := f.alloc(max(t.Size, 1), t.Align(), c.Func)
		if f.callTo(c, m, t) {
			return value{t: t, m: m}
		}
	}
	if len(c.Args) == 0 || contextCalls[c.Func] {
		return f.builtin(c, c.Func)
	}
	f.refuse(c, c.Func+" is not compiled yet", "")
	return f.nothing(t)
}

// contextCalls are builtin variables that may be given an argument.
var contextCalls = map[string]bool{"pid": true, "tid": true}

// numberCalls are functions whose value is a number or pointer, or that have none.
var numberCalls map[string]func(*fn, *syntax.Call, *types.Type) value

func init() {
	numberCalls = map[string]func(*fn, *syntax.Call, *types.Type) value{
		"kptr":    (*fn).sameAddress,
		"uptr":    (*fn).sameAddress,
		"ksym":    (*fn).sameAddress,
		"kaddr":   (*fn).kernelAddress,
		"uaddr":   (*fn).userAddress,
		"bswap":   (*fn).swapBytes,
		"reg":     func(f *fn, c *syntax.Call, _ *types.Type) value { return f.reg(c) },
		"len":     (*fn).stackLength,
		"strlen":  (*fn).strlen,
		"strncmp": func(f *fn, c *syntax.Call, _ *types.Type) value { return f.strncmp(c) },
		"strstr":  func(f *fn, c *syntax.Call, t *types.Type) value { return value{t: t, v: f.strstr(c)} },
		"strcontains": func(f *fn, c *syntax.Call, t *types.Type) value {
			return value{t: t, v: f.CmpImm(ir.Ne, f.strstr(c), -1)}
		},
		"nsecs":         (*fn).clock,
		"signal":        func(f *fn, c *syntax.Call, _ *types.Type) value { return f.signal(c, fnSendSignal) },
		"signal_thread": func(f *fn, c *syntax.Call, _ *types.Type) value { return f.signal(c, fnSendSignalThread) },
	}
}

func (f *fn) sameAddress(c *syntax.Call, t *types.Type) value {
	v := f.expr(c.Args[0])
	if !v.t.InRegister() {
		v.v = f.load(v.m, 8, false) // of a symbol
	}
	return value{t: t, v: v.v, trusted: v.trusted && t.Kind == types.Pointer && v.t.Kind == types.Pointer && types.Equal(t.Elem, v.t.Elem)}
}

func (f *fn) kernelAddress(c *syntax.Call, t *types.Type) value {
	if name := f.constOf(c.Args[0]); name != nil {
		if addr, ok := f.t.Symbol(name.Str); ok {
			return value{t: t, v: f.Const(int64(addr))}
		}
	}
	f.refuse(c, "the kernel shows no such symbol", "")
	return f.nothing(t)
}

// userAddress is uaddr: where a symbol of the probed file is in this process. Of the function that is probed the address is
// known, in the process and in the file.
func (f *fn) userAddress(c *syntax.Call, t *types.Type) value {
	name := f.constOf(c.Args[0])
	if f.point == nil || !f.userProbe() || name == nil || !f.hasRegisters() {
		f.refuse(c, "uaddr needs a uprobe", "")
		return f.nothing(t)
	}
	to, ok := f.t.Address(f.point.Group, name.Str)
	if !ok {
		f.refuse(c.Args[0], f.point.Group+" has no symbol "+name.Str, "")
		return f.nothing(t)
	}
	from, ok := f.pointAddress()
	if !ok {
		f.refuse(c, f.point.Group+" has no symbol "+f.point.Name, "")
		return f.nothing(t)
	}
	return value{t: t, v: f.BinImm(ir.OpAdd, f.functionAddress(c), int64(to.Address-from))}
}

// pointAddress is the address, in its file, of what the uprobe is on.
func (f *fn) pointAddress() (addr uint64, ok bool) {
	if f.point.Address != 0 {
		return f.point.Address, true
	}
	list, _ := f.t.Functions(f.point.Group, f.point.Name)
	for _, s := range list {
		if s.Offset+f.point.Offset == f.point.FileOff {
			return s.Address + f.point.Offset, true
		}
	}
	return 0, false
}

func (f *fn) swapBytes(c *syntax.Call, t *types.Type) value {
	v := f.expr(c.Args[0])
	size := v.t.Size
	if size == 1 {
		return value{t: t, v: f.convert(v, t)}
	}
	if size != 2 && size != 4 {
		size = 8
	}
	return value{t: t, v: f.convert(value{t: types.IntOf(size, false), v: f.Swap(v.v, size)}, t)}
}

// stackLength is len(kstack).
func (f *fn) stackLength(c *syntax.Call, t *types.Type) value {
	v := f.expr(c.Args[0])
	switch v.t.Kind {
	case types.KStack:
		return value{t: t, v: f.load(v.m, 8, false)}
	case types.UStack:
		return value{t: t, v: f.load(v.m.at(8), 8, false)}
	}
	return value{t: t, v: f.Const(int64(max(v.t.Len, len(v.t.Fields))))}
}

func (f *fn) strlen(c *syntax.Call, t *types.Type) value {
	if text, ok := f.textOf(c.Args[0]); ok {
		return value{t: t, v: f.Const(int64(len(text)))}
	}
	size := max(f.typeOf(c.Args[0]).Size, 1) + 1 // an array may be full, and without a NUL
	m := f.alloc(size, 8, "string")
	n := f.strTo(c.Args[0], m, size)
	if in, ok := c.Args[0].(*syntax.Call); !ok || in.Func != "str" {
		// What was copied as it lay may have its end further to the front.
		n = f.readStr(f.alloc(size, 8, "string"), f.addr(m), size, types.SpaceKernel)
	}
	result := f.Func.NewVar()
	f.Set(result, f.Const(0))
	some, next := f.Func.NewBlock("some"), f.Func.NewBlock("strlen")
	f.BranchImm(ir.SGt, n, 0, some, next)
	f.Goto(some)
	f.Set(result, f.BinImm(ir.OpSub, n, 1))
	f.Jump(next)
	f.Goto(next)
	return value{t: t, v: result}
}

// clock is nsecs(mode).
func (f *fn) clock(c *syntax.Call, t *types.Type) value {
	mode := "boot"
	if len(c.Args) > 0 {
		if id, ok := c.Args[0].(*syntax.Ident); ok {
			mode = id.Name
		}
	}
	if mode == "sw_tai" {
		// The clock that the kernel has for it, or what it is made of elsewhere: the offset is not known here.
		mode = "tai"
	}
	if mode == "tai" && !f.helper(fnKtimeTAINS) {
		f.refuse(c, "this kernel's programs cannot read the clock TAI", "Linux 6.1 and later can")
		return f.nothing(t)
	}
	return value{t: t, v: f.nsecs(mode)}
}

func (f *fn) signal(c *syntax.Call, helper int) value {
	var n ir.Value
	if k := f.constOf(c.Args[0]); k != nil && k.Kind == check.ConstString {
		number, _ := check.SignalNumber(k.Str)
		n = f.Const(int64(number))
	} else {
		n = f.number(f.expr(c.Args[0]))
	}
	ret := f.Call(helper, n)
	if f.opt.Warnings {
		f.checkRead(c, helper, "send_signal", ret)
	}
	return value{t: types.TNone}
}

// callTo writes the value of a function that is no number at dst; false if c is none.
func (f *fn) callTo(c *syntax.Call, dst mem, t *types.Type) bool {
	switch c.Func {
	case "str":
		if t.Kind != types.String || f.typeOf(c).Kind != types.String {
			return false
		}
		f.zeroAt(dst, t.Size)
		f.strCall(c, dst, t.Size)
	case "buf":
		f.bufTo(c, dst, t)
	case "usym":
		f.userSymbolTo(c, dst, f.sameAddress(c, types.TUint64).v, types.USymAddress)
	case "ntop":
		f.ntopTo(c, dst)
	case "pton":
		f.ptonTo(c, dst, t)
	case "macaddr":
		p, space := f.source(c.Args[0])
		f.probeRead(dst, 6, p, space, c)
		f.zeroAt(dst.at(6), t.Size-6)
	case "strftime":
		f.stampTo(c, dst, c.Args[1], c.Args[0])
	case "cgroup_path":
		var filter syntax.Expr
		if len(c.Args) > 1 {
			filter = c.Args[1]
		}
		f.stampTo(c, dst, c.Args[0], filter)
	case "strerror", "signal_name", "syscall_name":
		f.tableTo(c, dst, t)
	case "kstack", "ustack", "comm", "probe", "probetype", "args", "func":
		return f.builtinTo(c, c.Func, dst, t)
	default:
		return false
	}
	return true
}

// bufTo is buf(p[, n]): the length, then the bytes, zeroes behind them.
func (f *fn) bufTo(c *syntax.Call, dst mem, t *types.Type) {
	room := t.Size - 4
	p, space := f.source(c.Args[0])
	n := room
	if at := f.typeOf(c.Args[0]); !at.InRegister() {
		n = min(n, at.Size)
	}
	if len(c.Args) > 1 {
		k := f.constOf(c.Args[1])
		if k == nil {
			f.zeroAt(dst, t.Size)
			want := f.Min(f.number(f.expr(c.Args[1])), int64(room))
			f.store(dst, 4, want)
			helper, name := f.readHelper(space)
			ret := f.CallClamped(helper, []ir.Clamp{{Arg: 1, Max: int64(room)}}, f.addr(dst.at(4)), want, p)
			f.checkRead(c, helper, name, ret)
			return
		}
		n = int(min(k.Int, uint64(n)))
	}
	f.storeImm(dst, 4, int64(n))
	f.probeRead(dst.at(4), n, p, space, c)
	f.zeroAt(dst.at(4+n), room-n)
}

// Address families.
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// ntopTo is ntop([family,] address): the family, then 16 bytes.
func (f *fn) ntopTo(c *syntax.Call, dst mem) {
	addr := c.Args[len(c.Args)-1]
	at := f.typeOf(addr)
	size := at.Size
	if at.Kind == types.Pointer && at.Elem != nil {
		size = at.Elem.Size
	}
	family := int64(familyIPv4)
	if size >= 16 {
		family = familyIPv6
	}
	if len(c.Args) > 1 {
		f.store(dst, 8, f.number(f.expr(c.Args[0])))
	} else {
		f.storeImm(dst, 8, family)
	}
	f.zeroAt(dst.at(8), 16)
	switch {
	case at.IsInt():
		f.store(dst.at(8), min(at.Size, 8), f.expr(addr).v)
	case at.Kind == types.Pointer:
		p, space := f.source(addr)
		f.probeRead(dst.at(8), min(max(size, 4), 16), p, space, c)
	default:
		n := min(at.Size, 16)
		if n > 4 && n < 16 {
			n = 4
		}
		f.fetchTo(f.locate(addr), dst.at(8), types.ArrayOf(types.TUint8, n))
	}
}

func (f *fn) ptonTo(c *syntax.Call, dst mem, t *types.Type) {
	f.zeroAt(dst, t.Size)
	k := f.constOf(c.Args[0])
	if k == nil {
		return
	}
	a, err := netip.ParseAddr(k.Str)
	if err != nil {
		return
	}
	for i, b := range a.AsSlice() {
		if i < t.Size {
			f.storeImm(dst.at(i), 1, int64(b))
		}
	}
}

// stampTo writes a number that user space shows by a text of the script: a time and its format, a cgroup and a filter.
func (f *fn) stampTo(c *syntax.Call, dst mem, number, text syntax.Expr) {
	f.store(dst, 8, f.number(f.expr(number)))
	s := ""
	if text != nil {
		if k := f.constOf(text); k != nil {
			s = k.Str
		}
	}
	f.storeImm(dst.at(8), 8, int64(f.format(s)))
}

// format is the number of a text in Program.Formats.
func (l *lowerer) format(text string) int {
	if n, ok := l.formats[text]; ok {
		return n
	}
	if l.formats == nil {
		l.formats = map[string]int{}
	}
	n := len(l.out.Formats)
	l.out.Formats = append(l.out.Formats, text)
	l.formats[text] = n
	return n
}
