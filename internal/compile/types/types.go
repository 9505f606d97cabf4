// Package types holds the types of the bpftrace language: kind, size, layout in memory, text form.
//
// It is a leaf: checker, lowering and the running script all read the same description of the same bytes. All layouts
// are little-endian and as C lays them out on a 64-bit machine.
package types

// Kind is what a value is.
type Kind uint8

const (
	Invalid Kind = iota
	None         // of calls that give nothing
	Bool
	Int
	Enum // an Int that prints as a name; EnumNames
	// String is a fixed array of Size bytes, NUL-padded; as an operand it may be shorter. Size counts the closing NUL.
	String
	// Buffer is a u32 length followed by Size-4 bytes.
	Buffer
	Pointer
	Array
	// Struct is a C struct or union of the kernel or of the script's preamble: it lives in memory, behind a pointer or
	// in a context; as a value it is a copy of its bytes.
	Struct
	Tuple  // Fields, without names
	Record // Fields, with names
	KStack // u64 count, then count addresses; Len is the limit
	UStack // u32 pid, u32 probe, u64 count, then count addresses
	KSym   // u64 address
	USym   // u64 address, u32 pid, u32 what address it is: see USymAddress
	Inet   // u64 family (AF_INET or AF_INET6), 16 bytes of address
	MAC    // 6 bytes
	Username
	Timestamp  // u64 nanoseconds since boot, u64 index of the format in Program.Formats
	CgroupPath // u64 cgroup id, u64 index of the filter in Program.Formats
	// The aggregates: values of maps only.
	Count
	Sum
	Min
	Max
	Avg
	Stats
	Hist
	LHist
	TSeries
	// Context is the program's context: a pointer that only ctx gives.
	Context
)

// Space is whose memory a pointer points into.
type Space uint8

const (
	SpaceNone Space = iota
	SpaceKernel
	SpaceUser
)

// Type describes a value. Types are compared by Equal; a *Type is never changed once check has handed it out.
type Type struct {
	Kind   Kind
	Size   int // bytes in memory
	Signed bool
	Name   string  // of structs ("task_struct"), enums, typedefs as shown
	Union  bool    // of Struct
	Elem   *Type   // of Pointer, Array
	Len    int     // of Array: elements; of stacks: the limit
	Fields []Field // of Tuple, Record; of Struct once it is resolved, see Resolve
	Space  Space   // of Pointer
	// Shortened marks a String that has less room than texts may need: keys of maps on older kernels.
	Shortened bool
	// Trusted pointers may be dereferenced by direct loads: they come from the verifier's typed pointers (BTF).
	Trusted bool
	// BTF is the kernel's type ID of a Struct, 0 if it is not the kernel's.
	BTF uint32
	// EnumNames are the names of an Enum's values.
	EnumNames map[int64]string
	// StackMode of stacks: "bpftrace", "perf", "raw", "build_id".
	StackMode string
	// Mode of TSeries: "avg", "max", "min", "sum", or "" for the last value; Interval in ns.
	Agg Aggregate
	// Resolve fills Fields of a Struct when they are first asked for; nil once done or where there is nothing to do.
	Resolve func(*Type)
}

// Field is one field of a Struct, Tuple or Record.
type Field struct {
	Name   string
	Type   *Type
	Offset int // bytes
	// Bits is the width of a bit field, which begins BitOffset bits after Offset; 0 for others.
	Bits, BitOffset int
	// DataLoc marks a tracepoint's __data_loc field: a u32 whose low half is the offset of the content in the record.
	DataLoc bool
	// UserTag marks what the kernel tagged __user.
	User bool
}

// Aggregate holds the parameters of hist, lhist and tseries.
type Aggregate struct {
	Bits           int   // hist: bits of precision, 0 to 5
	Min, Max, Step int64 // lhist
	Interval       int64 // tseries: nanoseconds
	Buckets        int   // tseries: how many; hist, lhist: how many there can be
	Func           string
}

// Common types.
var (
	TNone   = &Type{Kind: None}
	TBool   = &Type{Kind: Bool, Size: 1}
	TInt8   = &Type{Kind: Int, Size: 1, Signed: true}
	TInt16  = &Type{Kind: Int, Size: 2, Signed: true}
	TInt32  = &Type{Kind: Int, Size: 4, Signed: true}
	TInt64  = &Type{Kind: Int, Size: 8, Signed: true}
	TUint8  = &Type{Kind: Int, Size: 1}
	TUint16 = &Type{Kind: Int, Size: 2}
	TUint32 = &Type{Kind: Int, Size: 4}
	TUint64 = &Type{Kind: Int, Size: 8}
)

// AllFields returns the fields of a Struct, Tuple or Record, resolving them if that has not been done.
func (t *Type) AllFields() []Field {
	if t.Resolve != nil {
		r := t.Resolve
		t.Resolve = nil
		r(t)
	}
	return t.Fields
}

// Field finds a field by name, looking into anonymous members; the offset is from the start of t.
func (t *Type) Field(name string) (Field, bool) { return t.field(name, 0) }

func (t *Type) field(name string, depth int) (Field, bool) {
	if depth > 16 {
		return Field{}, false
	}
	for _, f := range t.AllFields() {
		if f.Name == name {
			return f, true
		}
		if f.Name == "" && f.Type.Kind == Struct {
			if in, ok := f.Type.field(name, depth+1); ok {
				in.Offset += f.Offset
				return in, true
			}
		}
	}
	return Field{}, false
}

// IsInt says whether t is used as a number: Int, Enum or Bool.
func (t *Type) IsInt() bool { return t.Kind == Int || t.Kind == Enum || t.Kind == Bool }

// IsAggregate says whether t is only a map's value: count() and its like.
func (t *Type) IsAggregate() bool { return t.Kind >= Count && t.Kind <= TSeries }

// IsCastable says whether the aggregate reads as an integer in expressions.
func (t *Type) IsCastable() bool { return t.Kind >= Count && t.Kind <= Avg }

// InRegister says whether a value of t is handled in a register; all others live in memory.
func (t *Type) InRegister() bool {
	switch t.Kind {
	case Bool, Int, Enum, Pointer, Context, KSym, Username:
		return true
	}
	return false
}

// Align is the alignment of t in tuples, records and structs: 1 to 8.
func (t *Type) Align() int {
	switch t.Kind {
	case String, MAC:
		return 1
	case Buffer:
		return 4
	case Array:
		return t.Elem.Align()
	case Struct, Tuple, Record:
		a := 1
		for _, f := range t.AllFields() {
			a = max(a, f.Type.Align())
		}
		return a
	}
	switch {
	case t.Size >= 8:
		return 8
	case t.Size >= 4:
		return 4
	case t.Size >= 2:
		return 2
	}
	return 1
}

// PointerTo makes a pointer type.
func PointerTo(elem *Type, space Space) *Type {
	return &Type{Kind: Pointer, Size: 8, Elem: elem, Space: space}
}

// StringOf makes a string type of size bytes, its NUL included.
func StringOf(size int) *Type { return &Type{Kind: String, Size: size} }

// ArrayOf makes an array type.
func ArrayOf(elem *Type, n int) *Type {
	return &Type{Kind: Array, Size: elem.Size * n, Elem: elem, Len: n}
}

// What the address of a USym is.
const (
	USymAddress = iota // any
	USymProbe          // of the function that is probed
	USymOffset         // none, but where in its file the probed function is
)

// FrameSize is how many bytes a frame of a stack takes: an address, or struct bpf_stack_build_id.
func FrameSize(mode string) int {
	if mode == "build_id" {
		return 32
	}
	return 8
}

// IntOf makes an integer type of 1, 2, 4 or 8 bytes.
func IntOf(size int, signed bool) *Type {
	switch {
	case size == 1 && signed:
		return TInt8
	case size == 2 && signed:
		return TInt16
	case size == 4 && signed:
		return TInt32
	case signed:
		return TInt64
	case size == 1:
		return TUint8
	case size == 2:
		return TUint16
	case size == 4:
		return TUint32
	}
	return TUint64
}

// TupleOf lays out a tuple as C lays out a struct of the same members.
func TupleOf(elems []*Type) *Type {
	return lay(Tuple, elems, nil)
}

// RecordOf lays out a record.
func RecordOf(names []string, elems []*Type) *Type {
	return lay(Record, elems, names)
}

func lay(kind Kind, elems []*Type, names []string) *Type {
	t := &Type{Kind: kind}
	align := 1
	for i, e := range elems {
		a := e.Align()
		align = max(align, a)
		t.Size = (t.Size + a - 1) &^ (a - 1)
		f := Field{Type: e, Offset: t.Size}
		if names != nil {
			f.Name = names[i]
		}
		t.Fields = append(t.Fields, f)
		t.Size += e.Size
	}
	t.Size = (t.Size + align - 1) &^ (align - 1)
	return t
}
