// Package ir is the compiler's intermediate form: functions of basic blocks of three-address instructions on virtual
// registers, close to eBPF but without its registers, its stack layout and its limits. It has a text form, a check of its
// own rules, and the passes that make code smaller.
//
// It knows neither the language nor cilium/ebpf, and imports the standard library only.
package ir

// Value is a virtual register of 64 bits; 0 is none. Values are assigned once, except variables (Func.NewVar), which
// OpSet may assign any number of times.
type Value int32

// Block is a basic block: instructions, then one terminator (the last instruction).
type Block struct {
	ID     int
	Name   string // for the text form: "entry", "then", "loop"
	Instrs []Instr
}

// Slot is an object on the function's stack frame. Size is in bytes; Align 1 to 8.
type Slot int32

// SlotInfo describes a Slot.
type SlotInfo struct {
	Size, Align int
	Name        string
}

// Func is one BPF function: a program, or a function that a program calls or hands to a helper as callback.
type Func struct {
	Name   string
	Params []Value  // assigned at entry: r1... A program has one, its context
	Blocks []*Block // Blocks[0] is the entry
	Slots  []SlotInfo
	// Global functions are verified by themselves, whatever they are called with. Their parameters are numbers, of which
	// the low 32 bits arrive.
	Global bool

	values []bool // by Value: whether it is a variable
}

// Program is what is loaded as one: Funcs[0] is the program itself.
type Program struct {
	Name  string
	Funcs []*Func
}

// Op is an operation.
type Op uint8

const (
	OpInvalid Op = iota

	OpConst // Dst = Imm
	OpSet   // variable Dst = Args[0]

	// Dst = Args[0] op Args[1], or op Imm where there is one argument only. All are of 64 bits; Div and Mod are unsigned,
	// by zero they give 0 and the dividend, as the kernel has it.
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpAnd
	OpOr
	OpXor
	OpShl
	OpShr
	OpSar

	OpNeg  // Dst = -Args[0]
	OpNot  // Dst = ^Args[0]
	OpSext // Dst = the low Width bytes of Args[0], sign-extended
	OpZext // ... zero-extended
	OpSwap // ... in the other byte order, zero-extended
	OpCmp  // Dst = 1 if Args[0] Cond Args[1] (or Imm), else 0
	OpMin  // Dst = Args[0], but at most Imm (unsigned): the verifier knows the bound of Dst until it is spilled

	// Memory. Addresses are stack, map value, context, ring or typed kernel pointers: what the verifier lets be read
	// directly.
	OpLoad      // Dst = Width bytes at Args[0]+Off, zero-extended, or sign-extended if Signed
	OpStore     // Width bytes at Args[0]+Off = Args[1], or Imm
	OpAtomicAdd // Width bytes at Args[0]+Off += Args[1], or Imm
	// OpXchg swaps Width bytes at Args[0]+Off with Args[1] and gives the old value; OpFetchAdd adds. 5.12 and later.
	OpXchg
	OpFetchAdd
	OpZero // Imm bytes at Args[0]+Off = 0; Off and the address aligned to Width
	OpCopy // Imm bytes at Args[0]+Off = those at Args[1]+Off2; both aligned to Width

	// Addresses.
	OpSlot     // Dst = address of Slot + Off
	OpMapPtr   // Dst = the map Sym, for helpers
	OpMapValue // Dst = address of the value 0 of the array map Sym, + Off
	OpFuncPtr  // Dst = the function Sym, for helpers
	// OpPtrAdd gives Args[0] + Args[1], the latter being at most Imm (it is cut to that): a pointer with a variable,
	// bounded offset.
	OpPtrAdd

	// Calls. They clobber nothing but what they are said to; Dst may be 0.
	OpCall     // Dst = helper number Imm(Args...); Clamp bounds arguments
	OpKfunc    // Dst = kernel function with BTF ID Imm (its name is Sym)(Args...)
	OpCallFunc // Dst = function Sym of this Program(Args...)

	// Terminators.
	OpJump    // to Then
	OpBranch  // to Then if Args[0] Cond Args[1] (or Imm), else to Else
	OpMayGoto // to Then, or when the kernel's budget of iterations is used up, to Else (6.9 and later)
	OpRet     // return Args[0], or Imm
)

// Cond is a comparison. The signed ones have an S.
type Cond uint8

const (
	Eq Cond = iota
	Ne
	Lt
	Le
	Gt
	Ge
	SLt
	SLe
	SGt
	SGe
	// Test is true if Args[0] & Args[1] != 0; only in branches.
	Test
)

// Clamp bounds the argument number Arg of a call to Max (unsigned), in the register it is passed in, right before the
// call: the bound cannot be lost to the verifier on the way. Min 1 makes it at least 1.
type Clamp struct {
	Arg int
	Min int64
	Max int64
}

// Instr is one instruction.
type Instr struct {
	Op     Op
	Cond   Cond
	Width  uint8 // bytes: 1, 2, 4, 8
	Signed bool
	// Pure loads give the same value whenever they are made in one run of the program (of the context, of trusted
	// pointers by our choice); pure calls too (pid_tgid, comm is not). They may be merged and left out.
	Pure  bool
	Dst   Value
	Args  []Value
	Imm   int64
	Off   int32
	Off2  int32
	Slot  Slot
	Sym   string
	Clamp []Clamp
	Then  *Block
	Else  *Block
	// Pos is the byte offset in the script's source, -1 for none: for messages and listings.
	Pos int32
	// Note is a comment for the text form.
	Note string
}

// NewFunc makes a function with an entry block and so many parameters.
func NewFunc(name string, params int) *Func {
	f := &Func{Name: name, values: []bool{false}}
	for range params {
		f.Params = append(f.Params, f.NewValue())
	}
	f.NewBlock("entry")
	return f
}

// NewValue makes a value that is to be assigned once.
func (f *Func) NewValue() Value {
	f.values = append(f.values, false)
	return Value(len(f.values) - 1)
}

// NewVar makes a variable.
func (f *Func) NewVar() Value {
	f.values = append(f.values, true)
	return Value(len(f.values) - 1)
}

// IsVar says whether v is a variable.
func (f *Func) IsVar(v Value) bool { return f.values[v] }

// NumValues is one more than the highest Value.
func (f *Func) NumValues() int { return len(f.values) }

// NewSlot makes an object on the stack.
func (f *Func) NewSlot(size, align int, name string) Slot {
	f.Slots = append(f.Slots, SlotInfo{Size: size, Align: align, Name: name})
	return Slot(len(f.Slots) - 1)
}

// NewBlock appends a block.
func (f *Func) NewBlock(name string) *Block {
	b := &Block{ID: len(f.Blocks), Name: name}
	f.Blocks = append(f.Blocks, b)
	return b
}
