package kernel

// BTFTypes is the kernel's type information, read where it lies and decoded on demand: nothing is decoded that is not
// asked for. IDs are the kernel's own, so they can be given to bpf(2).
type BTFTypes struct {
	btfIndex
}

// BTFKind is the kind of a CType, by the kernel's numbers (linux/btf.h).
type BTFKind uint8

const (
	BTFVoid BTFKind = iota
	BTFInt
	BTFPtr
	BTFArray
	BTFStruct
	BTFUnion
	BTFEnum
	BTFFwd
	BTFTypedef
	BTFVolatile
	BTFConst
	BTFRestrict
	BTFFunc
	BTFFuncProto
	BTFVar
	BTFDatasec
	BTFFloat
	BTFDeclTag
	BTFTypeTag
	BTFEnum64
)

// CType is one type. Elem is what a pointer, array, typedef, qualifier, tag, function (its prototype) or prototype
// (its result) refers to.
type CType struct {
	ID      uint32
	Kind    BTFKind
	Name    string
	Size    int // bytes, of ints, structs, unions, enums
	Signed  bool
	Bool    bool
	Elem    uint32
	Len     int // of arrays
	Members []CMember
	Values  []CEnumValue // of enums
	Params  []CParam     // of prototypes
}

// CMember is a member of a struct or union. Bits is the width of a bit field, 0 for others; BitOffset is from the
// start of the struct.
type CMember struct {
	Name      string
	Type      uint32
	BitOffset int
	Bits      int
}

type CEnumValue struct {
	Name  string
	Value int64
}

type CParam struct {
	Name string
	Type uint32
}
