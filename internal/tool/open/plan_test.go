package open

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func names(have ...string) func(string) bool {
	return func(name string) bool {
		for _, n := range have {
			if n == name {
				return true
			}
		}
		return false
	}
}

func TestChoose(t *testing.T) {
	all := names("do_sys_openat2", "do_sys_open", "do_filp_open", "do_handle_open")
	full := Facts{Fentry: true, Kprobe: true, Function: all}
	for _, c := range []struct {
		name   string
		hook   Hook
		facts  Facts
		want   Plan
		cannot string
	}{
		{"all that is to be had", HookAuto, full, Plan{Hook: HookRaw, Inner: "do_filp_open"}, ""},
		{"a newer name", HookAuto, Facts{Fentry: true, Function: names("do_file_open")}, Plan{Hook: HookRaw, Inner: "do_file_open"}, ""},
		{"programs that are preempted", HookAuto, Facts{Preempts: true, Fentry: true, Function: all},
			Plan{Hook: HookTracepoint, Inner: "do_filp_open"}, ""},
		{"no fentry", HookAuto, Facts{Kprobe: true, Function: all}, Plan{Hook: HookRaw, Inner: "do_filp_open", InnerKprobe: true}, ""},
		{"tracepoints only", HookAuto, Facts{}, Plan{Hook: HookRaw, Exec: true}, "io_uring, scripts and loaders of execs, the kernel's own opens"},
		{"tracepoints only, preempted", HookAuto, Facts{Preempts: true}, Plan{Hook: HookTracepoint, Exec: true},
			"io_uring, scripts and loaders of execs, the kernel's own opens, 32-bit programs"},
		{"raw_tp", HookRaw, full, Plan{Hook: HookRaw}, "io_uring, opens by exec, the kernel's own opens"},
		{"tracepoint", HookTracepoint, full, Plan{Hook: HookTracepoint}, "io_uring, opens by exec, the kernel's own opens, 32-bit programs"},
		{"kprobe", HookKprobe, full, Plan{Hook: HookKprobe, Call: "do_sys_openat2"}, "open_by_handle_at, io_uring, opens by exec, the kernel's own opens"},
		{"kprobe before 5.6", HookKprobe, Facts{Kprobe: true, Function: names("do_sys_open")}, Plan{Hook: HookKprobe, Call: "do_sys_open"},
			"open_by_handle_at, io_uring, opens by exec, the kernel's own opens"},
		{"fentry", HookFentry, full, Plan{Hook: HookFentry, Call: "do_sys_openat2", Handle: "do_handle_open", Inner: "do_filp_open"}, ""},
		{"fentry of half the functions", HookFentry, Facts{Fentry: true, Function: names("do_sys_openat2")}, Plan{Hook: HookFentry, Call: "do_sys_openat2", Exec: true},
			"open_by_handle_at, io_uring, scripts and loaders of execs, the kernel's own opens"},
		{"lsm", HookLSM, full, Plan{Hook: HookLSM}, "failed opens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Choose(c.hook, c.facts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			var cannot []string
			for _, w := range got.CannotShow() {
				cannot = append(cannot, string(w))
			}
			if s := strings.Join(cannot, ", "); s != c.cannot {
				t.Errorf("cannot show %q, want %q", s, c.cannot)
			}
			if _, err := Spec(Options{Plan: got}); err != nil {
				t.Error(err)
			}
		})
	}
	for hook, facts := range map[Hook]Facts{
		HookKprobe: {}, HookFentry: {Kprobe: true, Function: all}, HookLSM: {Kprobe: true}, "nope": full, "": full,
	} {
		if _, err := Choose(hook, facts); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q with %+v: error %v", hook, facts, err)
		}
	}
	if _, err := Choose(HookKprobe, Facts{Kprobe: true, Function: names()}); err == nil {
		t.Error("no function to probe, and no error")
	}
}
