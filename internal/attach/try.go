package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
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

var (
	tracing  = []kernel.Capability{kernel.CapBPF, kernel.CapPerfmon}
	upgrade  = "use a kernel that has it"
	trialFor = map[kernel.Feature]*trial{}
)

// trials is the table of all features, in the order in which they are reported.
var trials = []trial{
	{kernel.BTF, nil, tryBTF,
		"this kernel does not show its types in " + kernel.VmlinuxBTF, "use a kernel built with CONFIG_DEBUG_INFO_BTF"},
	{kernel.Tracefs, []kernel.Capability{kernel.CapSysAdmin}, tryTracefs,
		"there is no tracefs", "`mount -t tracefs nodev /sys/kernel/tracing`, on a kernel built with CONFIG_TRACING"},
	{kernel.Tracepoint, tracing, tryTracepoint,
		"this kernel does not run BPF programs on tracepoints", "use a kernel built with CONFIG_BPF_EVENTS"},
	{kernel.RawTracepoint, tracing, tryRawTracepoint,
		"this kernel does not run BPF programs on raw tracepoints", "use a kernel built with CONFIG_BPF_EVENTS"},
	{kernel.Kprobe, tracing, tryKprobe,
		"this kernel is built without kprobes", "use a kernel built with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS"},
	{kernel.KprobeMulti, tracing, tryKprobeMulti,
		"this kernel cannot put one program on many functions at once", "use a kernel from 5.18 on, built with CONFIG_FPROBE"},
	{kernel.Fentry, tracing, tryFentry,
		"this kernel does not call BPF programs from function entries", "use a kernel with BTF and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"},
	{kernel.FmodRet, tracing, tryFmodRet,
		"this kernel does not let BPF programs modify the return of security hooks", "use a kernel with BTF and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"},
	{kernel.LSM, tracing, tryLSM,
		"this kernel is built without BPF LSM", "use a kernel built with CONFIG_BPF_LSM"},
	{kernel.Uprobe, tracing, tryUprobe,
		"this kernel is built without uprobes", "use a kernel built with CONFIG_UPROBE_EVENTS"},
	{kernel.UprobeMulti, tracing, tryUprobeMulti,
		"this kernel cannot put one program on many places of an executable at once", "use a kernel from 6.6 on"},
	{kernel.RingBuffer, []kernel.Capability{kernel.CapBPF}, tryRingBuffer,
		"this kernel has no BPF ring buffer", "use a kernel from 5.8 on"},
	{kernel.ReadKernel, tracing, tryReadKernel,
		"this kernel does not let BPF programs read its memory", upgrade},
	{kernel.OverrideReturn, tracing, tryOverrideReturn,
		"this kernel has no bpf_override_return", "use a kernel built with CONFIG_BPF_KPROBE_OVERRIDE, or fmod_ret or BPF LSM instead"},
	{kernel.Stats, []kernel.Capability{kernel.CapSysAdmin, kernel.CapBPF}, tryStats,
		"this kernel does not count the run time of BPF programs", "use a kernel from 5.8 on"},
}

func init() {
	for i := range trials {
		trialFor[trials[i].feature] = &trials[i]
	}
}

// Try finds out whether the running kernel, with the privileges held, allows one feature, by using it: it loads a small
// program, attaches it, does in this process what should make it run, and looks whether it ran. The programs count for this
// process only, never deny or change anything, and everything is closed when Try returns; that can take some tens of
// milliseconds, for the kernel waits until no CPU runs the program any more.
//
// A feature is Absent where the kernel cannot do it or refuses it to everybody, Untried where privileges are missing.
func Try(f kernel.Feature) kernel.Finding {
	t := trialFor[f]
	if t == nil {
		return kernel.Finding{Feature: f, State: kernel.Untried, Reason: "there is no such feature"}
	}
	memlock := RaiseMemlock()
	return t.finding(t.do(), memlock)
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
		found.State, found.Reason = kernel.Absent, errNeverRan.Error()
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		found.State, found.Reason, found.Remedy = t.refused(err, memlock, currentPrivileges())
	case shortOfResources(err):
		found.State, found.Reason, found.Remedy = kernel.Untried, "it could not be tried: "+err.Error(), "free resources and try again"
	case saysNoSuchThing(err):
		found.State, found.Reason, found.Remedy = kernel.Absent, t.absent, t.remedy
	default:
		found.State, found.Reason, found.Remedy = kernel.Absent, fmt.Sprintf("%s (%v)", t.absent, err), t.remedy
	}
	return found
}

// saysNoSuchThing tells the errors by which kernel and library say that they do not know a thing.
func saysNoSuchThing(err error) bool {
	for _, e := range []error{ebpf.ErrNotSupported, errNoPerfKind, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS, btf.ErrNotFound, fs.ErrNotExist} {
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

// refused finds the most likely reason for an EPERM or EACCES.
func (t *trial) refused(err, memlock error, p privileges) (state kernel.State, reason, remedy string) {
	missing := p.caps.Missing(t.needs...)
	switch {
	case len(missing) > 0:
		return kernel.Untried, "it cannot be tried without " + kernel.CapabilityList(missing), "run as root, or with " + kernel.CapabilityList(missing)
	case p.userNS:
		return kernel.Untried, "the capabilities of a user namespace do not count for it", "run in the initial user namespace, outside the container"
	case p.lockdown == kernel.LockdownIntegrity || p.lockdown == kernel.LockdownConfidentiality:
		return kernel.Absent, fmt.Sprintf("this kernel refuses it in lockdown mode %s (%s)", p.lockdown, refusal(err)),
			"boot without lockdown= and without Secure Boot, which switches lockdown on"
	case memlock != nil:
		return kernel.Untried, memlock.Error(), "run with CAP_SYS_RESOURCE, or after `ulimit -l unlimited`"
	case p.seccomped:
		return kernel.Untried, fmt.Sprintf("it was refused (%s), probably by the seccomp filter that is on this process", refusal(err)),
			"run outside the container, or with a seccomp profile that allows bpf and perf_event_open"
	}
	return kernel.Absent, fmt.Sprintf("refused by this kernel (%s), although the capabilities are there", refusal(err)),
		"use another kernel, or lift the security policy that forbids it"
}

// refusal says which errno came at which step: "EPERM when it tried to attach the program".
func refusal(err error) string {
	name := "EPERM"
	if errors.Is(err, unix.EACCES) {
		name = "EACCES"
	}
	var stage *stageError
	if errors.As(err, &stage) {
		return name + " when it tried to " + stage.step
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
