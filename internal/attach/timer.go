package attach

import (
	"errors"
	"io"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// openTimer makes clocks that run the program: one for interval probes, one on each CPU for profile probes. They tick by the
// CPU's own high-resolution timer, also while nothing runs there.
func openTimer(p *prog.Probe, program *ebpf.Program) ([]io.Closer, error) {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Sample: p.Period}
	if p.Frequency > 0 {
		attr.Sample, attr.Bits = p.Frequency, unix.PerfBitFreq
	}
	if attr.Sample == 0 {
		return nil, adviceError("a timer needs a period or a frequency")
	}
	on, err := openTicking(attr, p, program)
	if errors.Is(err, unix.EINVAL) && p.Frequency > 0 {
		return nil, adviceError("%d Hz is too fast for this kernel; see the sysctl kernel.perf_event_max_sample_rate", p.Frequency)
	}
	if err != nil {
		return nil, explained(err)
	}
	return on, nil
}

func openTicking(attr unix.PerfEventAttr, p *prog.Probe, program *ebpf.Program) ([]io.Closer, error) {
	switch {
	case p.Kind == prog.Interval:
		cpus, err := onlineCPUs()
		if err != nil {
			return nil, err
		}
		one, err := openPerfProbe(&attr, allTasks, cpus[0], program, p.Cookie)
		if err != nil {
			return nil, err
		}
		return []io.Closer{one}, nil
	case p.PID != 0:
		return openOnProcess(attr, p.PID, program, p.Cookie)
	}
	return openOnCPUs(attr, program, p.Cookie)
}
