package cli

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/compile"
	"sonde/internal/kernel"
	bt "sonde/internal/script"
	"sonde/internal/stream"
	"sonde/internal/symbol"
)

// newRunner makes what the script needs of the world.
func (s *script) newRunner() (*bt.Runner, error) {
	wall, err := bootToWall()
	if err != nil {
		return nil, err
	}
	s.symbols = &scriptSymbols{processes: symbol.NewProcesses(), mangled: !s.program.Config.CppDemangle, observed: make(chan struct{}, 1), done: make(chan struct{})}
	for _, p := range s.program.Spec.Probes {
		if p.Path != "" && len(p.Addresses) > 0 {
			_ = s.symbols.processes.AddProbe(p.Path, p.Addresses...) // only for processes that ended too soon
		}
	}
	maps := stream.NewMaps(s.session.Map)
	if at := s.program.Elapsed; at.Map != "" {
		boot, err := bootTime()
		if err != nil {
			return nil, err
		}
		if err := maps.WriteAt(at.Map, binary.LittleEndian.AppendUint64(nil, boot), at.Offset); err != nil {
			return nil, err
		}
	}
	go s.symbols.follow()
	return bt.New(s.program, bt.Env{
		Out: s.out, Err: s.io.err, JSON: s.flags.format == "json",
		Terminal:   s.flags.file == "" && terminalWidth(s.io.out) > 0,
		NoWarnings: s.flags.noWarnings,
		Maps:       maps,
		Symbols:    s.symbols,
		Wall:       func(boot uint64) int64 { return int64(boot) + wall },
		CgroupPath: kernel.CgroupPaths,
	})
}

// bootTime reads CLOCK_BOOTTIME, in nanoseconds.
func bootTime() (uint64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("reading the clock: %w", err)
	}
	return uint64(t.Nano()), nil
}

// bootToWall is what to add to CLOCK_BOOTTIME for the time since the Unix epoch, in nanoseconds.
func bootToWall() (int64, error) {
	before, err := bootTime()
	if err != nil {
		return 0, err
	}
	wall := time.Now().UnixNano()
	after, err := bootTime()
	if err != nil {
		return 0, err
	}
	return wall - int64(before+(after-before)/2), nil
}

// scriptSymbols names addresses for a script.
type scriptSymbols struct {
	kernel    *symbol.Kernel
	processes *symbol.Processes
	mangled   bool // names of C++ and Rust are shown as the files have them
	observed  chan struct{}
	done      chan struct{}
}

func (y *scriptSymbols) Kernel(addr uint64) bt.Frame {
	y.openKernel()
	f := y.kernel.Lookup(addr)
	if f.Module == symbol.KernelModule {
		f.Module = ""
	}
	return y.frame(f)
}

// openKernel leaves no kernel where its symbols are hidden: none of its addresses has a name then.
func (y *scriptSymbols) openKernel() {
	if y.kernel == nil {
		y.kernel, _ = symbol.OpenKernel()
	}
}

func (y *scriptSymbols) User(pid, what uint32, addr uint64) bt.Frame {
	switch what {
	case bt.ProbeAddress:
		return y.frame(y.processes.LookupProbed(pid, addr))
	case bt.ProbeOffset:
		return y.frame(y.processes.ProbeAt(addr))
	}
	return y.frame(y.processes.Lookup(pid, addr))
}

func (y *scriptSymbols) BuildID(id [20]byte, offset uint64) bt.Frame {
	return y.frame(y.processes.ByBuildID(id, offset))
}

func (y *scriptSymbols) Observe(pid uint32, addr, offset uint64) {
	_ = y.processes.Observe(pid)
	select {
	case y.observed <- struct{}{}:
	default:
	}
	if addr != 0 { // it may have ended already, or have been ending
		y.processes.Assume(pid, addr, offset)
	}
}

func (y *scriptSymbols) Mapped(m compile.Mapping) {
	y.processes.Mapped(m.PID, symbol.Mapping{Start: m.Start, End: m.End, Page: m.Page, Device: m.Device, Inode: m.Inode, Path: m.Path})
}

// follow looks again at the processes that were observed, until close: what they map later has names then, even when they have
// ended.
func (y *scriptSymbols) follow() {
	select {
	case <-y.observed:
	case <-y.done:
		return
	}
	for {
		select {
		case <-time.After(y.processes.Refresh()):
		case <-y.observed:
		case <-y.done:
			return
		}
	}
}

func (y *scriptSymbols) close() {
	close(y.done)
	y.processes.Close()
}

func (y *scriptSymbols) frame(f symbol.Frame) bt.Frame {
	if !f.Ok {
		return bt.Frame{Module: f.Module}
	}
	if y.mangled && f.Mangled != "" {
		f.Name = f.Mangled
	}
	return bt.Frame{Name: f.Name, Offset: f.Offset, Module: f.Module}
}

// mapName is the name in the kernel of a map of the script.
func mapName(p *compile.Program, name string) string {
	for _, m := range p.Maps {
		if m.Name == name {
			return m.BPF
		}
	}
	return ""
}
