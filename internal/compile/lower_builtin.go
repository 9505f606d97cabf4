package compile

import (
	"math/bits"
	"strconv"
	"strings"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// commSize is the size of a task's name in the kernel.
const commSize = 16

// builtin is the value of a builtin variable.
func (f *fn) builtin(e syntax.Expr, name string) value {
	t := f.typeOf(e)
	if t == nil {
		return f.nothing(nil)
	}
	if n, ok := argNumber(name); ok {
		return f.argument(e, n)
	}
	if !t.InRegister() {
		m := f.alloc(max(t.Size, 1), t.Align(), name)
		if f.builtinTo(e, name, m, t) {
			return value{t: t, m: m}
		}
		f.refuse(e, name+" is not compiled yet", "")
		return f.nothing(t)
	}
	v, isTyped := f.builtinNumber(e, name)
	if v == 0 {
		f.refuse(e, name+" is not compiled yet", "")
		return f.nothing(t)
	}
	return value{t: t, v: v, trusted: isTyped}
}

// argNumber is the N of argN.
func argNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "arg")
	if !ok || digits == "" {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// builtinNumber is a builtin that is a number or pointer; 0 if there is none of that name.
func (f *fn) builtinNumber(e syntax.Expr, name string) (v ir.Value, isTyped bool) {
	switch name {
	case "pid":
		return f.pid(), false
	case "tid":
		return f.tid(), false
	case "uid", "username":
		return f.Ext(f.CallPure(fnUIDGID), 4, false), false
	case "gid":
		return f.BinImm(ir.OpShr, f.CallPure(fnUIDGID), 32), false
	case "nsecs":
		return f.nsecs("boot"), false
	case "elapsed":
		return f.Bin(ir.OpSub, f.nsecs("boot"), f.Load(f.MapValue(mapCells, f.elapsedCell()), 0, 8, false)), false
	case "cpu":
		return f.Ext(f.CallPure(fnSMPProcessorID), 4, false), false
	case "cpid":
		return f.Const(int64(f.opt.ChildPID)), false
	case "ncpus":
		return f.Const(int64(f.t.PossibleCPUs())), false
	case "numaid":
		return f.Ext(f.CallPure(fnNumaNodeID), 4, false), false
	case "jiffies":
		return f.Call(fnJiffies64), false
	case "rand":
		return f.Ext(f.Call(fnPrandomU32), 4, false), false
	case "cgroup":
		return f.CallPure(fnCurrentCgroupID), false
	case "curtask":
		return f.task()
	case "usermode":
		return f.userMode(e), false
	case "retval":
		r := f.retval(e)
		return r.v, r.trusted
	case "func":
		return f.function(e).v, false
	case "ctx", "args":
		return f.ctx, false
	}
	return 0, false
}

// pid is the process, tid the thread, as the initial PID namespace has them.
func (f *fn) pid() ir.Value {
	if v, ok := f.ofTask("tgid"); ok {
		return v
	}
	return f.BinImm(ir.OpShr, f.CallPure(fnPidTgid), 32)
}

func (f *fn) tid() ir.Value {
	if v, ok := f.ofTask("pid"); ok {
		return v
	}
	return f.Ext(f.CallPure(fnPidTgid), 4, false)
}

// ofTask reads a number of the current task from its struct, in programs that need the task anyway: then it costs no call.
func (f *fn) ofTask(field string) (v ir.Value, ok bool) {
	if uses := f.program.Uses; !uses["comm"] && !uses["curtask"] || f.opt.NoOptimize || !f.taskBTF() {
		return 0, false
	}
	k, ok := f.kernelField("task_struct", field)
	if !ok || k.size != 4 {
		return 0, false
	}
	return f.LoadPure(f.CallPure(fnCurrentTaskBTF), k.offset, 4, false), true
}

// nsecs reads a clock.
func (f *fn) nsecs(clock string) ir.Value {
	switch {
	case clock == "boot" && f.t.Has(kernel.BootNS):
		return f.Call(fnKtimeBootNS)
	case clock == "tai" && f.t.Has(kernel.KtimeTAI):
		return f.Call(fnKtimeTAINS)
	}
	return f.Call(fnKtimeNS)
}

// elapsedCell is where the start of the run is kept.
func (l *lowerer) elapsedCell() int {
	if l.out.Elapsed.Map == "" {
		l.out.Elapsed = Cell{Map: mapCells, Offset: l.cells.add(8)}
	}
	return l.out.Elapsed.Offset
}

// userMode says whether the registers of the context are those of user space.
func (f *fn) userMode(e syntax.Expr) ir.Value {
	if !f.hasRegisters() {
		f.refuse(e, "usermode is not to be had here", "")
		return f.Const(0)
	}
	if f.t.Machine() == "arm64" {
		off, _ := f.registers().register("pstate")
		return f.CmpImm(ir.Eq, f.BinImm(ir.OpAnd, f.word(off), 0xf), 0)
	}
	off, _ := f.registers().register("cs")
	return f.CmpImm(ir.Eq, f.BinImm(ir.OpAnd, f.word(off), 3), 3)
}

// builtinTo writes a builtin variable that is no number at dst; false if name is none.
func (f *fn) builtinTo(e syntax.Expr, name string, dst mem, t *types.Type) bool {
	switch name {
	case "comm", "probe", "probetype":
		if t.Kind != types.String {
			return false
		}
		f.zeroAt(dst.at(min(commSize, t.Size)), t.Size-min(commSize, t.Size))
		f.builtinString(e, name, dst, t.Size, true)
	case "kstack", "ustack":
		f.stackTo(e, dst, t)
	case "args":
		if f.program.Args == nil || t.Kind != types.Struct && t.Kind != types.Record {
			return false
		}
		f.argsTo(e, dst, t)
	case "func":
		if t.Kind != types.USym {
			return false
		}
		f.probedSymbolTo(e, dst)
	default:
		return false
	}
	return true
}

// builtinText is the text of a builtin that does not change while the program runs.
func (f *fn) builtinText(name string) (string, bool) {
	switch {
	case f.point == nil && len(f.points) == 0, name == "probe" && f.manyProbes():
		return "", false
	case name == "probe":
		return f.points[0].Text, true
	case name == "probetype":
		kind, _, _ := strings.Cut(f.points[0].Text, ":")
		return kind, true
	}
	return "", false
}

// builtinString writes a builtin that is a string, in at most size bytes; padded fills size bytes.
func (f *fn) builtinString(e syntax.Expr, name string, dst mem, size int, padded bool) ir.Value {
	if text, ok := f.builtinText(name); ok {
		if padded {
			f.storeText(dst, text, size)
			return 0
		}
		return f.textTo(dst, text, size)
	}
	if name == "probe" {
		return f.probeNameTo(dst, size, padded)
	}
	if size < commSize {
		tmp := f.alloc(commSize, 8, name)
		f.builtinString(e, name, tmp, commSize, true)
		f.copy(dst, tmp, size, alignOf(dst.off))
		f.storeImm(dst.at(size-1), 1, 0)
		return f.Const(int64(size))
	}
	if l, ok := f.commLocation(); ok {
		f.fetchTo(l, dst, l.t)
	} else {
		f.Call(fnComm, f.addr(dst), f.Const(commSize))
	}
	return f.Const(commSize)
}

// commLocation is where the current task's name is, if it can be read without the helper.
func (f *fn) commLocation() (location, bool) {
	// Kernels before 5.17 did not fill up the name with zeroes, which the helper does. They have no bpf_loop either.
	if !f.t.Has(kernel.BpfLoop) || f.opt.Warnings || !f.taskBTF() {
		return location{}, false
	}
	return f.taskLocation(types.StringOf(commSize), "comm")
}

// stackTo writes kstack or ustack at dst: how many addresses, then the addresses.
func (f *fn) stackTo(e syntax.Expr, dst mem, t *types.Type) {
	if f.ctx == 0 {
		f.refuse(e, "a stack cannot be taken in the body of a loop over a map", "take it before the loop, into a variable")
		return
	}
	head, flags, fresh := 8, int64(0), ir.Value(0)
	if t.Kind == types.UStack {
		head, flags = 16, 1<<8 // BPF_F_USER_STACK
		fresh = f.observe(e, true)
		f.store(dst, 4, f.pid())
		f.storeImm(dst.at(4), 4, 0)
	}
	frame := types.FrameSize(t.StackMode)
	if t.StackMode == "build_id" {
		flags |= 1 << 11 // BPF_F_USER_BUILD_ID
	}
	size := t.Len * frame
	if dst.onSlot {
		f.zeroAt(dst.at(head), size) // some of the helper's variants want it defined
	}
	n := f.Func.NewVar()
	f.Set(n, f.Const(0))
	ret := f.Call(fnGetStack, f.ctx, f.addr(dst.at(head)), f.Const(int64(size)), f.Const(flags))
	got, next := f.Func.NewBlock("stack"), f.Func.NewBlock("stacked")
	f.BranchImm(ir.SGt, ret, 0, got, next)
	f.Goto(got)
	f.Set(n, f.BinImm(ir.OpShr, ret, int64(bits.TrailingZeros(uint(frame)))))
	f.Jump(next)
	f.Goto(next)
	f.store(dst.at(head-8), 8, n)
	f.zeroAt(dst.at(head+size), t.Size-head-size)
	if frame == 8 {
		f.tellMappings(e, fresh, n, dst.at(head), t.Len)
	}
}

// userSymbolTo writes an address of the current process at dst; for probed see types.USym.
func (f *fn) userSymbolTo(n syntax.Node, dst mem, addr ir.Value, probed int64) {
	fresh := f.observe(n, false)
	f.store(dst, 8, addr)
	f.store(dst.at(8), 4, f.pid())
	f.storeImm(dst.at(12), 4, probed)
	if probed == types.USymAddress {
		f.tellMapping(n, fresh, addr)
	}
}
