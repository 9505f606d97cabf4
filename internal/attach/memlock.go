package attach

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// RaiseMemlock lifts RLIMIT_MEMLOCK where the kernel counts BPF maps and programs against it (before 5.11, which counts
// them to the memory cgroup instead). It is to be called before the first map or program is made, does its work once, and
// returns the same answer ever after. Raising needs CAP_SYS_RESOURCE, and BPF itself CAP_BPF and CAP_PERFMON; the error
// says what is missing.
//
// Where the kernel does not count, the limit stays as it was, so that commands started later inherit nothing unusual.
func RaiseMemlock() error { return raiseOnce() }

var raiseOnce = sync.OnceValue(func() error {
	if !countsMemlock() {
		return nil
	}
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited); err != nil {
		missing := kernel.EffectiveCapabilities().Missing(kernel.CapBPF, kernel.CapPerfmon)
		if len(missing) > 0 || kernel.InUserNamespace() {
			return refusal(err) // the small map was refused for want of these, whatever the kernel counts
		}
		return fmt.Errorf("raise the limit on locked memory, which this kernel counts BPF maps against: %w; run with CAP_SYS_RESOURCE or after `ulimit -l unlimited`", err)
	}
	return nil
})

// countsMemlock finds out by making a small map while the limit is zero. The limit is put back at once; the hard limit is
// not touched, so this needs no privilege.
func countsMemlock() bool {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		return true
	}
	if old.Cur == unix.RLIM_INFINITY {
		return false
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		return true
	}
	fd, err := bpf(unix.BPF_MAP_CREATE, &mapCreateAttr{mapType: uint32(ebpf.Array), keySize: 4, valueSize: 4, maxEntries: 1})
	// If putting it back fails the limit stays at zero, which only raising can mend.
	if restore := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old); restore != nil {
		return true
	}
	if err != nil {
		return errors.Is(err, unix.EPERM)
	}
	unix.Close(fd)
	return false
}
