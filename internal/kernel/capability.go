package kernel

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Capability is a Linux capability, by the kernel's number (linux/capability.h).
type Capability uint8

// The capabilities that decide what sonde can do.
const (
	CapDACOverride   Capability = unix.CAP_DAC_OVERRIDE    // read tracefs and /proc of other users
	CapDACReadSearch Capability = unix.CAP_DAC_READ_SEARCH // the same, for reading only
	CapSysPtrace     Capability = unix.CAP_SYS_PTRACE      // read /proc/PID/{exe,cwd,ns} of other users' processes
	CapSysAdmin      Capability = unix.CAP_SYS_ADMIN       // mount tracefs, switch BPF statistics on; stands in for BPF and PERFMON
	CapSysResource   Capability = unix.CAP_SYS_RESOURCE    // raise RLIMIT_MEMLOCK
	CapPerfmon       Capability = unix.CAP_PERFMON         // tracing programs, perf events; kernel 5.8
	CapBPF           Capability = unix.CAP_BPF             // maps and programs; kernel 5.8
)

var capabilityNames = map[Capability]string{
	CapDACOverride:   "CAP_DAC_OVERRIDE",
	CapDACReadSearch: "CAP_DAC_READ_SEARCH",
	CapSysPtrace:     "CAP_SYS_PTRACE",
	CapSysAdmin:      "CAP_SYS_ADMIN",
	CapSysResource:   "CAP_SYS_RESOURCE",
	CapPerfmon:       "CAP_PERFMON",
	CapBPF:           "CAP_BPF",
}

// RelevantCapabilities are those that decide what sonde can do, the most important first.
func RelevantCapabilities() []Capability {
	return []Capability{CapBPF, CapPerfmon, CapSysAdmin, CapSysPtrace, CapDACReadSearch, CapDACOverride, CapSysResource}
}

// String returns the kernel's name, CAP_BPF.
func (c Capability) String() string {
	if name, ok := capabilityNames[c]; ok {
		return name
	}
	return fmt.Sprintf("capability %d", uint8(c))
}

// Capabilities is a set of capabilities, bit N for capability N.
type Capabilities uint64

// CapabilitySet makes a set.
func CapabilitySet(list ...Capability) (set Capabilities) {
	for _, c := range list {
		set |= 1 << c
	}
	return set
}

// Has says whether exactly that capability is in the set.
func (s Capabilities) Has(c Capability) bool { return s&(1<<c) != 0 }

// Allows says whether the kernel would let a holder of the set do what c is for: CAP_SYS_ADMIN stands in for CAP_BPF
// and CAP_PERFMON, CAP_DAC_OVERRIDE for CAP_DAC_READ_SEARCH.
func (s Capabilities) Allows(c Capability) bool {
	switch c {
	case CapBPF, CapPerfmon:
		return s.Has(c) || s.Has(CapSysAdmin)
	case CapDACReadSearch:
		return s.Has(c) || s.Has(CapDACOverride)
	}
	return s.Has(c)
}

// Missing returns those of need that the set does not allow, in the order given.
func (s Capabilities) Missing(need ...Capability) []Capability {
	var missing []Capability
	for _, c := range need {
		if !s.Allows(c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// CapabilityList joins names for a sentence: "CAP_BPF and CAP_PERFMON".
func CapabilityList(list []Capability) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.String()
	}
	if n := len(names); n > 2 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, " and ")
}

// EffectiveCapabilities returns what the calling thread may use now (capget(2)). An unreadable set is an empty one.
func EffectiveCapabilities() Capabilities {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // version 3 fills two: capabilities 0–31 and 32–63
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0
	}
	return Capabilities(data[0].Effective) | Capabilities(data[1].Effective)<<32
}

// initialUserNS is the inode number that the kernel gives to the first user namespace (PROC_USER_INIT_INO, linux/proc_ns.h).
const initialUserNS = 0xEFFFFFFD

// InUserNamespace says whether this process is in a user namespace of its own. There the effective set counts only for
// objects of that namespace, and BPF is not one of them.
func InUserNamespace() bool {
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &st) == nil && st.Ino != initialUserNS
}

// Seccomped says whether a seccomp filter is on the calling thread: container runtimes use one to refuse bpf(2) and
// perf_event_open(2) with EPERM, whatever the capabilities are.
func Seccomped() bool {
	status, err := readSmall("/proc/thread-self/status", 16<<10)
	return err == nil && seccompMode(status) != "0"
}

// seccompMode returns the value of the Seccomp line of a /proc/PID/status text, "0" where there is none.
func seccompMode(status string) string {
	for line := range strings.SplitSeq(status, "\n") {
		if value, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "0"
}
