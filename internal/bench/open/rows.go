package open

import (
	"fmt"
	"time"

	"sonde/internal/bench/report"
)

// pays is the target for what a traced open takes longer, in empty programs.
var pays = report.AtMost(4)

// Table is the layout of the report, with the targets sonde has set itself.
func Table() report.Table {
	var rows []report.Row
	for _, f := range floods {
		key := "flood." + f.key
		rows = append(rows,
			report.Row{Section: fmt.Sprintf("%s opens as fast as they go, %s", commas(floodOpens), f.name),
				ID: key + ".printed", Title: "records printed", Target: report.Always(floodOpens)},
			report.Row{ID: key + ".lost", Title: "said to be lost", Target: report.Always(0)},
			report.Row{ID: key + ".cpu", Title: "CPU time of the tool for each record", Unit: "ns", Target: report.RatioAtMost(1. / 3)},
			report.Row{ID: key + ".pays", Title: "what an open takes longer, CPU time, 10th percentile, in empty programs", Target: pays},
			report.Row{ID: key + ".longer", Title: "what an open takes longer, wall time, median", Unit: "ns"},
			report.Row{ID: key + ".rss", Title: "peak resident memory", Unit: "MiB"},
		)
	}
	return report.Table{Judged: judged, Reference: libbpf, Rows: append(rows,
		report.Row{Section: "The first of these floods, and the smallest buffer that the tool takes", ID: "small.printed", Title: "records printed"},
		report.Row{ID: "small.lost", Title: "said to be lost"},
		report.Row{ID: "small.sum", Title: "both together", Target: report.Always(floodOpens)},

		report.Row{Section: fmt.Sprintf("One open every %d µs", pace/time.Microsecond), ID: "paced.pays",
			Title: "what an open takes longer, wall time, 10th percentile, in empty programs", Target: pays},
		report.Row{ID: "paced.longer", Title: "the same, median", Unit: "ns"},
		report.Row{ID: "paced.cpu", Title: "CPU time of the tool for each open", Unit: "µs"},

		report.Row{Section: "Start and stop", ID: "start.first", Title: "first record after", Unit: "ms", Target: report.RatioAtMost(0.7)},
		report.Row{ID: "start.cpu", Title: "CPU time until then", Unit: "ms"},
		report.Row{ID: "start.rss", Title: "peak resident memory", Unit: "MiB"},
		report.Row{ID: "start.stop", Title: "SIGINT to end", Unit: "ms"},
	)}
}

// Notes returns what stands below the table.
func Notes() []string {
	return []string{
		"Medians, [lowest–highest] where rounds differ. Every tool watches one process that opens and closes files in a single thread on one CPU; " +
			"opensnoop.bt, which takes no process, was given a filter for it, and the one line is `" + oneLiner + "`, which shows neither results nor what was reached. " +
			"A tool that drops records looks cheaper to the traced program than one that delivers them. " +
			"An empty program is C that does nothing on the entry and the return of openat, measured in the same round; 10th percentiles and medians are those of slices of " +
			commas(floodCalls) + " and " + commas(pacedCalls) + " opens. A busy core runs a loop without end. Output goes to a file in memory, at the start to a terminal.",
	}
}
