package attach

import (
	"errors"
	"io/fs"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// openTracepointProbe makes a perf event of the tracepoint. BPF programs on it run on all CPUs, whichever CPU the event is
// opened for; programs of several events of one tracepoint run in the order in which they were put on.
//
// Not by the library's link: that finds no tracefs that is mounted privately.
func openTracepointProbe(p *prog.Probe, program *ebpf.Program) (perfProbe, error) {
	id, err := kernel.TracepointID(p.Group, p.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return perfProbe{}, adviceError("this kernel does not have it")
	}
	if err != nil {
		return perfProbe{}, err
	}
	return openPerfProbe(&unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1, Wakeup: 1}, allTasks, 0, program, p.Cookie)
}
