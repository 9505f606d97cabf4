package cli

import (
	"os/exec"
	"strings"
	"testing"
)

// tracefs is not needed, nor mounted by sonde.
func TestKernelWeatherNoTracefs(t *testing.T) {
	needExec(t)
	cover := "/sys/kernel/tracing,/sys/kernel/debug"
	got := runAll(t, exec.Command(as(t, "role-covered"), cover, as(t, "sonde"), "exec", "--", truePath(t), "seen"))
	if got.status != 0 || !strings.Contains(got.stdout, truePath(t)+" seen\n") || accounts(got.stderr) != 1 {
		t.Errorf("%+v", got)
	}
}

// A kernel without BTF. Elsewhere than in sysfs it may still have some: there is none here.
func TestKernelWeatherNoBTF(t *testing.T) {
	needExec(t)
	command, check := untouched(t)
	cover := "/sys/kernel/btf,/boot,/lib/modules,/usr/lib/debug"
	got := runAll(t, exec.Command(as(t, "role-covered"), append([]string{cover, as(t, "sonde"), "exec"}, command...)...))
	got.refusal(t, 1, "BTF", "CONFIG_DEBUG_INFO_BTF")
	check()
}

func TestKernelWeatherNoProc(t *testing.T) {
	needExec(t)
	command, check := untouched(t)
	got := runAll(t, exec.Command(as(t, "role-covered"), append([]string{"/proc", as(t, "sonde"), "exec"}, command...)...))
	got.refusal(t, 1, "/proc is not mounted")
	check()
	for _, args := range [][]string{{"exec", "-p", "1"}, {"doctor"}} {
		got := runAll(t, exec.Command(as(t, "role-covered"), append([]string{"/proc", as(t, "sonde")}, args...)...))
		got.refusal(t, 1, "/proc is not mounted")
	}
}

// Nothing of /sys: no features can be looked up, and nothing is assumed.
func TestKernelWeatherNoSys(t *testing.T) {
	needExec(t)
	command, check := untouched(t)
	got := runAll(t, exec.Command(as(t, "role-covered"), append([]string{"/sys,/boot,/lib/modules,/usr/lib/debug", as(t, "sonde"), "exec"}, command...)...))
	got.refusal(t, 1, "BTF")
	check()
	got = runAll(t, exec.Command(as(t, "role-covered"), "/sys", as(t, "sonde"), "doctor"))
	if got.status != 0 || !strings.Contains(got.stdout, "\nexec ") {
		t.Errorf("doctor: %+v", got)
	}
}
