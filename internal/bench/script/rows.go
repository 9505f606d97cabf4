package script

import (
	"fmt"

	"sonde/internal/bench/report"
)

// asGoodAsC is the target for what a program costs in the kernel, relative to the same in C.
var asGoodAsC = report.RatioAtMost(1.1)

// Table is the layout of the report, with the targets sonde has set itself.
func Table() report.Table {
	return report.Table{Judged: judged, Reference: newest, Second: inC, Rows: []report.Row{
		{Section: "What a script adds to a getppid, in empty programs", ID: "cost.comm", Title: "`@[comm] = count()`", Target: report.RatioAtMost(0.6), Second: asGoodAsC},
		{ID: "cost.count", Title: "`@ = count()`", Target: report.RatioAtMost(0.5), Second: asGoodAsC},
		{ID: "cost.pid", Title: "`@[pid] = count()`", Target: report.RatioAtMost(0.7), Second: asGoodAsC},
		{ID: "cost.hist", Title: "`@start[tid] = nsecs`, then `hist(nsecs - @start[tid])`", Target: report.RatioAtMost(0.75), Second: asGoodAsC},
		{ID: "cost.never", Title: "`pid == $1`, never true", Second: asGoodAsC},
		{ID: "cost.chain", Title: "the same `&& curtask->real_parent->real_parent->tgid == N`", Second: asGoodAsC},
		{ID: "cost.above", Title: "these three pointers alone", Target: report.RatioAtMost(0.25)},
		{ID: "cost.empty", Title: "an empty program in C", Unit: "ns"},

		{Section: fmt.Sprintf("%d openat as fast as they go, comm and path of each printed", floodEvents),
			ID: "flood.delivered", Title: "lines printed", Target: report.Always(floodEvents)},
		{ID: "flood.cpu", Title: "CPU time of the tool for each line", Unit: "ns", Target: report.RatioAtMost(1. / 15)},
		{ID: "flood.slow10", Title: "what an openat takes longer, CPU time, 10th percentile", Unit: "ns", Target: report.RatioAtMost(0.65), Second: asGoodAsC},
		{ID: "flood.slow50", Title: "what an openat takes longer, wall time, median", Unit: "ns", Target: report.RatioAtMost(0.65), Second: asGoodAsC},
		{ID: "flood.rss", Title: "peak resident memory", Unit: "MiB"},

		{Section: "Start of the same script", ID: "start.first", Title: "first line after", Unit: "ms"},
		{ID: "start.cpu", Title: "CPU time until then", Unit: "ms", Target: report.RatioAtMost(1. / 20)},
		{ID: "start.rss", Title: "peak resident memory", Unit: "MiB", Target: report.RatioAtMost(1. / 15)},

		{Section: "Stop of `tracepoint:syscalls:sys_enter_* { @ = count(); }`", ID: "stop.wall", Title: "SIGINT to end", Unit: "ms", Target: report.RatioAtMost(1. / 25)},

		{Section: fmt.Sprintf("A script of %d map assignments, keys of 64 bytes, from start to end", assigned),
			ID: "compile.cpu", Title: "CPU time", Unit: "ms", Target: report.RatioAtMost(1. / 20)},
		{ID: "compile.wall", Title: "wall time", Unit: "ms"},

		{Section: fmt.Sprintf("A map of %d keys, printed at the end", dumped), ID: "dump.keys", Title: "keys printed", Target: report.Always(dumped)},
		{ID: "dump.cpu", Title: "CPU time from SIGINT to end", Unit: "ms", Target: report.RatioAtMost(1. / 5)},
		{ID: "dump.wall", Title: "wall time from SIGINT to end", Unit: "ms"},
	}}
}

// Notes returns what stands below the table.
func Notes() []string {
	return []string{
		"Medians, [lowest–highest] where rounds differ. All tools run the same scripts, restricted to one process that makes the calls in a single thread on one CPU. " +
			"The first section is CPU time of that thread: the 10th percentile of slices under a script less that of slices without one, divided by what an empty C program on " +
			"the same tracepoint adds in the same round. What takes a tool more than 20 s is done once. Output goes to a file in memory, at the start to a terminal. " +
			"The programs in C are attached to tracepoints by libbpf; the one that prints has a reader that naps for 1 ms.",
	}
}
