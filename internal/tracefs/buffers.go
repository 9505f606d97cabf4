package tracefs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Buffers are the trace buffers of all CPUs of an instance.
type Buffers struct {
	in   *Instance
	sub  SubBuffer
	cpus []cpuBuffer
	page []byte
}

type cpuBuffer struct {
	number uint16
	fd     int
}

const maxCPUs = 1 << 16

func OpenBuffers(in *Instance, sub SubBuffer) (*Buffers, error) {
	folders, err := os.ReadDir(in.Path("per_cpu"))
	if err != nil {
		return nil, fmt.Errorf("tracefs: %w", err)
	}
	b := &Buffers{in: in, sub: sub, page: make([]byte, sub.size)}
	for _, f := range folders {
		digits, ok := strings.CutPrefix(f.Name(), "cpu")
		n, err := strconv.ParseUint(digits, 10, 16)
		if !ok || err != nil {
			continue
		}
		path := in.Path("per_cpu", f.Name(), "trace_pipe_raw")
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			b.Close()
			return nil, fmt.Errorf("tracefs: opening %s: %w", path, err)
		}
		b.cpus = append(b.cpus, cpuBuffer{uint16(n), fd})
	}
	if len(b.cpus) == 0 || len(b.cpus) > maxCPUs {
		b.Close()
		return nil, fmt.Errorf("tracefs: %d CPUs in %s", len(b.cpus), in.Path("per_cpu"))
	}
	slices.SortFunc(b.cpus, func(x, y cpuBuffer) int { return int(x.number) - int(y.number) })
	return b, nil
}

func (b *Buffers) Close() {
	for _, c := range b.cpus {
		unix.Close(c.fd)
	}
	b.cpus = nil
}

// pagesAtOnce bounds what is read of one CPU before the next has its turn.
const pagesAtOnce = 256

// Drain calls f for what is in the buffers, CPU by CPU; each CPU's events are in the order of their times. reached is the time
// up to which everything was handed over: now, or less where there is more to be read.
func (b *Buffers) Drain(now uint64, f func(cpu uint16, time uint64, data []byte)) (reached uint64, err error) {
	reached = now
	for _, c := range b.cpus {
		var last uint64
		for pages := 0; ; pages++ {
			if pages == pagesAtOnce {
				reached = min(reached, last)
				break
			}
			n, err := unix.Read(c.fd, b.page)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if errors.Is(err, unix.EAGAIN) || err == nil && n == 0 {
				break
			}
			if err != nil {
				return 0, fmt.Errorf("reading the trace buffer of CPU %d: %w", c.number, err)
			}
			if err := b.sub.Events(b.page[:n], func(time uint64, data []byte) {
				last = time
				f(c.number, time, data)
			}); err != nil {
				return 0, err
			}
		}
	}
	return reached, nil
}

// Lost is how many events found no room.
func (b *Buffers) Lost() (n uint64, err error) {
	for _, c := range b.cpus {
		path := b.in.Path("per_cpu", "cpu"+strconv.Itoa(int(c.number)), "stats")
		text, err := os.ReadFile(path)
		if err != nil {
			return n, fmt.Errorf("tracefs: %w", err)
		}
		n += lostOf(string(text))
	}
	return n, nil
}

// lostOf reads a file per_cpu/cpuN/stats: lines of a name, a colon and a number.
func lostOf(stats string) (n uint64) {
	for line := range strings.Lines(stats) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "overrun", "commit overrun", "dropped events":
			if x, err := strconv.ParseUint(value, 10, 64); err == nil {
				n += x
			}
		}
	}
	return n
}

// MissedRuns is how often a probe of the group was hit and could not note it: too many calls were under way at once.
func MissedRuns(dir string, names []string) (n uint64, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "kprobe_profile"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // no kprobes here
	}
	if err != nil {
		return 0, fmt.Errorf("tracefs: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		// "  EVENT   HITS   MISSES"
		words := strings.Fields(line)
		if len(words) != 3 || !slices.Contains(names, words[0]) {
			continue
		}
		if x, err := strconv.ParseUint(words[2], 10, 64); err == nil {
			n += x
		}
	}
	return n, nil
}
