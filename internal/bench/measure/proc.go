package measure

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime returns the user and system time that all threads of a process have used so far, those that have ended
// included. It reads the process's CPU clock: /proc/PID/stat counts in ticks, too coarse for a start of 20 ms.
func CPUTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h: nanoseconds, whole thread group
	var ts unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|schedClock, &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// PeakRSS returns the largest resident set a process has had since its last exec, in bytes.
func PeakRSS(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	status, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	peak, err := statusBytes(status, "VmHWM")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return peak, nil
}

// statusBytes returns a size field of /proc/PID/status ("VmHWM:\t  9876 kB") in bytes.
func statusBytes(status []byte, key string) (int64, error) {
	for line := range bytes.Lines(status) {
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || name != key {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || unit != "kB" || n < 0 || n > 1<<50 {
			return 0, fmt.Errorf("%s: want a number of kB, got %q", key, strings.TrimSpace(value))
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("no field %s", key)
}

// Mapping is a run of /proc/PID/maps.
type Mapping struct {
	Size int64 // bytes
	Exec bool
	Path string // a file, a name like "[stack]" or "anon_inode:[perf_event]", or nothing
}

// Mappings returns what a process has mapped.
func Mappings(pid int) ([]Mapping, error) {
	path := fmt.Sprintf("/proc/%d/maps", pid)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, err := parseMaps(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func parseMaps(data []byte) ([]Mapping, error) {
	var all []Mapping
	for line := range bytes.Lines(data) {
		text := strings.TrimSuffix(string(line), "\n")
		// address perms offset dev inode, then the path after padding; a path may hold spaces.
		fields := strings.SplitN(text, " ", 6)
		if len(fields) < 5 {
			return nil, fmt.Errorf("want at least five fields, got %q", text)
		}
		low, high, ok := strings.Cut(fields[0], "-")
		from, errFrom := strconv.ParseUint(low, 16, 64)
		to, errTo := strconv.ParseUint(high, 16, 64)
		if !ok || errFrom != nil || errTo != nil || to < from {
			return nil, fmt.Errorf("want an address range, got %q", fields[0])
		}
		m := Mapping{Size: int64(to - from), Exec: strings.Contains(fields[1], "x")}
		if len(fields) == 6 {
			m.Path = strings.TrimLeft(fields[5], " ")
		}
		all = append(all, m)
	}
	return all, nil
}

// CodeFiles returns the sizes, in bytes, of the files whose code a process has mapped, each once: its
// program and the shared libraries it needs, by path.
func CodeFiles(pid int) (map[string]int64, error) {
	maps, err := Mappings(pid)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, m := range maps {
		if !m.Exec || !strings.HasPrefix(m.Path, "/") {
			continue
		}
		info, err := os.Stat(m.Path)
		if err != nil {
			return nil, err
		}
		sizes[m.Path] = info.Size()
	}
	return sizes, nil
}
