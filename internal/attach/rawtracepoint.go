package attach

import (
	"errors"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

func openRawTracepoint(p *prog.Probe, program *ebpf.Program) (descriptor, error) {
	name, err := cString(p.Name)
	if err != nil {
		return -1, err
	}
	fd, err := bpf(unix.BPF_RAW_TRACEPOINT_OPEN, &rawTracepointAttr{
		name: unsafe.Pointer(name), progFD: uint32(program.FD()), cookie: p.Cookie,
	})
	if errors.Is(err, unix.ENOENT) {
		return -1, adviceError("this kernel has none of that name")
	}
	return descriptor(fd), err
}
