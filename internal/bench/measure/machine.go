package measure

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Machine describes the machine in a few words: what the figures depend on.
func Machine() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return "", err
	}
	memory := float64(info.Totalram) * float64(info.Unit) / (1 << 30)
	return fmt.Sprintf("%d cores (%s), Linux %s, %.1f GiB", runtime.NumCPU(), runtime.GOARCH,
		unix.ByteSliceToString(name.Release[:]), memory), nil
}

// Load returns the load average of the last minute, 0 when it is not known.
func Load() float64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	const fixedPoint = 1 << 16 // SI_LOAD_SHIFT of the kernel's sysinfo.h
	return float64(info.Loads[0]) / fixedPoint
}
