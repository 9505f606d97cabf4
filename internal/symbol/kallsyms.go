package symbol

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
)

const (
	maxKernelSymbols = 4 << 20
	maxKernelNames   = 512 << 20
	maxModules       = math.MaxUint16
	// The last symbol before a hole does not reach over it.
	maxKernelOffset = 16 << 20
)

// kernelTable holds kernel symbols sorted by address. The names lie in one slice: there are 200,000.
type kernelTable struct {
	symbols []kernelSymbol
	names   []byte // zero byte, name, zero byte, name, ..., zero byte
	modules []string
	ends    []uint64 // of each module, 0 if unknown
	shown   map[int]shownName
}

type kernelSymbol struct {
	addr   uint64
	name   uint32 // where in names; 0: here the symbol before ends, and nothing of this table begins
	module uint16
	rank   uint8 // of several at one address the lowest is shown
}

// kernelLine is a line of /proc/kallsyms. The slices are valid until the next line.
type kernelLine struct {
	addr   uint64
	kind   byte // as nm(1) has it
	name   []byte
	module []byte // empty: the kernel itself
}

func (l *kernelLine) text() bool {
	switch l.kind {
	case 't', 'T', 'w', 'W':
		return true
	}
	return false
}

// eachKernelSymbol calls visit for each line until it returns false.
func eachKernelSymbol(r io.Reader, visit func(kernelLine) bool) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			// The rest without a newline is cut.
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if parsed, ok := parseKernelLine(line); ok && !visit(parsed) {
			return nil
		}
	}
}

// parseKernelLine reads "ffffffff81000000 T _stext" or the same with "\t[module]" at the end.
func parseKernelLine(line []byte) (l kernelLine, ok bool) {
	addr, rest, ok := cutHex(line)
	if !ok || len(rest) < 4 || rest[0] != ' ' || rest[2] != ' ' {
		return l, false
	}
	l.addr, l.kind = addr, rest[1]
	l.name, rest, _ = bytes.Cut(bytes.TrimRight(rest[3:], "\n"), []byte("\t"))
	l.name = bytes.TrimRight(l.name, " ")
	if bytes.HasPrefix(rest, []byte("[")) {
		l.module = bytes.TrimRight(rest[1:], "] ")
	}
	return l, len(l.name) > 0 && bytes.IndexByte(l.name, 0) < 0
}

// cutHex reads the hexadecimal number that b begins with.
func cutHex(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && i < 16; i++ {
		c := b[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return n, b[i:], i > 0
		}
		n = n<<4 | uint64(c)
	}
	return n, b[i:], i > 0
}

// readKernelText reads the functions.
func readKernelText(r io.Reader, ends map[string]uint64) (*kernelTable, error) {
	b := newKernelBuilder(ends)
	// Room for a usual kernel: what growing leaves behind would stay in the process's memory.
	b.t.symbols = make([]kernelSymbol, 0, 160<<10)
	b.t.names = append(make([]byte, 0, 4<<20), 0)
	err := eachKernelSymbol(r, func(l kernelLine) bool {
		if l.text() && !sectionEnd(string(l.name)) {
			return b.add(l)
		}
		b.stop(l.addr)
		return true
	})
	return b.table(), err
}

// readKernelData reads all the others.
func readKernelData(r io.Reader, ends map[string]uint64) (*kernelTable, error) {
	b := newKernelBuilder(ends)
	err := eachKernelSymbol(r, func(l kernelLine) bool {
		if !l.text() {
			return b.add(l)
		}
		b.stop(l.addr)
		return true
	})
	return b.table(), err
}

// sectionEnd says that a symbol is no function though it lies among them.
func sectionEnd(name string) bool {
	return name == "_etext" || name == "_einittext" || name == "_end"
}

type kernelBuilder struct {
	t       *kernelTable
	modules map[string]uint16
	ends    map[string]uint64
}

func newKernelBuilder(ends map[string]uint64) *kernelBuilder {
	return &kernelBuilder{
		t:       &kernelTable{names: []byte{0}, modules: []string{KernelModule}, ends: []uint64{0}},
		modules: map[string]uint16{"": 0},
		ends:    ends,
	}
}

func (b *kernelBuilder) add(l kernelLine) bool {
	t := b.t
	if len(t.symbols) >= maxKernelSymbols || len(t.names) >= maxKernelNames {
		return false
	}
	module, known := b.modules[string(l.module)]
	if !known {
		if len(t.modules) > maxModules {
			return false
		}
		name := string(l.module)
		module = uint16(len(t.modules))
		b.modules[name] = module
		t.modules = append(t.modules, name)
		t.ends = append(t.ends, b.ends[name])
	}
	t.symbols = append(t.symbols, kernelSymbol{l.addr, uint32(len(t.names)), module, kernelRank(l)})
	t.names = append(append(t.names, l.name...), 0)
	return true
}

// stop notes that the symbol before ends at the address, if it has not ended already.
func (b *kernelBuilder) stop(addr uint64) {
	if n := len(b.t.symbols); n > 0 && n < maxKernelSymbols && b.t.symbols[n-1].name != 0 {
		b.t.symbols = append(b.t.symbols, kernelSymbol{addr: addr, rank: math.MaxUint8})
	}
}

// kernelRank orders the names of one address. A system call has one for each way in.
func kernelRank(l kernelLine) uint8 {
	name := string(l.name)
	switch {
	case name == "_stext" || name == "_text":
		return 4
	case strings.HasPrefix(name, "__ia32_") || strings.HasPrefix(name, "__pfx___ia32_"):
		return 1
	}
	switch l.kind {
	case 't', 'd', 'r', 'b':
		return 2
	case 'w', 'W', 'v', 'V':
		return 3
	}
	return 0
}

func (b *kernelBuilder) table() *kernelTable {
	t := b.t
	less := func(x, y kernelSymbol) int {
		return cmp.Or(cmp.Compare(x.addr, y.addr), cmp.Compare(x.rank, y.rank), cmp.Compare(x.name, y.name))
	}
	if !slices.IsSortedFunc(t.symbols, less) {
		slices.SortFunc(t.symbols, less)
	}
	t.symbols = slices.Clone(t.symbols)
	t.names = slices.Clone(t.names)
	return t
}

// frame names an address of the table.
func (t *kernelTable) frame(addr uint64) (Frame, bool) {
	after, _ := slices.BinarySearchFunc(t.symbols, addr, func(s kernelSymbol, a uint64) int {
		if s.addr <= a {
			return -1
		}
		return 1
	})
	if after == 0 {
		return Frame{}, false
	}
	i := after - 1
	for i > 0 && t.symbols[i-1].addr == t.symbols[i].addr {
		i--
	}
	s := t.symbols[i]
	if s.name == 0 || s.addr == 0 || addr-s.addr >= maxKernelOffset {
		return Frame{}, false
	}
	if end := t.ends[s.module]; end != 0 && s.addr < end && addr >= end {
		return Frame{}, false
	}
	shown, kept := t.shown[i]
	if !kept {
		shown.mangled = string(zeroEnded(t.names[s.name:]))
		shown.name = Demangle(shown.mangled)
		if t.shown == nil {
			t.shown = map[int]shownName{}
		}
		t.shown[i] = shown
	}
	return Frame{
		Name: shown.name, Mangled: shown.mangled, Offset: addr - s.addr, Module: t.modules[s.module], Ok: true,
	}, true
}

// address finds a symbol by its name: the first, where several have it.
func (t *kernelTable) address(name string) (uint64, bool) {
	at := bytes.Index(t.names, []byte("\x00"+name+"\x00"))
	if at < 0 {
		return 0, false
	}
	i := slices.IndexFunc(t.symbols, func(s kernelSymbol) bool { return s.name == uint32(at+1) })
	if i < 0 {
		return 0, false
	}
	return t.symbols[i].addr, true
}
