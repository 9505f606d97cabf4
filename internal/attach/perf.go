package attach

import (
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// perfEvent is a perf event that runs a program, as one descriptor. Closing one of a tracepoint waits for RCU, some 60 ms.
type perfEvent int

func (p perfEvent) Close() error { return unix.Close(int(p)) }

// openPerf makes the event, puts the program on it and switches it on.
func openPerf(attr *unix.PerfEventAttr, pid, cpu int, prog *ebpf.Program) (perfEvent, error) {
	attr.Size = uint32(unsafe.Sizeof(*attr))
	fd, err := unix.PerfEventOpen(attr, pid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return -1, atStep("make the perf event", err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, prog.FD()); err != nil {
		unix.Close(fd)
		return -1, atStep("attach the program", err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		unix.Close(fd)
		return -1, atStep("enable the perf event", err)
	}
	return perfEvent(fd), nil
}

// openTracepoint attaches to the tracepoint that tracefs gave the id of. BPF programs on it run on all CPUs, whichever
// CPU the event is opened for.
func openTracepoint(id uint64, prog *ebpf.Program) (perfEvent, error) {
	return openPerf(&unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1, Wakeup: 1}, -1, 0, prog)
}
