package kernel

// Target is the kernel that a program is compiled for: the running one (Live), or a fixture of a test. It only answers
// questions; every answer is kept, so asking twice is cheap. Methods that cannot know answer as if there were none, and
// Err-returning ones say why.
type Target interface {
	// Machine is the GOARCH of the machine: "amd64" or "arm64".
	Machine() string
	// Has says whether this kernel, as it is configured and with the privileges held, has a feature.
	Has(Feature) bool
	// Helper says whether programs of that type may call the helper; both by the kernel's numbers (linux/bpf.h).
	Helper(progType, helper uint32) bool
	// Kfunc returns the BTF ID of a kernel function that programs may call; ok is false where there is none.
	Kfunc(name string) (id uint32, ok bool)
	// PossibleCPUs and OnlineCPUs count CPUs; possible ones number the per-CPU slots.
	PossibleCPUs() int
	OnlineCPUs() int
	// Types returns the kernel's own types, nil where it shows none.
	Types() *BTFTypes
	// Tracepoint reads a tracepoint's format from tracefs. The error wraps fs.ErrNotExist where there is none.
	Tracepoint(group, name string) (*TracepointFormat, error)
	// Symbol returns the address of a kernel symbol (kallsyms).
	Symbol(name string) (addr uint64, ok bool)
	// Match returns what a pattern (only '*' is special) matches, sorted; an exact name gives itself if it exists.
	// kind: "kprobe" (functions that can be probed; names "func" or "mod:func"), "fentry" ("mod:func", "vmlinux" being
	// the kernel's module), "tracepoint" ("group:event"), "rawtracepoint" ("mod:event"), "iter", "software", "hardware".
	Match(kind, pattern string) ([]string, error)
	// Syscall returns the number of a system call of this machine ("openat").
	Syscall(name string) (nr int, ok bool)
	// CgroupID returns the cgroup v2 id of a path below the mount point, or an absolute path.
	CgroupID(path string) (uint64, error)
	// File resolves the target of a uprobe: an absolute or relative path, a name in $PATH, a library's name in ld.so's
	// cache ("libc", "libssl.so.3"); pid is for containers, 0 if none. The answers are paths (several for a wildcard).
	File(name string, pid int) ([]string, error)
	// Functions lists the function symbols of an ELF file that match the pattern, with their file offsets.
	Functions(path, pattern string) ([]UserSymbol, error)
	// Address finds a function or a variable of an ELF file by its name; the Offset of what has no bytes in the file is 0.
	Address(path, name string) (UserSymbol, bool)
	// Place tells where in an ELF file the code lies that has an address there.
	Place(path string, addr uint64) (offset uint64, ok bool)
	// Code reads a part of a file, of at most a megabyte; it wraps fs.ErrNotExist where a fixture does not have it.
	Code(path string, from, to uint64) ([]byte, error)
	// StructSource: Uprobe argument names from DWARF may come later.
}

// UserSymbol is a symbol of an ELF file.
type UserSymbol struct {
	Name    string // mangled, as in the file
	Address uint64 // virtual, as in the file
	Offset  uint64 // in the file: what a uprobe is attached to
	Size    uint64
}

// TracepointFormat is tracefs's description of a tracepoint's record.
type TracepointFormat struct {
	Group, Name string
	ID          uint64
	Fields      []TracepointField
	// Print is the kernel's print format, as it stands.
	Print string
}

// TracepointField is one field of the record. Type is the C declaration without the name ("const char *", "char[16]",
// "__data_loc char[]"); Array is the element count of an array, 0 for others.
type TracepointField struct {
	Name    string
	Type    string
	Offset  int
	Size    int
	Array   int
	Signed  bool
	DataLoc bool // __data_loc: a u32, low half the offset in the record, high half the length
	RelLoc  bool // __rel_loc: the same, but from the end of this field
	Common  bool // common_type and its like: not for scripts
}
