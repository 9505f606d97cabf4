package attach

import (
	"errors"
	"io"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// The kernel's numbers of perf events, by their names and the short forms of some.
var (
	softwareEvents = map[string]uint64{
		"cpu-clock":        unix.PERF_COUNT_SW_CPU_CLOCK,
		"cpu":              unix.PERF_COUNT_SW_CPU_CLOCK,
		"task-clock":       unix.PERF_COUNT_SW_TASK_CLOCK,
		"page-faults":      unix.PERF_COUNT_SW_PAGE_FAULTS,
		"faults":           unix.PERF_COUNT_SW_PAGE_FAULTS,
		"context-switches": unix.PERF_COUNT_SW_CONTEXT_SWITCHES,
		"cs":               unix.PERF_COUNT_SW_CONTEXT_SWITCHES,
		"cpu-migrations":   unix.PERF_COUNT_SW_CPU_MIGRATIONS,
		"minor-faults":     unix.PERF_COUNT_SW_PAGE_FAULTS_MIN,
		"major-faults":     unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ,
		"alignment-faults": unix.PERF_COUNT_SW_ALIGNMENT_FAULTS,
		"emulation-faults": unix.PERF_COUNT_SW_EMULATION_FAULTS,
		"dummy":            unix.PERF_COUNT_SW_DUMMY,
		"bpf-output":       unix.PERF_COUNT_SW_BPF_OUTPUT,
	}
	hardwareEvents = map[string]uint64{
		"cpu-cycles":          unix.PERF_COUNT_HW_CPU_CYCLES,
		"cycles":              unix.PERF_COUNT_HW_CPU_CYCLES,
		"instructions":        unix.PERF_COUNT_HW_INSTRUCTIONS,
		"cache-references":    unix.PERF_COUNT_HW_CACHE_REFERENCES,
		"cache-misses":        unix.PERF_COUNT_HW_CACHE_MISSES,
		"branch-instructions": unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
		"branches":            unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
		"branch-misses":       unix.PERF_COUNT_HW_BRANCH_MISSES,
		"bus-cycles":          unix.PERF_COUNT_HW_BUS_CYCLES,
		"frontend-stalls":     unix.PERF_COUNT_HW_STALLED_CYCLES_FRONTEND,
		"backend-stalls":      unix.PERF_COUNT_HW_STALLED_CYCLES_BACKEND,
		"ref-cycles":          unix.PERF_COUNT_HW_REF_CPU_CYCLES,
	}
)

// openCounter makes counters of the CPU or of the kernel, which run the program each Period counts.
func openCounter(p *prog.Probe, program *ebpf.Program) ([]io.Closer, error) {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Sample: max(1, p.Period)}
	table := softwareEvents
	if p.Kind == prog.Hardware {
		attr.Type, table = unix.PERF_TYPE_HARDWARE, hardwareEvents
	}
	config, ok := table[p.Name]
	if !ok {
		return nil, adviceError("perf has no event of that name")
	}
	attr.Config = config
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
	case p.Kind == prog.Hardware && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP)):
		return nil, adviceError("this machine's CPU does not count it, or the hypervisor does not let it (%v); use a software event", err)
	}
	return nil, explained(err)
}
