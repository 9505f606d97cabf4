package attach

import (
	"errors"
	"io"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// The kernel's letters for what a breakpoint waits for (linux/hw_breakpoint.h).
var breakpointModes = map[rune]uint32{'r': 1, 'w': 2, 'x': 4}

// openWatchpoint sets a breakpoint of the CPU, of which there are few (four on amd64).
func openWatchpoint(p *prog.Probe, program *ebpf.Program) ([]io.Closer, error) {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_BREAKPOINT, Sample: 1, Ext1: p.Address, Ext2: p.Length,
	}
	for _, letter := range p.Mode {
		bit := breakpointModes[letter]
		if bit == 0 {
			return nil, adviceError("the mode of a watchpoint is made of r, w and x, not %q", p.Mode)
		}
		attr.Bp_type |= bit
	}
	var on []io.Closer
	var err error
	if p.PID != 0 {
		on, err = openOnProcess(attr, p.PID, program, p.Cookie)
	} else {
		on, err = openOnCPUs(attr, program, p.Cookie)
	}
	switch {
	case err == nil:
		return on, nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EBUSY):
		return nil, adviceError("all breakpoints of the CPU are taken; use fewer watchpoints, or end the debugger that has them")
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return nil, adviceError("the CPU cannot watch %d bytes at %#x for %q: lengths are 1, 2, 4 and 8, of which the address is a multiple, and some CPUs have no r without w and x alone",
			p.Length, p.Address, p.Mode)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOENT):
		return nil, adviceError("this machine's CPU, or its hypervisor, has no breakpoints")
	}
	return nil, explained(err)
}
