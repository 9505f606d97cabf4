package doctor

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
)

// found makes findings: present features, changed by the given ones.
func found(changed ...kernel.Finding) []kernel.Finding {
	list := []kernel.Finding{
		{Feature: kernel.BTF}, {Feature: kernel.RawTracepoint}, {Feature: kernel.FmodRet}, {Feature: kernel.LSM},
		{Feature: kernel.RingBuffer}, {Feature: kernel.ReadKernel}, {Feature: kernel.Stats},
	}
	for i := range list {
		list[i].State = kernel.Present
		for _, c := range changed {
			if c.Feature == list[i].Feature {
				list[i] = c
			}
		}
	}
	return list
}

func lacks(f kernel.Feature, reason, remedy string) kernel.Finding {
	return kernel.Finding{Feature: f, State: kernel.Absent, Reason: reason, Remedy: remedy}
}

func notTried(f kernel.Feature, reason, remedy string) kernel.Finding {
	return kernel.Finding{Feature: f, State: kernel.Untried, Reason: reason, Remedy: remedy}
}

func TestJudge(t *testing.T) {
	row := command{
		name: "tool",
		hard: []need{{kernel.RawTracepoint}, {kernel.RingBuffer}, {kernel.LSM, kernel.FmodRet}},
		soft: []softNeed{
			{feature: kernel.Stats, lost: "there is no cost"},
			{feature: kernel.BTF, lost: "there are no types"},
			{feature: kernel.Uprobe, or: kernel.RawTracepoint, lost: "never, for raw tracepoints are needed anyway"},
			{feature: kernel.FmodRet, or: kernel.LSM, lost: "never, for one of the two is needed anyway"},
			{capability: kernel.CapSysPtrace, lost: "there are no names"},
		},
	}
	tries := command{name: "doctor", tries: true}
	root := ^kernel.Capabilities(0)
	const (
		missing = "CAP_BPF and CAP_PERFMON are missing"
		asRoot  = "run as root, or with CAP_BPF and CAP_PERFMON"
	)
	for name, tc := range map[string]struct {
		row   command
		found []kernel.Finding
		held  kernel.Capabilities
		want  Command
	}{
		"all there": {row, found(), root, Command{"tool", Full, "", ""}},
		"one alternative is enough": {row, found(lacks(kernel.LSM, "inactive", "boot")), root,
			Command{"tool", Full, "", ""}},
		"the other one is enough": {row, found(lacks(kernel.FmodRet, "old", "upgrade")), root,
			Command{"tool", Full, "", ""}},
		"no alternative left": {row, found(lacks(kernel.LSM, "it is inactive", "boot"), lacks(kernel.FmodRet, "it is old", "upgrade")), root,
			Command{"tool", No, "it needs bpf_lsm or fmod_ret, but it is inactive", "boot"}},
		"one cause is said once": {row, found(notTried(kernel.RawTracepoint, missing, asRoot), notTried(kernel.RingBuffer, missing, asRoot)), 0,
			Command{"tool", No, "it needs raw_tracepoint and ringbuf, but " + missing, asRoot}},
		"two causes": {row, found(lacks(kernel.RawTracepoint, "it is old", "upgrade"), lacks(kernel.RingBuffer, "it is too old", "upgrade")), root,
			Command{"tool", No, "it needs raw_tracepoint, but it is old; it needs ringbuf, but it is too old", "upgrade"}},
		"in part": {row, found(lacks(kernel.Stats, "the kernel does not count", "upgrade")), root,
			Command{"tool", Part, "there is no cost, because the kernel does not count", "upgrade"}},
		"in part, for a capability": {row, found(), root &^ kernel.CapabilitySet(kernel.CapSysPtrace),
			Command{"tool", Part, "there are no names, because CAP_SYS_PTRACE is missing", "run as root, or with CAP_SYS_PTRACE"}},
		"in part, twice for one reason": {row, found(lacks(kernel.Stats, "no", "upgrade"), lacks(kernel.BTF, "no", "upgrade")), root,
			Command{"tool", Part, "there is no cost and there are no types, because no", "upgrade"}},
		"what does not work is not half": {row, found(lacks(kernel.RawTracepoint, "no", "upgrade"), lacks(kernel.Stats, "no cost", "")), 0,
			Command{"tool", No, "it needs raw_tracepoint, but no", "upgrade"}},
		"a feature nobody tried": {command{name: "tool", hard: []need{{kernel.Kprobe}}}, found(), root,
			Command{"tool", No, "it needs kprobe, but it was not tried", ""}},
		"absent is a result": {tries, found(lacks(kernel.LSM, "no", "upgrade")), 0,
			Command{"doctor", Full, "", ""}},
		"untried is none": {tries, found(notTried(kernel.LSM, missing, asRoot)), 0,
			Command{"doctor", Part, "it could not try 1 of 7 features, for the reasons given there", "run it as root, outside of containers"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.row.judge(tc.found, tc.held)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnumerate(t *testing.T) {
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		if got := enumerate(words); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCommandsTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range commands {
		if c.name == "" || seen[c.name] {
			t.Errorf("%q: no name, or a second row of it", c.name)
		}
		seen[c.name] = true
		for _, n := range c.hard {
			if len(n) == 0 {
				t.Errorf("%s: a need of nothing", c.name)
			}
		}
		for _, s := range c.soft {
			if (s.feature == "") == (s.capability == 0) || s.lost == "" {
				t.Errorf("%s: %+v must name a feature or a capability, and what is lost", c.name, s)
			}
		}
	}
}
