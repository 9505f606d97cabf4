package ir

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Env is the world in which Run runs a program: its memory, its maps, what its helpers do. It is for tests.
type Env struct {
	Ctx  []byte
	Maps map[string]*FakeMap
	// Helpers and Kfuncs add to what Run knows itself, or replace it.
	Helpers map[int64]func(e *Env, args []int64) (int64, error)
	Kfuncs  map[string]func(e *Env, args []int64) (int64, error)
	// Steps is how many instructions may run, MayGoto how many times OpMayGoto goes on.
	Steps, MayGoto int
	// Records are what went through the ring buffer.
	Records [][]byte

	prog    *Program
	regions [][]byte // what an address is in: address>>32 - 1
	handles []any    // *FakeMap, *Func: what a handle is
}

// FakeMap is a map of the interpreter.
type FakeMap struct {
	KeySize, ValueSize int
	// Array says that all keys from 0 up to MaxEntries are there from the start; they are u32.
	Array      bool
	MaxEntries int
	values     map[string]int // key to region
	order      []string
}

// handleBase is where the numbers of maps and functions begin: no address is there.
const handleBase = int64(1) << 62

// Alloc gives data an address.
func (e *Env) Alloc(data []byte) int64 {
	e.regions = append(e.regions, data)
	return int64(len(e.regions)) << 32
}

// Bytes are the size bytes at addr, in place.
func (e *Env) Bytes(addr, size int64) ([]byte, error) {
	region, off := addr>>32-1, addr&0xffffffff
	if region < 0 || region >= int64(len(e.regions)) || size < 0 || off+size > int64(len(e.regions[region])) {
		return nil, fmt.Errorf("no %d bytes at address %#x", size, addr)
	}
	return e.regions[region][off : off+size], nil
}

// Value returns the value of key in the map name, nil if there is none.
func (e *Env) Value(name string, key []byte) []byte {
	m := e.Maps[name]
	if region, ok := m.find(e, string(key)); ok {
		return e.regions[region]
	}
	return nil
}

func (m *FakeMap) find(e *Env, key string) (int, bool) {
	if m.values == nil {
		m.values = map[string]int{}
	}
	region, ok := m.values[key]
	if !ok && m.Array && int(binary.LittleEndian.Uint32([]byte(key))) < max(m.MaxEntries, 1) {
		return m.insert(e, key), true
	}
	return region, ok
}

func (m *FakeMap) insert(e *Env, key string) int {
	e.Alloc(make([]byte, m.ValueSize))
	m.values[key] = len(e.regions) - 1
	m.order = append(m.order, key)
	return len(e.regions) - 1
}

var errSteps = errors.New("too many steps")

// Run runs p and returns what it returns.
func Run(p *Program, e *Env) (int64, error) {
	e.prog = p
	if e.Steps == 0 {
		e.Steps = 1 << 20
	}
	if e.MayGoto == 0 {
		e.MayGoto = 1 << 16
	}
	return e.call(p.Funcs[0], []int64{e.Alloc(e.Ctx)})
}

// activation is one call of a function.
type activation struct {
	e      *Env
	values []int64
	slots  []int64
}

func (e *Env) call(f *Func, args []int64) (int64, error) {
	a := &activation{e: e, values: make([]int64, len(f.values)), slots: make([]int64, len(f.Slots))}
	for i, s := range f.Slots {
		data := make([]byte, s.Size)
		for j := range data {
			data[j] = 0xa5 // nobody may count on zeroes
		}
		a.slots[i] = e.Alloc(data)
	}
	for i, v := range f.Params {
		if i < len(args) {
			a.values[v] = args[i]
		}
	}
	b := f.Blocks[0]
	for {
		for i := range b.Instrs {
			if e.Steps--; e.Steps < 0 {
				return 0, errSteps
			}
			in := &b.Instrs[i]
			if !in.Op.IsTerminator() {
				v, err := a.step(in)
				if err != nil {
					return 0, fmt.Errorf("b%d: %s: %w", b.ID, in, err)
				}
				if in.Dst != 0 {
					a.values[in.Dst] = v
				}
				continue
			}
			switch in.Op {
			case OpRet:
				return a.second(in, 0), nil
			case OpJump:
				b = in.Then
			case OpBranch:
				if in.Cond.Eval(a.values[in.Args[0]], a.second(in, 1)) {
					b = in.Then
				} else {
					b = in.Else
				}
			case OpMayGoto:
				if e.MayGoto--; e.MayGoto >= 0 {
					b = in.Then
				} else {
					b = in.Else
				}
			}
			break
		}
	}
}

// second is argument n, or Imm.
func (a *activation) second(in *Instr, n int) int64 {
	if len(in.Args) > n {
		return a.values[in.Args[n]]
	}
	return in.Imm
}

func (a *activation) step(in *Instr) (int64, error) {
	e := a.e
	arg := func(n int) int64 { return a.values[in.Args[n]] }
	switch {
	case in.Op.IsBinary():
		return EvalBinary(in.Op, arg(0), a.second(in, 1)), nil
	case in.Op >= OpNeg && in.Op <= OpSwap:
		return EvalUnary(in.Op, in.Width, arg(0)), nil
	}
	switch in.Op {
	case OpConst:
		return in.Imm, nil
	case OpSet:
		return arg(0), nil
	case OpCmp:
		if in.Cond.Eval(arg(0), a.second(in, 1)) {
			return 1, nil
		}
		return 0, nil
	case OpMin:
		return atMost(arg(0), in.Imm), nil
	case OpPtrAdd:
		return arg(0) + atMost(arg(1), in.Imm), nil
	case OpSlot:
		return a.slots[in.Slot] + int64(in.Off), nil
	case OpMapPtr:
		return e.mapHandle(in.Sym)
	case OpMapValue:
		m := e.Maps[in.Sym]
		if m == nil {
			return 0, errors.New("no such map")
		}
		region, ok := m.find(e, "\x00\x00\x00\x00")
		if !ok {
			return 0, errors.New("no value")
		}
		return int64(region+1)<<32 + int64(in.Off), nil
	case OpFuncPtr:
		return e.handle(e.function(in.Sym)), nil
	case OpLoad, OpStore, OpAtomicAdd, OpXchg, OpFetchAdd:
		return a.memory(in)
	case OpZero:
		b, err := e.Bytes(arg(0)+int64(in.Off), in.Imm)
		clear(b)
		return 0, err
	case OpCopy:
		to, err := e.Bytes(arg(0)+int64(in.Off), in.Imm)
		if err != nil {
			return 0, err
		}
		from, err := e.Bytes(arg(1)+int64(in.Off2), in.Imm)
		copy(to, from)
		return 0, err
	case OpCall, OpKfunc, OpCallFunc:
		args := make([]int64, len(in.Args), 5)
		for i := range in.Args {
			args[i] = arg(i)
		}
		for _, c := range in.Clamp {
			args[c.Arg] = atMost(int64(max(uint64(args[c.Arg]), uint64(c.Min))), c.Max)
		}
		return e.outside(in, args)
	}
	return 0, errors.New("cannot be run")
}

func atMost(x, most int64) int64 { return int64(min(uint64(x), uint64(most))) }

func (a *activation) memory(in *Instr) (int64, error) {
	b, err := a.e.Bytes(a.values[in.Args[0]]+int64(in.Off), int64(in.Width))
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	old := int64(binary.LittleEndian.Uint64(full[:]))
	n := old
	switch in.Op {
	case OpLoad:
		return Extend(old, in.Width, in.Signed), nil
	case OpStore, OpXchg:
		n = a.second(in, 1)
	case OpAtomicAdd, OpFetchAdd:
		n += a.second(in, 1)
	}
	binary.LittleEndian.PutUint64(full[:], uint64(n))
	copy(b, full[:])
	return old, nil
}

func (e *Env) handle(what any) int64 {
	for i, h := range e.handles {
		if h == what {
			return handleBase + int64(i)
		}
	}
	e.handles = append(e.handles, what)
	return handleBase + int64(len(e.handles)-1)
}

func (e *Env) mapHandle(name string) (int64, error) {
	m := e.Maps[name]
	if m == nil {
		return 0, fmt.Errorf("no map %s", name)
	}
	return e.handle(m), nil
}

func (e *Env) resolve(handle int64) any {
	if i := handle - handleBase; i >= 0 && i < int64(len(e.handles)) {
		return e.handles[i]
	}
	return nil
}

func (e *Env) function(name string) *Func {
	for _, f := range e.prog.Funcs {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func (e *Env) outside(in *Instr, args []int64) (int64, error) {
	switch in.Op {
	case OpCallFunc:
		return e.call(e.function(in.Sym), args)
	case OpKfunc:
		if f := e.Kfuncs[in.Sym]; f != nil {
			return f(e, args)
		}
		return 0, errors.New("no such kernel function")
	}
	if f := e.Helpers[in.Imm]; f != nil {
		return f(e, args)
	}
	if f := helpers[in.Imm]; f != nil {
		return f(e, append(args, 0, 0, 0, 0, 0)[:5])
	}
	return 0, errors.New("no such helper")
}
