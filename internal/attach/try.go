package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// A trial is how one feature is tried.
type trial struct {
	feature kernel.Feature
	needs   []kernel.Capability // what the kernel asks of him who does it
	do      func() error        // nil: it was done, and seen to work
	// absent and remedy are said when the kernel turned out not to have it, without a more exact reason from do.
	absent, remedy string
}

// tracingCaps are what tracing programs need (kernel 5.8).
var tracingCaps = []kernel.Capability{kernel.CapBPF, kernel.CapPerfmon}

// trials is the table of all features, in the order in which they are reported.
var trials = []trial{
	{kernel.BTF, nil, tryBTF,
		"this kernel does not show its types in " + kernel.VmlinuxBTF, "use a kernel built with CONFIG_DEBUG_INFO_BTF"},
	{kernel.Tracefs, nil, tryTracefs,
		"there is no tracefs", "`mount -t tracefs nodev /sys/kernel/tracing`, on a kernel built with CONFIG_TRACING"},
	{kernel.Tracepoint, tracingCaps, tryTracepoint,
		"this kernel does not run BPF programs on tracepoints", "use a kernel built with CONFIG_BPF_EVENTS"},
	{kernel.RawTracepoint, tracingCaps, tryRawTracepoint,
		"this kernel does not run BPF programs on raw tracepoints", "use a kernel built with CONFIG_BPF_EVENTS"},
	{kernel.Kprobe, tracingCaps, tryKprobe,
		"this kernel is built without kprobes", "use a kernel built with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS"},
	{kernel.KprobeMulti, tracingCaps, tryKprobeMulti,
		"this kernel cannot put one program on many functions at once", "use a kernel from 5.18 on, built with CONFIG_FPROBE"},
	{kernel.Fentry, tracingCaps, tryFentry,
		"this kernel does not call BPF programs from function entries", "use a kernel with BTF and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"},
	{kernel.FmodRet, tracingCaps, tryFmodRet,
		"this kernel does not let BPF programs modify the return of security hooks", "use a kernel with BTF and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"},
	{kernel.LSM, tracingCaps, tryLSM,
		"this kernel is built without BPF LSM", "use a kernel built with CONFIG_BPF_LSM"},
	{kernel.Uprobe, tracingCaps, tryUprobe,
		"this kernel is built without uprobes", "use a kernel built with CONFIG_UPROBE_EVENTS"},
	{kernel.UprobeMulti, tracingCaps, tryUprobeMulti,
		"this kernel cannot put one program on many places of an executable at once", "use a kernel from 6.6 on"},
	{kernel.RingBuffer, tracingCaps, tryRingBuffer,
		"this kernel has no BPF ring buffer", "use a kernel from 5.8 on"},
	{kernel.ReadKernel, tracingCaps, tryReadKernel,
		"this kernel does not let BPF programs read its memory", "use a kernel from 5.5 on"},
	{kernel.FetchAtomics, tracingCaps, tryFetchAtomics,
		"this kernel's BPF has no atomic instructions that return the old value", "use a kernel from 5.12 on"},
	{kernel.OverrideReturn, tracingCaps, tryOverrideReturn,
		"this kernel has no bpf_override_return", "use a kernel built with CONFIG_BPF_KPROBE_OVERRIDE, or fmod_ret or BPF LSM instead"},
	{kernel.FmodRetSyscall, tracingCaps, tryFmodRetSyscall,
		"this kernel does not let BPF programs modify the return of system calls", "use fmod_ret or BPF LSM instead, which do more"},
	{kernel.Stats, []kernel.Capability{kernel.CapSysAdmin, kernel.CapBPF}, tryStats,
		"this kernel does not count the run time of BPF programs", "use a kernel from 5.8 on"},
}

// Try finds out whether the running kernel, with the privileges held, allows one feature, by using it: it loads a small
// program, attaches it, does in this process what should make it run, and looks whether it ran. The programs count for this
// process only, never deny or change anything, and everything is closed when Try returns; that can take some tens of
// milliseconds, for the kernel waits until no CPU runs the program any more.
//
// A feature is Absent where the kernel cannot do it or refuses it to everybody, Untried where privileges are missing.
func Try(f kernel.Feature) kernel.Finding {
	for i := range trials {
		if t := &trials[i]; t.feature == f {
			memlock := RaiseMemlock()
			return t.finding(t.do(), memlock)
		}
	}
	return kernel.Finding{Feature: f, State: kernel.Untried, Reason: "sonde knows no such feature"}
}

// TryAll tries every feature, all at the same time, and returns what it found in a fixed order.
func TryAll() []kernel.Finding {
	found := make([]kernel.Finding, len(trials))
	var wg sync.WaitGroup
	for i := range trials {
		wg.Go(func() { found[i] = Try(trials[i].feature) })
	}
	wg.Wait()
	return found
}

// verdict is an error that already knows what is to be reported.
type verdict kernel.Finding

func (v verdict) Error() string { return v.Reason }

// finding turns the outcome of a try into words. memlock is RaiseMemlock's answer, which explains an EPERM on old kernels.
func (t *trial) finding(err, memlock error) kernel.Finding {
	found := kernel.Finding{Feature: t.feature}
	var known verdict
	switch {
	case err == nil:
		found.State = kernel.Present
	case errors.As(err, &known):
		found.State, found.Reason, found.Remedy = known.State, known.Reason, known.Remedy
	case errors.Is(err, errNeverRan):
		found.State, found.Reason, found.Remedy = kernel.Absent, errNeverRan.Error(), "use another kernel"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		found.State, found.Reason, found.Remedy = t.refused(err, memlock, currentPrivileges())
	case shortOfResources(err):
		found.State, found.Reason, found.Remedy = kernel.Untried, "the try failed for want of resources: "+err.Error(), "free them and try again"
	case saysNoSuchThing(err):
		found.State, found.Reason, found.Remedy = kernel.Absent, t.absent, t.remedy
	default:
		found.State, found.Reason, found.Remedy = kernel.Absent, fmt.Sprintf("%s (%v)", t.absent, err), t.remedy
	}
	return found
}

// saysNoSuchThing tells the errors by which kernel and library say that they do not know a thing.
func saysNoSuchThing(err error) bool {
	for _, e := range []error{ebpf.ErrNotSupported, unix.EINVAL, unix.ENODEV, unix.EOPNOTSUPP, unix.ENOSYS, btf.ErrNotFound, fs.ErrNotExist} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func shortOfResources(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC, unix.EAGAIN, unix.EBUSY} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// privileges are what can be behind an EPERM.
type privileges struct {
	caps      kernel.Capabilities
	userNS    bool
	seccomped bool
	lockdown  kernel.LockdownMode
}

func currentPrivileges() privileges {
	return privileges{kernel.EffectiveCapabilities(), kernel.InUserNamespace(), kernel.Seccomped(), kernel.Lockdown()}
}

// lessLockdown is the remedy for what only the mode confidentiality takes away.
const lessLockdown = "boot with lockdown=integrity or without lockdown"

// refused finds the most likely reason for an EPERM or EACCES.
func (t *trial) refused(err, memlock error, p privileges) (state kernel.State, reason, remedy string) {
	needs := t.needs
	var more *needsError
	if errors.As(err, &more) {
		needs = append(slices.Clone(needs), more.capability)
	}
	missing := p.caps.Missing(needs...)
	switch {
	case len(missing) > 0:
		are := " is missing"
		if len(missing) > 1 {
			are = " are missing"
		}
		list := kernel.CapabilityList(missing)
		return kernel.Untried, list + are, "run as root, or with " + list
	case p.userNS:
		return kernel.Untried, "the capabilities held count only inside this user namespace", "run in the initial user namespace, outside the container"
	case p.lockdown == kernel.LockdownConfidentiality:
		return kernel.Absent, fmt.Sprintf("this kernel refuses it in lockdown mode %s (%s)", p.lockdown, refusedStep(err)), lessLockdown
	case p.lockdown == kernel.LockdownIntegrity:
		return kernel.Absent, fmt.Sprintf("this kernel refuses it in lockdown mode %s (%s)", p.lockdown, refusedStep(err)),
			"boot without lockdown= and without Secure Boot, which switches it on"
	case memlock != nil: // before the next, because it is a plain EPERM too
		return kernel.Untried, memlock.Error(), "run with CAP_SYS_RESOURCE, or after `ulimit -l unlimited`"
	case !p.caps.Has(kernel.CapSysAdmin):
		// What the documented capabilities allow, some kernels still keep for CAP_SYS_ADMIN: 6.18 for one wants it for uprobe
		// perf events, and distributions add settings of their own.
		return kernel.Untried, fmt.Sprintf("this kernel refuses it (%s) without CAP_SYS_ADMIN", refusedStep(err)), "run as root, or with CAP_SYS_ADMIN"
	case p.seccomped:
		return kernel.Untried, fmt.Sprintf("the kernel refused it (%s), probably for the seccomp filter that is on this process", refusedStep(err)),
			"run outside the container, or with a seccomp profile that allows bpf and perf_event_open"
	}
	return kernel.Absent, fmt.Sprintf("this kernel refuses it (%s), although the capabilities are there", refusedStep(err)),
		"use another kernel, or lift the security policy that forbids it"
}

// refusedStep says which errno came at which step: "EPERM, trying to attach the program".
func refusedStep(err error) string {
	name := "EPERM"
	if errors.Is(err, unix.EACCES) {
		name = "EACCES"
	}
	var stage *stageError
	if errors.As(err, &stage) {
		return name + ", trying to " + stage.step
	}
	return name
}

// kernelFunction is the name of the function behind a system call in the kernel's symbol table.
func kernelFunction(call string) string {
	if runtime.GOARCH == "arm64" {
		return "__arm64_sys_" + call
	}
	return "__x64_sys_" + call
}

// lsmParameter returns what to put on the kernel's command line: the modules that are active now, and bpf.
func lsmParameter() string {
	active := kernel.ActiveLSMs()
	if len(active) == 0 {
		return "lsm=...,bpf"
	}
	return "lsm=" + strings.Join(append(active, "bpf"), ",")
}
