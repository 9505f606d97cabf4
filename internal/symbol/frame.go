package symbol

// Frame is what is known of an address. The zero value says that nothing is.
type Frame struct {
	// Name is the function's name, demangled where it was mangled; empty if there is none.
	Name string
	// Mangled is the name as the symbol table has it.
	Mangled string
	// Offset is the distance from the function's start.
	Offset uint64
	// Module is where the function lies: the path of the mapped file as its process knows it, "[vdso]", the perf map of
	// a JIT, the name of a kernel module, or KernelModule. It can be known without a name.
	Module string
	// Base is what has to be subtracted from the address to get the address in the module's own symbol table.
	Base uint64
	// Ok says that Name was found.
	Ok bool

	// What follows is known of the frames that Frames and Stack return.

	// Address is the one that was asked for.
	Address uint64
	// File and Line are where in the source it is, where debug information tells.
	File string
	Line int
	// Inlined says that the compiler put this function into that of the next frame.
	Inlined bool
	// BuildID is the module's, in hexadecimal.
	BuildID string
}

// KernelModule is the Module of the kernel's own functions.
const KernelModule = "vmlinux"

// Symbol is a function of an ELF file.
type Symbol struct {
	Name      string // as in the file
	Demangled string
	Address   uint64 // virtual, as in the file
	Offset    uint64 // in the file: what a uprobe is attached to
	Size      uint64
}
