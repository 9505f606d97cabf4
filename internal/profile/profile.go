package profile

// Frame is one function of a stack. The zero value is an address of which nothing is known.
type Frame struct {
	// Name is the function's name, demangled; empty if there is none.
	Name string
	// Mangled is the name as the symbol table has it; empty if it is the same.
	Mangled string
	// File and Line are where in the source the frame is, where debug information tells it.
	File string
	Line int
	// Module is the file (or "[vdso]", a JIT's map, "vmlinux", a kernel module) the address lies in; empty if unknown.
	Module string
	// BuildID of Module, in hexadecimal; empty if unknown.
	BuildID string
	// Address as it was on the stack, and Offset from the function's start.
	Address, Offset uint64
	// Base is what the address in the module's own file is less than Address.
	Base uint64
	// Inlined says that the compiler put this function into the frame that follows.
	Inlined bool
	// Kernel says that the frame is the kernel's.
	Kernel bool
}

// End says how a stack ended.
type End uint8

const (
	// Complete: the walk came to the thread's first function, or nothing speaks against it.
	Complete End = iota
	// NoFramePointer: the walk ended early, in code that keeps no frame pointers.
	NoFramePointer
	// Cut: there were more frames than are kept.
	Cut
	// Missing: there is no stack at all (the kernel could not give one, or its table was full).
	Missing
)

// Sample is one stack and what was counted for it.
type Sample struct {
	// Stack has its innermost frame first.
	Stack []Frame
	// Values run parallel to Profile.Types.
	Values []int64
	End    End
	// Labels say what else the sample is keyed by ("comm", "pid"), in the order in which they are shown.
	Labels []Label
}

// Label is a name with its value.
type Label struct{ Key, Value string }

// ValueType names one of a sample's values and its unit, in pprof's words ("alloc_space", "bytes").
type ValueType struct{ Name, Unit string }

// Profile is stacks with their values.
type Profile struct {
	Title   string // of pictures: what was measured
	Types   []ValueType
	Shown   int // index in Types of the value that text and pictures show
	Samples []Sample
	// Time is when the measuring began, in nanoseconds since the Unix epoch; Duration is how long it took, in nanoseconds.
	Time, Duration int64
	// Notes are what the reader must know of what is missing: lost samples, full tables. They are in every form.
	Notes []string
}
