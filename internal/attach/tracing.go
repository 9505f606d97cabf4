package attach

import (
	"errors"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

type tracingLinkAttr struct {
	linkCreateAttr
	_      [2]uint32 // where it goes: what the program was loaded for
	cookie uint64
}

// openTracing switches on a program of type tracing or LSM, which has known since it was loaded where it goes: a typed
// tracepoint, the entry or exit of a function, or a hook. Kernels before 5.19 know no cookies there.
func openTracing(p *prog.Probe, program *ebpf.Program, kind ebpf.AttachType) (descriptor, error) {
	var fd int
	var err error
	if p.Cookie != 0 {
		fd, err = bpf(unix.BPF_LINK_CREATE, &tracingLinkAttr{
			linkCreateAttr: linkCreateAttr{progFD: uint32(program.FD()), attachType: uint32(kind)},
			cookie:         p.Cookie,
		})
	} else {
		fd, err = bpf(unix.BPF_RAW_TRACEPOINT_OPEN, &rawTracepointAttr{progFD: uint32(program.FD())})
	}
	switch {
	case errors.Is(err, unix.E2BIG):
		return -1, adviceError("the kernel puts no more than 38 programs on one function; use fewer, or a kprobe")
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL) && kind != ebpf.AttachTraceRawTp:
		return -1, adviceError("the kernel cannot put a program on this function now (%v); use a kprobe", err)
	}
	return descriptor(fd), err
}
