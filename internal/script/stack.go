package script

import (
	"encoding/hex"
	"strconv"

	"sonde/internal/compile/types"
)

// namesMost bounds how many names are kept.
const namesMost = 1 << 16

// userNamesKept is for how long, in nanoseconds, the names of a process's addresses are: it may execute another program.
const userNamesKept = 50e6

// symbols keeps the names of addresses that were asked for.
type symbols struct {
	from   Symbols
	kernel map[uint64]*name
	user   map[userAddress]*name
	now    uint64
	since  uint64 // when the first of user came
}

type userAddress struct {
	pid, probe uint32
	addr       uint64
}

// name is an address in the forms that it is shown in.
type name struct {
	plain  []byte // "vfs_read", or the address
	offset []byte // "vfs_read+5", or the address
	module string
	known  bool
}

// tick tells the time.
func (s *symbols) tick(now uint64) {
	s.now = now
	if len(s.user) > 0 && now-s.since > userNamesKept {
		clear(s.user)
	}
}

func newName(f Frame, addr uint64) *name {
	n := &name{module: f.Module, known: f.Name != ""}
	if !n.known {
		n.offset = appendPointer(nil, addr)
		n.plain = n.offset
		if addr == 0 {
			n.plain = []byte("0")
		}
		return n
	}
	n.plain = []byte(f.Name)
	n.offset = strconv.AppendUint([]byte(f.Name+"+"), f.Offset, 10)
	return n
}

func (s *symbols) ofKernel(addr uint64) *name {
	if n := s.kernel[addr]; n != nil {
		return n
	}
	var f Frame
	if s.from != nil && addr != 0 {
		f = s.from.Kernel(addr)
	}
	if s.kernel == nil || len(s.kernel) >= namesMost {
		s.kernel = map[uint64]*name{}
	}
	n := newName(f, addr)
	s.kernel[addr] = n
	return n
}

func (s *symbols) ofUser(pid, probe uint32, addr uint64) *name {
	key := userAddress{pid, probe, addr}
	if n := s.user[key]; n != nil {
		return n
	}
	var f Frame
	if s.from != nil && addr != 0 {
		f = s.from.User(pid, probe, addr)
	}
	if s.user == nil || len(s.user) >= namesMost {
		s.user = map[userAddress]*name{}
	}
	if len(s.user) == 0 {
		s.since = s.now
	}
	n := newName(f, addr)
	s.user[key] = n
	return n
}

func (s *symbols) kernelName(addr uint64) []byte { return s.ofKernel(addr).plain }

func (s *symbols) userName(pid, probe uint32, addr uint64) []byte {
	return s.ofUser(pid, probe, addr).plain
}

const stackIndent = "        "

// appendStack appends a newline, then a line for each frame.
func (r *Runner) appendStack(dst []byte, t *types.Type, b []byte, s style) []byte {
	head := 0
	var pid, probe uint32
	if t.Kind == types.UStack {
		pid, probe, head = half(b, 0), half(b, 4), 8
	}
	entry := types.FrameSize(t.StackMode)
	n := word(b, head)
	head += 8
	n = min(n, uint64((t.Size-head)/entry))
	dst = append(dst, '\n')
	for i := range int(n) {
		at := b[head+i*entry:]
		if t.StackMode == "build_id" {
			dst = r.appendBuild(dst, at)
			continue
		}
		addr := word(at, 0)
		if t.StackMode == "raw" {
			dst = append(strconv.AppendUint(dst, addr, 16), '\n')
			continue
		}
		var called *name
		if t.Kind == types.KStack {
			called = r.symbols.ofKernel(addr)
		} else {
			called = r.symbols.ofUser(pid, probe, addr)
		}
		if t.StackMode == "perf" {
			dst = r.appendPerf(dst, addr, called, t.Kind == types.UStack)
			continue
		}
		if s == spaced {
			dst = append(dst, stackIndent...)
		}
		dst = append(r.appendForeign(dst, called.offset), '\n')
	}
	return dst
}

// appendPerf appends a frame as perf script does; as in bpftrace, only those of processes tell the file.
func (r *Runner) appendPerf(dst []byte, addr uint64, called *name, user bool) []byte {
	dst = strconv.AppendUint(append(dst, '\t'), addr, 16)
	dst = r.appendForeign(append(dst, ' '), called.offset)
	if user {
		module := called.module
		if module == "" {
			module = "[unknown]"
		}
		dst = append(r.appendForeign(append(dst, " ("...), []byte(module)), ')')
	}
	return append(dst, '\n')
}

// buildIDValid is a status of struct bpf_stack_build_id.
const buildIDValid = 1

// appendBuild appends a frame as the build ID of a file and the offset in it: what can be named on another machine. b is
// a struct bpf_stack_build_id: i32 status, 20 bytes of ID, u64 offset or address.
func (r *Runner) appendBuild(dst, b []byte) []byte {
	at := word(b, 24)
	if half(b, 0) != buildIDValid {
		return append(strconv.AppendUint(dst, at, 16), '\n')
	}
	dst = hex.AppendEncode(dst, b[4:24])
	return append(appendPointer(append(dst, ' '), at), '\n')
}
