package script

import (
	"fmt"
	"strings"
)

// script is one program in the language, and the reference program that does the same. All scripts are in the form that
// bpftrace 0.17, bpftrace 0.27 and sonde all take; $1 is the process to watch.
type script struct {
	key, text string
	object    string // of the reference, without .bpf.c; "" for none
	probes    int
}

// The scripts whose cost for each event is measured; all watch getppid.
var (
	byComm = script{key: "comm", object: "comm", probes: 1,
		text: `tracepoint:syscalls:sys_enter_getppid /pid == $1/ { @[comm] = count(); }`}
	total = script{key: "count", object: "count", probes: 1,
		text: `tracepoint:syscalls:sys_enter_getppid /pid == $1/ { @ = count(); }`}
	byPID = script{key: "pid", object: "pid", probes: 1,
		text: `tracepoint:syscalls:sys_enter_getppid /pid == $1/ { @[pid] = count(); }`}
	latency = script{key: "hist", object: "hist", probes: 2,
		text: `tracepoint:syscalls:sys_enter_getppid /pid == $1/ { @start[tid] = nsecs; }
tracepoint:syscalls:sys_exit_getppid /@start[tid]/ { @ = hist(nsecs - @start[tid]); delete(@start[tid]); }`}
	// chain is never without its comparison of pid, and with one of what is at the end of the pointers.
	never = script{key: "never", object: "never", probes: 1,
		text: `tracepoint:syscalls:sys_enter_getppid /pid == $1 + 1000000000/ { @ = count(); }`}
	chain = script{key: "chain", object: "chain", probes: 1,
		text: `tracepoint:syscalls:sys_enter_getppid /pid == $1 && curtask->real_parent->real_parent->tgid == 999999999/ { @ = count(); }`}
	// empty is for the reference alone: what it costs is the unit of all others.
	empty = script{key: "empty", object: "empty", probes: 1}
)

// opens prints every openat.
var opens = script{key: "opens", object: "open", probes: 1,
	text: `tracepoint:syscalls:sys_enter_openat /pid == $1/ { printf("%s %s\n", comm, str(args->filename)); }`}

// everyEntry is on some 370 tracepoints.
var everyEntry = script{key: "entries",
	text: `tracepoint:syscalls:sys_enter_* /pid == $1/ { @ = count(); }`}

// byDescriptor makes a map of as many keys as there are descriptors closed.
var byDescriptor = script{key: "descriptors", probes: 1,
	text: `tracepoint:syscalls:sys_enter_close /pid == $1/ { @[args->fd] = count(); }`}

// assignments returns a script of n map assignments with different keys of 64 bytes, the final NUL included.
func assignments(n int) string {
	var b strings.Builder
	b.WriteString("BEGIN {\n")
	for i := range n {
		fmt.Fprintf(&b, "\t@[\"%063d\"] = %d;\n", i, i)
	}
	b.WriteString("\texit();\n}\n")
	return b.String()
}
