package guard

import "sonde/internal/tool/guard/rule"

// Mechanism is how a decision of guard takes effect.
type Mechanism string

// From the strongest to the weakest.
const (
	LSM      Mechanism = "lsm"      // BPF LSM: denies, where the module is active
	FmodRet  Mechanism = "fmod_ret" // changes what security_* returns: denies
	Override Mechanism = "override" // changes what a system call returns: denies by the caller's string, which can be got around
	Kill     Mechanism = "kill"     // SIGKILL, which comes late: the operation itself completes
)

// Mechanisms lists them, the strongest first.
func Mechanisms() []Mechanism { return []Mechanism{LSM, FmodRet, Override, Kill} }

// As guard.h numbers them, from 1.
func (m Mechanism) number() uint32 {
	for i, other := range Mechanisms() {
		if m == other {
			return uint32(i) + 1
		}
	}
	return 0
}

func mechanismOf(number uint8) Mechanism {
	if all := Mechanisms(); number >= 1 && int(number) <= len(all) {
		return all[number-1]
	}
	return ""
}

// Missed says what it means when the kernel left out runs of the programs.
const Missed = "an access may have gone through that a rule forbids; --mechanism lsm has no such gap"

// LeftOut says whether the kernel leaves out runs of this mechanism's programs where it preempts them: while one is preempted on a
// CPU, other tasks come by there unasked. It counts them (recursion_misses). Programs of LSM hooks always run. Seen on 7.2,
// where two busy threads on two emulated CPUs came by in one of eight opens; kernels that do not preempt programs
// (attach.PreemptsRawTracepoints) have no such gap.
func (m Mechanism) LeftOut() bool { return m == FmodRet || m == Override }

// Denies says whether the mechanism can make an operation fail.
func (m Mechanism) Denies() bool { return m != Kill }

// Outcome is what came of a match.
type Outcome uint8

// As guard.h has them.
const (
	Logged  Outcome = iota + 1 // the rule asks for no more; or it asks for a kill and this is process 1 or a kernel thread
	Denied                     // the operation failed
	Killed                     // the process gets SIGKILL, the operation goes on
	Late                       // Killed, where the rule wants a denial and the mechanism has none
	Limited                    // only logged, because more was denied this second than --max-denies lets
	DryRun                     // only logged, in a dry run
)

var outcomeNames = [...]string{
	Logged: "logged", Denied: "denied", Killed: "killed", Late: "late", Limited: "rate-limited", DryRun: "dry-run",
}

// String is the outcome as records show it; empty for none.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return ""
}

// protects says whether an action keeps somebody from something.
func protects(a rule.Action) bool { return a == rule.Kill || a == rule.Deny || a == rule.DenyKill }
