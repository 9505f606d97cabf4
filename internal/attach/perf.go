package attach

import (
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// perfEvent is a perf event that runs a program, as one descriptor. Closing one of a tracepoint waits for RCU, some 60 ms.
type perfEvent int

func (p perfEvent) Close() error { return unix.Close(int(p)) }

// openPerf makes the event, puts the program on it and switches it on.
func openPerf(attr *unix.PerfEventAttr, pid, cpu int, prog *ebpf.Program) (perfEvent, error) {
	p, err := openPerfProbe(attr, pid, cpu, prog, 0)
	return p.event, err
}

// openTracepoint attaches to the tracepoint that tracefs gave the id of. BPF programs on it run on all CPUs, whichever
// CPU the event is opened for.
func openTracepoint(id uint64, prog *ebpf.Program) (perfEvent, error) {
	return openPerf(&unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1, Wakeup: 1}, -1, 0, prog)
}

// MayTrace says whether this process may attach to a tracepoint of tracefs: it must find the tracepoint there, and open
// perf events of the whole system. That takes CAP_PERFMON, and where a distribution has added kernel.perf_event_paranoid=3,
// CAP_SYS_ADMIN. Asked without attaching, because taking that back is slow.
func MayTrace(group, name string) bool {
	if _, err := kernel.TracepointID(group, name); err != nil {
		return false
	}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_DUMMY}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}
