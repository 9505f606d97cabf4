package kernel

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Fixture is a Target for tests: it says what its fields say, and knows nothing of the running kernel.
type Fixture struct {
	GOARCH   string
	Features map[Feature]bool
	// Refused are helpers that no program may call.
	Refused          map[uint32]bool
	Possible, Online int
	BTF              *BTFTypes         // nil: the kernel shows no types
	Formats          map[string]string // of tracepoints, by "group:name", as tracefs shows them
	Symbols          map[string]uint64
	// Lists are what there is to match, sorted, by kind. A kind that is not here is made of the other fields.
	Lists   map[string][]string
	Cgroups map[string]uint64
	Files   map[string][]string     // what File answers, by name
	ELF     map[string][]UserSymbol // what Functions and Address choose from, by path
}

var _ Target = (*Fixture)(nil)

// NewFixture returns an amd64 kernel of four CPUs that can do everything but preempt raw tracepoint programs. Its types are a
// part, and its tracepoints nearly all, of those of a 6.18 kernel. It may be changed at will: what is shared is never
// written to.
func NewFixture() *Fixture {
	f := &Fixture{
		GOARCH:   "amd64",
		Features: make(map[Feature]bool),
		Possible: 4, Online: 4,
		BTF:     fixtureTypes(),
		Formats: maps.Clone(fixtureFormats()),
		Symbols: map[string]uint64{
			"vfs_read": 0xffffffff81200000, "vfs_write": 0xffffffff81201000, "tcp_connect": 0xffffffff81900000,
			"do_sys_openat2": 0xffffffff811f0000, "avenrun": 0xffffffff82c00000, "jiffies": 0xffffffff82c05980,
			"init_task": 0xffffffff82c0f000, "saved_command_line": 0xffffffff82e00000,
		},
		Lists:   make(map[string][]string),
		Cgroups: map[string]uint64{"/": 1, "/sys/fs/cgroup": 1, "system.slice": 42, "/sys/fs/cgroup/system.slice": 42},
		Files: map[string][]string{
			"/bin/bash": {"/bin/bash"}, "bash": {"/usr/bin/bash"}, "libc": {"/usr/lib/libc.so.6"}, "libc.so.6": {"/usr/lib/libc.so.6"},
			"libssl": {"/usr/lib/libssl.so.3"}, "libcrypto": {"/usr/lib/libcrypto.so.3"}, "libpthread": {"/usr/lib/libpthread.so.0"},
			"libreadline": {"/usr/lib/libreadline.so.8"},
		},
		ELF: map[string][]UserSymbol{
			"/bin/bash":                 fixtureSymbols("main", "readline", "readline_internal"),
			"/usr/bin/bash":             fixtureSymbols("main", "readline", "readline_internal"),
			"/usr/lib/libreadline.so.8": fixtureSymbols("readline"),
			"/usr/lib/libpthread.so.0":  fixtureSymbols("pthread_create"),
			"/usr/lib/libc.so.6": fixtureSymbols("malloc", "free", "calloc", "realloc", "getaddrinfo", "gethostbyname", "gethostbyname2",
				"pthread_create", "strlen", "gethostbyaddr", "gethostbyaddr_r", "gethostbyname_r", "gethostbyname2_r"),
			"/usr/lib/libssl.so.3":    fixtureSymbols("SSL_read", "SSL_write", "SSL_do_handshake"),
			"/usr/lib/libcrypto.so.3": fixtureSymbols("RSA_sign", "RSA_verify", "ossl_ecdh_compute_key", "ossl_ecdsa_sign"),
		},
	}
	for _, feature := range AllFeatures() {
		f.Features[feature] = feature != PreemptsRawTracepoints
	}
	f.Lists["kprobe"] = slices.Sorted(slices.Values(append(f.BTF.FunctionNames("*"), "lookup_fast.constprop.0", "md_flush_request",
		"tcp_v4_syn_recv_sock", "tcp_v6_syn_recv_sock", "__blk_account_io_done", "__blk_account_io_start",
		"xfs:xfs_file_fsync", "xfs:xfs_file_open", "xfs:xfs_file_read_iter", "xfs:xfs_file_write_iter")))
	return f
}

// Without takes features away, and returns f.
func (f *Fixture) Without(features ...Feature) *Fixture {
	for _, feature := range features {
		f.Features[feature] = false
	}
	if slices.Contains(features, BTF) {
		f.BTF = nil
	}
	return f
}

func fixtureSymbols(names ...string) []UserSymbol {
	var symbols []UserSymbol
	for i, name := range names {
		symbols = append(symbols, UserSymbol{Name: name, Address: 0x401000 + uint64(i)*64, Offset: 0x1000 + uint64(i)*64, Size: 64})
	}
	return symbols
}

// Written by the tests, with SONDE_UPDATE_FIXTURES set.
var (
	//go:embed testdata/fixture-types.btf.gz
	packedTypes string
	//go:embed testdata/fixture-formats.txt.gz
	packedFormats string
)

// fixtures are unpacked once. It is done in functions, not by variables, so that programs without tests in them do not hold what is
// packed.
var fixtures struct {
	readTypes, readFormats sync.Once
	types                  *BTFTypes
	formats                map[string]string
}

func fixtureTypes() *BTFTypes {
	fixtures.readTypes.Do(func() {
		b, err := ParseBTF(unpack(packedTypes))
		if err != nil {
			panic("bug of ours: the fixture's types: " + err.Error())
		}
		fixtures.types = b
	})
	return fixtures.types
}

// fixtureFormats takes the file apart: before the format of each tracepoint is a line "## group".
func fixtureFormats() map[string]string {
	fixtures.readFormats.Do(func() {
		fixtures.formats = make(map[string]string)
		for part := range strings.SplitSeq(string(unpack(packedFormats)), "## ") {
			group, text, _ := strings.Cut(part, "\n")
			line, _, _ := strings.Cut(text, "\n")
			if name, ok := strings.CutPrefix(line, "name: "); ok {
				fixtures.formats[group+":"+name] = text
			}
		}
	})
	return fixtures.formats
}

func unpack(packed string) []byte {
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		panic("bug of ours: a fixture: " + err.Error())
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, r); err != nil {
		panic("bug of ours: a fixture: " + err.Error())
	}
	return out.Bytes()
}

// Machine is that of Target.
func (f *Fixture) Machine() string { return f.GOARCH }

// Has is that of Target.
func (f *Fixture) Has(feature Feature) bool { return f.Features[feature] }

// Helper is that of Target.
func (f *Fixture) Helper(_, helper uint32) bool { return !f.Refused[helper] }

// Kfunc is that of Target.
func (f *Fixture) Kfunc(name string) (id uint32, ok bool) { return kfunc(f.BTF, name) }

// PossibleCPUs is that of Target.
func (f *Fixture) PossibleCPUs() int { return f.Possible }

// OnlineCPUs is that of Target.
func (f *Fixture) OnlineCPUs() int { return f.Online }

// Types is that of Target.
func (f *Fixture) Types() *BTFTypes { return f.BTF }

// Tracepoint is that of Target.
func (f *Fixture) Tracepoint(group, name string) (*TracepointFormat, error) {
	text, ok := f.Formats[group+":"+name]
	if !ok {
		return nil, fmt.Errorf("tracepoint %s:%s: this kernel does not have it: %w", group, name, fs.ErrNotExist)
	}
	return ParseFormat(group, text)
}

// Symbol is that of Target.
func (f *Fixture) Symbol(name string) (addr uint64, ok bool) {
	addr, ok = f.Symbols[name]
	return addr, ok
}

// Match is that of Target.
func (f *Fixture) Match(kind, pattern string) ([]string, error) {
	if list, ok := f.Lists[kind]; ok {
		return matchNames(kind, list, pattern), nil
	}
	switch kind {
	case "tracepoint":
		return matching(slices.Sorted(maps.Keys(f.Formats)), pattern), nil
	case "kprobe":
		return matchNames(kind, f.BTF.FunctionNames("*"), pattern), nil
	case "fentry":
		return matchModules(f.BTF, BTFFunc, "", pattern), nil
	case "rawtracepoint":
		return matchModules(f.BTF, BTFTypedef, rawTypedef, pattern), nil
	case "iter":
		return matchIterators(f.BTF, pattern), nil
	case "software":
		return matching(softwareEvents, pattern), nil
	case "hardware":
		return matching(hardwareEvents, pattern), nil
	}
	return nil, errMatchKind(kind)
}

// Syscall is that of Target.
func (f *Fixture) Syscall(name string) (nr int, ok bool) { return SyscallNumberOn(f.GOARCH, name) }

// CgroupID is that of Target.
func (f *Fixture) CgroupID(path string) (uint64, error) {
	if id, ok := f.Cgroups[path]; ok {
		return id, nil
	}
	return 0, fmt.Errorf("cgroup %s: %w", path, fs.ErrNotExist)
}

// File is that of Target.
func (f *Fixture) File(name string, _ int) ([]string, error) {
	if paths, ok := f.Files[name]; ok {
		return paths, nil
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// Functions is that of Target.
func (f *Fixture) Functions(path, pattern string) ([]UserSymbol, error) {
	symbols, ok := f.ELF[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	p := newPattern(pattern)
	var found []UserSymbol
	for _, symbol := range symbols {
		if p.match(symbol.Name) {
			found = append(found, symbol)
		}
	}
	return found, nil
}

// Address is that of Target.
func (f *Fixture) Address(path, name string) (UserSymbol, bool) {
	for _, symbol := range f.ELF[path] {
		if symbol.Name == name {
			return symbol, true
		}
	}
	return UserSymbol{}, false
}

// Place is that of Target: a fixture has no code outside its functions.
func (f *Fixture) Place(path string, addr uint64) (offset uint64, ok bool) {
	for _, symbol := range f.ELF[path] {
		if addr >= symbol.Address && addr-symbol.Address < symbol.Size {
			return symbol.Offset + addr - symbol.Address, true
		}
	}
	return 0, false
}

// Code is that of Target.
func (f *Fixture) Code(path string, _, _ uint64) ([]byte, error) {
	return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
}
