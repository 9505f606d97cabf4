package malloc

import (
	"strconv"

	"sonde/internal/bench/report"
)

// Table is the layout of the report, with the targets sonde has set itself.
func Table() report.Table {
	return report.Table{Judged: judged, Reference: bcc, Rows: []report.Row{
		{Section: "A call of malloc, eleven functions deep, and its free", ID: "cost.call", Title: "wall time, median", Unit: "ns", Target: report.RatioAtMost(0.8)},
		{ID: "cost.ratio", Title: "as a multiple of an untraced one", Target: report.RatioAtMost(0.8)},
		{ID: "cost.longer", Title: "what it takes longer", Unit: "ns", Target: report.RatioAtMost(0.8)},
		{Section: strconv.Itoa(stacks) + " different stacks, once each", ID: "stacks.apart", Title: "stacks told apart", Target: report.Always(stacks)},
		{Section: "The tool", ID: "tool.rss", Title: "peak resident memory", Unit: "MiB"},
		{ID: "tool.cpu", Title: "CPU time, of all of the run", Unit: "ms"},
	}}
}

// Notes returns what stands below the table.
func Notes() []string {
	return []string{
		"Medians, [lowest–highest] where rounds differ. Every tool watches one process, in a single thread on one CPU, whose functions keep frame pointers; " +
			"an untraced call is measured before and after each tool. mallocstacks is a script of our own that does what bcc's example does (the headers that it compiles against are those of another kernel, " +
			"of which it needs the registers only); the one line is `" + oneLiner + "`. The peers watch malloc alone, sonde all functions that give memory. They put their probe on malloc's first instruction, which in this C library has to be stepped through in a copy: a second trap, and a very dear one in a virtual machine, as this is. sonde puts it a few instructions further on.",
	}
}
