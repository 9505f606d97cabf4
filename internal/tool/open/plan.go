package open

import (
	"errors"
	"fmt"
)

// Hook is where opens are seen.
type Hook string

// What --hook takes.
const (
	HookAuto       Hook = "auto"       // what sees most on this kernel
	HookRaw        Hook = "raw_tp"     // raw tracepoints of system calls
	HookTracepoint Hook = "tracepoint" // the syscalls:* events
	HookKprobe     Hook = "kprobe"     // do_sys_openat2, before 5.6 do_sys_open
	HookFentry     Hook = "fentry"     // do_sys_openat2 and do_handle_open
	HookLSM        Hook = "lsm"        // security_file_open, which asks the LSM hooks file_open
)

// Hooks lists them.
func Hooks() []Hook {
	return []Hook{HookAuto, HookRaw, HookTracepoint, HookKprobe, HookFentry, HookLSM}
}

// Facts are what this kernel can do, as it was found by trying.
type Facts struct {
	Preempts bool // raw tracepoint programs of system calls may be preempted, and the syscalls:* events are there
	Fentry   bool
	Kprobe   bool
	// Function says whether the kernel has a function that can be probed. It is asked only where Fentry or Kprobe is true.
	Function func(name string) bool
}

// Plan is how opens are seen.
type Plan struct {
	Hook Hook // never auto
	// Call is the function behind the system calls, for kprobe and fentry.
	Call string
	// Handle is the one behind open_by_handle_at, for fentry; empty where there is none.
	Handle string
	// Inner is the function that all opens by name come to, where it can be probed; empty: it cannot.
	Inner string
	// InnerKprobe takes a kprobe for Inner.
	InnerKprobe bool
	// Exec takes the end of an exec for its opens.
	Exec bool
}

var errNoFunction = errors.New("this kernel has no function do_sys_openat2 or do_sys_open that can be probed; take another --hook, or leave it to auto")

// Choose makes the Plan for a hook. An error says what this kernel lacks for it.
func Choose(hook Hook, k Facts) (Plan, error) {
	p := Plan{Hook: hook}
	has := func(names ...string) string {
		for _, name := range names {
			if k.Function != nil && k.Function(name) {
				return name
			}
		}
		return ""
	}
	switch hook {
	case HookAuto, HookRaw:
		p.Hook = HookRaw
		if hook == HookRaw {
			return p, nil
		}
		if k.Preempts {
			p.Hook = HookTracepoint
		}
		p.inner(k, has)
		return p, nil
	case HookTracepoint:
		return p, nil
	case HookKprobe:
		if !k.Kprobe {
			return p, errors.New("--hook kprobe: this kernel has no kprobes, or lockdown forbids them; leave it to auto")
		}
		if p.Call = has("do_sys_openat2", "do_sys_open"); p.Call == "" {
			return p, errNoFunction
		}
		return p, nil
	case HookFentry:
		if !k.Fentry {
			return p, errors.New("--hook fentry: this kernel puts no programs on functions (fentry); leave it to auto")
		}
		if p.Call = has("do_sys_openat2"); p.Call == "" {
			return p, errNoFunction
		}
		p.Handle = has("do_handle_open")
		p.inner(k, has)
		return p, nil
	case HookLSM:
		// A program of an LSM hook would see the same, only not where BPF is no LSM; and it has nothing against being run anew
		// while it is preempted.
		if !k.Fentry {
			return p, errors.New("--hook lsm: this kernel puts no programs on functions (fentry); leave it to auto")
		}
		return p, nil
	}
	return p, fmt.Errorf("--hook %q: the hooks are auto, raw_tp, tracepoint, kprobe, fentry and lsm", hook)
}

// inner chooses what sees the opens that no system call of the family makes.
func (p *Plan) inner(k Facts, has func(...string) string) {
	if k.Fentry || k.Kprobe {
		p.Inner = has("do_filp_open", "do_file_open")
		p.InnerKprobe = !k.Fentry
	}
	p.Exec = p.Inner == ""
}

// hooks says whether programs are needed that only the larger object has.
func (p Plan) hooks() bool { return p.Inner != "" || p.Hook != HookRaw && p.Hook != "" }

// Way is one way to open a file.
type Way string

// All ways, as they are told to the user.
const (
	WayOpen    = Way("open")
	WayOpenat  = Way("openat")
	WayOpenat2 = Way("openat2")
	WayCreat   = Way("creat")
	WayHandle  = Way("open_by_handle_at")
	WayIOUring = Way("io_uring")
	WayExec    = Way("opens by exec")
	WayScript  = Way("scripts and loaders of execs")
	WayKernel  = Way("the kernel's own opens")
	WayCompat  = Way("32-bit programs")
	WayFailed  = Way("failed opens")
)

// CannotShow lists the ways that a run by this Plan does not see.
func (p Plan) CannotShow() []Way {
	switch p.Hook {
	case HookLSM:
		return []Way{WayFailed}
	case HookKprobe:
		return []Way{WayHandle, WayIOUring, WayExec, WayKernel}
	}
	var ways []Way
	if p.Hook == HookFentry && p.Handle == "" {
		ways = append(ways, WayHandle)
	}
	if p.Inner == "" {
		ways = append(ways, WayIOUring)
		if p.Exec {
			ways = append(ways, WayScript, WayKernel)
		} else {
			ways = append(ways, WayExec, WayKernel)
		}
	}
	if p.Hook == HookTracepoint && p.Inner == "" {
		ways = append(ways, WayCompat)
	}
	return ways
}
