package allocator

import "strings"

// Size says where a function is told how much memory is wanted: malloc.h, SIZE_*.
type Size uint32

const (
	SizeArg0 Size = iota
	SizeArg1
	SizeArg2
	SizeProduct01
	SizeProduct12
	SizeMmap
	SizeGo
)

// What else is true of a function: malloc.h, FN_*.
const (
	// Pair says that the function calls others of them in ways that only its return shows the end of.
	Pair = 1 << iota
	// Old says that its first argument is memory that it gives back.
	Old
	// Stores says that it stores the address where its first argument points, and returns an error number.
	Stores
	// NullJumps says that without old memory it goes on in another of them.
	NullJumps
)

// kind is what a function with a name does.
type kind struct {
	size  Size
	flags uint32
	frees bool // it only gives back: the first argument
	// libc says that it is the C library's, whose allocator may not be the one in use.
	libc bool
	// kept says that it matters only where it is asked for what is kept.
	kept bool
}

// kinds is the table of all names. Those of C++ are hooked where the allocator brings its own; the standard library's call
// malloc.
var kinds = map[string]kind{
	"malloc":         {size: SizeArg0},
	"calloc":         {size: SizeProduct01},
	"realloc":        {size: SizeArg1, flags: Old},
	"reallocarray":   {size: SizeProduct12, flags: Old},
	"memalign":       {size: SizeArg1, flags: Pair},
	"aligned_alloc":  {size: SizeArg1, flags: Pair},
	"posix_memalign": {size: SizeArg2, flags: Pair | Stores},
	"valloc":         {size: SizeArg0, flags: Pair},
	"pvalloc":        {size: SizeArg0, flags: Pair},
	"mallocx":        {size: SizeArg0},
	"rallocx":        {size: SizeArg1, flags: Old},

	"free":               {frees: true},
	"cfree":              {frees: true},
	"dallocx":            {frees: true},
	"sdallocx":           {frees: true},
	"free_sized":         {frees: true},
	"free_aligned_sized": {frees: true},

	"mmap":   {size: SizeMmap, libc: true},
	"mmap64": {size: SizeMmap, libc: true},
	"munmap": {frees: true, libc: true},
	"mremap": {size: SizeArg2, flags: Old, libc: true, kept: true},

	goAllocator: {size: SizeGo},
}

// goAllocator is where all memory of Go programs comes from.
const goAllocator = "runtime.mallocgc"

// prefixes are what allocators put before those names so as not to take malloc's place: jemalloc in Rust programs and where it
// is told to, mimalloc, tcmalloc.
var prefixes = []string{"_rjem_", "je_", "mi_", "tc_"}

// Beginnings of the names of C++'s operators: new, new[], delete, delete[].
var operators = []string{"_Znwm", "_Znam", "_ZdlPv", "_ZdaPv"}

// kindOf says what a function does; prefix is what stands before its usual name.
func kindOf(name string) (k kind, prefix string, ok bool) {
	if k, ok = kinds[name]; ok {
		return k, "", true
	}
	for i, operator := range operators {
		if strings.HasPrefix(name, operator) {
			return kind{size: SizeArg0, frees: i >= 2}, "", true
		}
	}
	for _, p := range prefixes {
		if rest, found := strings.CutPrefix(name, p); found {
			if k, ok = kinds[rest]; ok && !k.libc && rest != goAllocator {
				return k, p, true
			}
			return kind{}, "", false
		}
	}
	return kind{}, "", false
}

// mark is a symbol by which a family is known.
type mark struct{ symbol, family string }

// marks are tried in this order: libraries that stand in for malloc may hold parts of others.
var marks = []mark{
	{"__asan_init", "AddressSanitizer"},
	{"__tsan_init", "ThreadSanitizer"},
	{"mi_malloc", "mimalloc"},
	{"mallctl", "jemalloc"}, {"je_mallctl", "jemalloc"}, {"_rjem_mallctl", "jemalloc"},
	{"tc_malloc", "tcmalloc"}, {"TCMallocInternalMalloc", "tcmalloc"},
	{"__scudo_get_error_info_addr", "scudo"},
	{"gnu_get_libc_version", "glibc"}, {"_int_malloc", "glibc"}, {"__libc_memalign", "glibc"},
	{"__malloc_alloc_meta", "musl"}, {"__malloc_donate", "musl"}, {"__libc_malloc_impl", "musl"}, {"__dls3", "musl"},
}

// libcs are functions that only a C library has.
var libcs = []string{"__libc_start_main", "__libc_init"}

// tellsDebugger is what loaders call, glibc's and musl's, before and after they map other files: a debugger stops there.
const tellsDebugger = "_dl_debug_state"

// inside are functions of the C libraries that get memory for malloc. Where all of a program is in one file, they are told from
// the program's own by their names.
var inside = []string{
	"sysmalloc", "sysmalloc_mmap", "sysmalloc_mmap_fallback", "new_heap", "alloc_new_heap", "_int_malloc", "_mid_memalign",
	"_int_realloc", "_int_memalign", "arena_get2",
	"__malloc_alloc_meta", "alloc_group", "alloc_slot", "__libc_malloc_impl", "__simple_malloc", "__expand_heap",
}
