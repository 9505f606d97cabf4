package cli

import (
	"os"
	"strings"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/tool/open"
)

// openFacts are what this kernel can do for a hook, found by trying no more than the hook is about.
func openFacts(hook open.Hook) open.Facts {
	trials := attach.Trials()
	k := open.Facts{Function: hasFunction}
	switch hook {
	case open.HookAuto:
		k.Preempts = attach.PreemptsRawTracepoints() && attach.MayTrace("syscalls", "sys_enter_openat")
		k.Fentry = trials.Has(kernel.Fentry)
		k.Kprobe = !k.Fentry && trials.Has(kernel.Kprobe)
	case open.HookKprobe:
		k.Kprobe = trials.Has(kernel.Kprobe)
	case open.HookFentry, open.HookLSM:
		k.Fentry = trials.Has(kernel.Fentry)
	}
	return k
}

// subvolume is where btrfs keeps the device of a file. Where none is mounted, the kernel's types are not read for it.
func subvolume() kernel.Subvolume {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || !kernel.Mounted(string(table), "btrfs") {
		return kernel.Subvolume{}
	}
	return kernel.RunningSubvolume()
}

// hasFunction says whether the kernel's types know a function: one that the compiler has put into its callers is not there.
func hasFunction(name string) bool {
	types, err := kernel.RunningTypes()
	if err != nil {
		return false
	}
	_, ok := types.Find(kernel.BTFFunc, name)
	return ok
}

// cannotShow says in one sentence which ways of opening a run does not see; empty: it sees all.
func cannotShow(ways []open.Way) string {
	if len(ways) == 0 {
		return ""
	}
	names := make([]string, len(ways))
	for i, w := range ways {
		names[i] = string(w)
	}
	return "not shown by this hook on this kernel: " + strings.Join(names, ", ")
}
