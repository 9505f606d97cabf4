package doctor

import "sonde/internal/kernel"

// command is one row of the table below: what a sonde command needs, and what is lost without it.
type command struct {
	name string
	// hard needs: without one of them the command does not work.
	hard []need
	// soft needs: without one of them it works in part.
	soft []softNeed
	// tries marks the command whose work is the trying: what could not be tried is lost to it.
	tries bool
}

// need is met by any one of its features; the first is the best.
type need []kernel.Feature

// softNeed names a feature or a capability (the other is left zero), and what is lost without it, as a clause. A second
// feature may do in place of the first.
type softNeed struct {
	feature    kernel.Feature
	or         kernel.Feature
	capability kernel.Capability
	lost       string
}

// commands is the table of sonde's commands. A new tool adds its row here.
var commands = []command{
	{
		name: "exec",
		hard: []need{{kernel.RawTracepoint}, {kernel.RingBuffer}, {kernel.ReadKernel}, {kernel.BTF}},
		soft: []softNeed{
			{feature: kernel.Stats, lost: "the accounting at the end has no kernel cost"},
			{capability: kernel.CapSysPtrace, lost: "other users' processes may be shown without their executable and container"},
		},
	},
	{
		name: "open",
		hard: []need{{kernel.RawTracepoint}, {kernel.RingBuffer}, {kernel.ReadKernel}, {kernel.BTF}},
		soft: []softNeed{
			{feature: kernel.Fentry, or: kernel.Kprobe, lost: "opens by io_uring, and of an exec the script and the loader, are not shown"},
			{feature: kernel.Stats, lost: "the accounting at the end has no kernel cost"},
			{capability: kernel.CapSysPtrace, lost: "other users' processes may be shown without their container"},
		},
	},
	{
		name: "proc",
		hard: []need{{kernel.RawTracepoint}, {kernel.RingBuffer}, {kernel.ReadKernel}, {kernel.BTF}},
		soft: []softNeed{
			{feature: kernel.Stats, lost: "the accounting at the end has no kernel cost"},
			{capability: kernel.CapSysPtrace, lost: "ends of other users' processes that ran already may be shown without their arguments"},
		},
	},
	{
		name: "guard",
		hard: []need{
			{kernel.RawTracepoint}, {kernel.RingBuffer}, {kernel.ReadKernel}, {kernel.BTF},
		},
		soft: []softNeed{
			{feature: kernel.LSM, or: kernel.FmodRet, lost: "it can kill, which comes late, and not deny"},
			{feature: kernel.Kprobe, or: kernel.LSM, lost: "it sees opens and execs only, not what else is done to files"},
			{feature: kernel.Stats, lost: "the accounting at the end has no kernel cost"},
			{capability: kernel.CapSysPtrace, lost: "it is not told who holds files already"},
		},
	},
	{
		name: "malloc",
		hard: []need{{kernel.RawTracepoint}, {kernel.RingBuffer}, {kernel.ReadKernel}, {kernel.BTF}, {kernel.Uprobe}},
		soft: []softNeed{
			{capability: kernel.CapSysPtrace, lost: "other users' processes cannot be looked into"},
		},
	},
	{
		name: "run",
		hard: []need{{kernel.RawTracepoint}, {kernel.RingBuffer}, {kernel.ReadKernel}},
		soft: []softNeed{
			{feature: kernel.Tracepoint, lost: "there are no tracepoint probes"},
			{feature: kernel.Kprobe, lost: "there are no kprobes"},
			{feature: kernel.Fentry, lost: "there are no fentry and fexit probes"},
			{feature: kernel.Uprobe, lost: "there are no uprobes"},
			{feature: kernel.BTF, lost: "scripts know no types of the kernel"},
			{capability: kernel.CapSysPtrace, lost: "addresses of other users' processes may have no names"},
		},
	},
	{
		name: "list",
		soft: []softNeed{
			{feature: kernel.Tracefs, lost: "tracepoints are not listed"},
			{feature: kernel.BTF, lost: "arguments of functions are not shown"},
		},
	},
	{
		name:  "doctor",
		tries: true,
	},
}
