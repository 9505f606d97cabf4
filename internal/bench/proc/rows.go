package proc

import (
	"strconv"

	"sonde/internal/bench/report"
)

// Table is the layout of the report, with the targets sonde has set itself.
func Table() report.Table {
	return report.Table{Judged: judged, Reference: libbpf, Rows: []report.Row{
		{Section: thousands(forks) + " forks without an exec, as fast as one shell can", ID: "storm.printed", Title: "ends printed", Target: report.Always(forks)},
		{ID: "storm.lost", Title: "said to be lost", Target: report.Always(0)},
		{ID: "storm.cpu", Title: "CPU time of the tool for each", Unit: "µs", Target: report.RatioAtMost(1)},
		{ID: "storm.pays", Title: "what a fork and its end take longer, CPU time, 10th percentile", Unit: "µs"},
		{ID: "storm.rss", Title: "peak resident memory", Unit: "MiB"},
	}}
}

// Notes returns what stands below the table.
func Notes() []string {
	return []string{
		"Medians, [lowest–highest] where rounds differ. Every tool watches a cgroup in which a shell makes processes, one after the other, that end at once with status " +
			status + ". Percentiles are those of slices of " + thousands(stormForks) + " forks. Output goes to a file in memory.",
	}
}

// thousands writes a count of thousands for people.
func thousands(n int) string { return strconv.Itoa(n/1000) + ",000" }
