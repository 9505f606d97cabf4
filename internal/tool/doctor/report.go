package doctor

import (
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"sonde/internal/attach"
	"sonde/internal/kernel"
)

// Report is what `sonde doctor` found. All text in it is free of control characters.
type Report struct {
	Release, Arch string // as uname(2) gives them, for display
	UID           int    // effective
	// Capabilities are those held of the ones that matter to sonde; Missing are the others of them.
	Capabilities, Missing []string
	// UserNamespace is true in a user namespace of its own, where capabilities do not count for BPF.
	UserNamespace bool
	Lockdown      kernel.LockdownMode
	LSMs          []string // active security modules; nil where securityfs is not mounted
	// Tracefs is where tracefs is mounted, TracefsPrivate where sonde mounts it for itself, "" where it cannot be had.
	Tracefs string
	// UnprivilegedBPF and PerfParanoid are kernel.unprivileged_bpf_disabled and kernel.perf_event_paranoid; nil where the
	// kernel does not have them.
	UnprivilegedBPF, PerfParanoid *int
	Features                      []kernel.Finding
	Commands                      []Command
}

// TracefsPrivate stands in Report.Tracefs for a mount that only this process sees.
const TracefsPrivate = "private"

// Collect tries every feature of the running kernel with the privileges held, and judges sonde's commands by that. It takes
// some tenths of a second, changes nothing, and works without any privilege.
func Collect() Report {
	var r Report
	r.Release, r.Arch = kernel.Release()
	r.Release, r.Arch = clean(r.Release), clean(r.Arch)
	r.UID = os.Geteuid()
	held := kernel.EffectiveCapabilities()
	for _, c := range kernel.RelevantCapabilities() {
		if held.Has(c) {
			r.Capabilities = append(r.Capabilities, c.String())
		} else {
			r.Missing = append(r.Missing, c.String())
		}
	}
	r.UserNamespace = kernel.InUserNamespace()
	r.Lockdown = kernel.Lockdown()
	for _, name := range kernel.ActiveLSMs() {
		r.LSMs = append(r.LSMs, clean(name))
	}
	if dir, err := kernel.TracefsDir(); err == nil {
		r.Tracefs = clean(dir)
		if strings.HasPrefix(dir, "/proc/self/fd/") {
			r.Tracefs = TracefsPrivate
		}
	}
	r.UnprivilegedBPF = setting("kernel/unprivileged_bpf_disabled")
	r.PerfParanoid = setting("kernel/perf_event_paranoid")
	r.Features = attach.TryAll()
	for i := range r.Features {
		f := &r.Features[i]
		f.Reason, f.Remedy = clean(f.Reason), clean(f.Remedy)
	}
	r.Commands = judgeAll(r.Features, held)
	return r
}

func judgeAll(found []kernel.Finding, held kernel.Capabilities) []Command {
	out := make([]Command, len(commands))
	for i := range commands {
		out[i] = commands[i].judge(found, held)
	}
	return out
}

func setting(name string) *int {
	n, err := kernel.Sysctl(name)
	if err != nil {
		return nil
	}
	return &n
}

// clean replaces what could harm a terminal or break a line: some of the text comes from the kernel, some from mount points
// that anybody may have named.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
