package attach

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

type uprobeMultiAttr struct {
	linkCreateAttr
	path, offsets, refCounters, cookies unsafe.Pointer
	count, flags, pid                   uint32
	_                                   uint32
}

// openUprobeMulti puts a program on many places of a file by one link.
//
// Kernels from 6.6 to 6.10 take a pid for one thread: of a process with several they miss the others. A program that is to
// see all must look at the pid itself there, and its probe must have none.
func openUprobeMulti(p *prog.Probe, program *ebpf.Program) (descriptor, error) {
	switch n := len(p.Addresses); {
	case n == 0:
		return -1, adviceError("no function matches")
	case p.Cookies != nil && len(p.Cookies) != n, p.RefCounters != nil && len(p.RefCounters) != n:
		return -1, fmt.Errorf("%d cookies and %d reference counters for %d places: a bug of sonde", len(p.Cookies), len(p.RefCounters), n)
	}
	path, err := cString(p.Path)
	if err != nil {
		return -1, err
	}
	attr := uprobeMultiAttr{
		linkCreateAttr: linkCreateAttr{progFD: uint32(program.FD()), attachType: uint32(ebpf.AttachTraceUprobeMulti)},
		path:           unsafe.Pointer(path),
		offsets:        unsafe.Pointer(unsafe.SliceData(p.Addresses)),
		refCounters:    unsafe.Pointer(unsafe.SliceData(p.RefCounters)),
		cookies:        unsafe.Pointer(unsafe.SliceData(p.Cookies)),
		count:          uint32(len(p.Addresses)),
		pid:            uint32(p.PID),
	}
	switch p.Kind {
	case prog.UretprobeMulti:
		attr.flags = multiReturns
	case prog.UprobeSession:
		attr.attachType = uprobeSession
	}
	fd, err := bpf(unix.BPF_LINK_CREATE, &attr)
	runtime.KeepAlive(path)
	runtime.KeepAlive(p)
	if err != nil {
		return -1, uprobeError(p, p.Addresses[0], err)
	}
	return descriptor(fd), nil
}
