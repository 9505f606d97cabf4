package attach

import (
	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// PreemptsRawTracepoints says whether raw tracepoint programs of system calls may be preempted on this kernel. A program
// that is preempted is not run for other tasks of its CPU until it is done: those runs are left out (recursion_misses).
//
// Found by trying: the kernels that let such programs be preempted are those that let them sleep, which a flag at load
// asks for. Without the privilege to load anything the answer is no.
func PreemptsRawTracepoints() bool {
	p := trialProgram{kind: ebpf.RawTracepoint, flags: unix.BPF_F_SLEEPABLE, code: emptyProgram}
	return p.load(nil) == nil
}
