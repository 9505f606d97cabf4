package attach

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// statsRunTime is BPF_STATS_RUN_TIME: run_time_ns and run_cnt of every program (kernel 5.8).
const statsRunTime = unix.BPF_STATS_RUN_TIME

// refusal explains an EPERM of bpf(2) by what is missing. Other errors come back as they are.
func refusal(err error) error {
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	if kernel.Lockdown() == kernel.LockdownConfidentiality {
		return lockedDown(err)
	}
	missing := kernel.EffectiveCapabilities().Missing(kernel.CapBPF, kernel.CapPerfmon)
	if len(missing) > 0 {
		return fmt.Errorf("needs %s; run it as root: %w", kernel.CapabilityList(missing), err)
	}
	if !kernel.EffectiveCapabilities().Has(kernel.CapSysAdmin) && errors.Is(err, unix.EACCES) {
		// perf_event_open(2) where kernel.perf_event_paranoid is 3, a setting that distributions add.
		return fmt.Errorf("this kernel wants CAP_SYS_ADMIN for it; run it as root: %w", err)
	}
	if kernel.InUserNamespace() {
		return fmt.Errorf("the capabilities held count only inside this user namespace; run it in the initial one, outside the container: %w", err)
	}
	return fmt.Errorf("the kernel refused it although the capabilities are held (a seccomp filter or a container's rules?): %w", err)
}

func lockedDown(err error) error {
	return fmt.Errorf("kernel lockdown is in confidentiality mode, which forbids tracing; boot with lockdown=integrity or without lockdown: %w", err)
}

// loadError makes one line of what went wrong while loading, with the verifier's telling line where there is one.
func loadError(name string, err error) error {
	var ve *ebpf.VerifierError
	switch {
	case errors.Is(err, os.ErrPermission) && !errors.As(err, &ve):
		return fmt.Errorf("%s: %w", name, refusal(err))
	case errors.Is(err, ebpf.ErrNotSupported):
		release, _ := kernel.Release()
		return fmt.Errorf("%s: this kernel (%s) lacks what it needs; use Linux 5.10 or later, and ask sonde doctor: %w", name, release, err)
	case errors.As(err, &ve) && kernel.Lockdown() == kernel.LockdownConfidentiality:
		// There the helpers that read the kernel's memory do not exist, as the verifier sees it.
		return fmt.Errorf("%s: %w", name, lockedDown(errors.New(tellingLine(ve.Log))))
	case errors.As(err, &ve):
		return fmt.Errorf("%s: the kernel's verifier refused a program, which is a bug of sonde: %w (%s)", name, err, tellingLine(ve.Log))
	}
	return fmt.Errorf("%s: load the programs: %w", name, err)
}

// tellingLine is the last line of a verifier log that is not a statistic.
func tellingLine(log []string) string {
	for i := len(log) - 1; i >= 0; i-- {
		l := strings.TrimSpace(log[i])
		if l != "" && !strings.HasPrefix(l, "processed ") && !strings.HasPrefix(l, "verification time") && !strings.HasPrefix(l, "stack depth") {
			return l
		}
	}
	return "no log"
}
