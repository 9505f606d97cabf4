package bench

import (
	"fmt"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/report"
)

// Table is the layout of the report for the machine's own kernel, with the targets sonde has set itself.
func Table(scale Scale) report.Table {
	return report.Table{Judged: judged, Reference: reference, Rows: rows(scale)}
}

// GuestTable is the layout for a guest. It has no targets: what an emulated machine takes is not what a machine takes.
func GuestTable() report.Table {
	t := report.Table{Judged: judged, Reference: kprobes, Rows: rows(GuestScale)}
	for i := range t.Rows {
		t.Rows[i].Target = report.Target{}
	}
	return t
}

func rows(scale Scale) []report.Row {
	rows := []report.Row{
		{Section: "Start and stop", ID: "start.first", Title: "first record after", Unit: "ms", Target: report.RatioAtMost(0.7)},
		{ID: "start.cpu", Title: "CPU time until then", Unit: "ms", Target: report.RatioAtMost(0.7)},
		{ID: "start.rss", Title: "peak resident memory", Unit: "MiB", Target: report.AtMost(12)},
		{ID: "start.pinned", Title: "pinned kernel memory", Unit: "MiB", Target: report.Below(4)},
		{ID: "start.stop", Title: "SIGINT to end", Unit: "ms", Target: report.RatioAtMost(0.333)},
	}
	for _, s := range storms {
		rows = append(rows,
			report.Row{Section: fmt.Sprintf("%d execs, %s", s.count(scale), s.name), ID: s.key + ".printed", Title: "records shown", Target: report.Always(float64(s.count(scale)))},
			report.Row{ID: s.key + ".lost", Title: "records said to be lost", Target: report.Always(0)},
			report.Row{ID: s.key + ".cpu", Title: "CPU time per record", Unit: "µs", Target: cpuTarget(s)},
			report.Row{ID: s.key + ".rss", Title: "peak resident memory", Unit: "MiB", Target: report.AtMost(12)},
		)
	}
	return append(rows,
		report.Row{Section: "What a traced fork, exec and exit takes longer", ID: "cost.wall10", Title: "wall time, 10th percentile", Unit: "µs", Target: report.RatioAtMost(0.5)},
		report.Row{ID: "cost.wall50", Title: "wall time, median", Unit: "µs", Target: report.RatioAtMost(0.5)},
		report.Row{ID: "cost.cpu10", Title: "CPU time, 10th percentile", Unit: "µs", Target: report.RatioAtMost(0.5)},
		report.Row{ID: "cost.cpu50", Title: "CPU time, median", Unit: "µs", Target: report.RatioAtMost(0.5)},
		report.Row{Section: "On disk", ID: "size.program", Title: "program", Unit: "MiB", Target: report.Below(10)},
		report.Row{ID: "size.all", Title: "program and the shared libraries it maps", Unit: "MiB"},
	)
}

// cpuTarget is the target for CPU time per record. It is set for storms; and of 1,000 arguments the peers read 20 and 16,
// sonde all: there a ratio would compare different work.
func cpuTarget(s stormKind) report.Target {
	if s.args > 20 || s.trickle > 0 {
		return report.Target{}
	}
	return report.RatioAtMost(0.5)
}

// Notes returns what stands below the table for the machine's own kernel. Call it before anything is measured.
func Notes() []string {
	return append([]string{
		"Medians, [lowest–highest] where rounds differ. Every tool watches the whole machine and prints to a terminal of its own. " +
			"Resident memory in a storm is the peak since the start; pinned kernel memory is the maps of the tool's programs and its perf buffers. " +
			"Of 1,000 arguments execsnoop shows 20, execsnoop.bt 16.",
	}, Busy()...)
}

// Busy says in a note that others are using the machine, if they are. Call it before anything is measured.
func Busy() []string {
	if load := measure.Load(); load > 1 {
		return []string{fmt.Sprintf("Others were using the machine: its load was %.1f before the first round.", load)}
	}
	return nil
}

// GuestNotes stand below the table for a guest.
var GuestNotes = []string{
	"bpfcc's execsnoop needs kprobes and the kernel's headers, so it is measured in a guest: a stock Debian kernel in an emulated machine (qemu without KVM), " +
		"many times slower than a machine. Only the ratios mean anything.",
}
