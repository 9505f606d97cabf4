package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// PerfArray reads a perf event array: a map by which programs send records into a buffer of each CPU. It belongs to one
// goroutine. Records of one CPU come in the order in which they were sent; those of several CPUs are put in the order of their
// times as far as they are there at the same time.
type PerfArray struct {
	cpus []perfCPU
}

type perfCPU struct {
	number uint16
	fd     int
	mapped []byte
	ring   *perfRing
	counts bool   // the kernel counts what it has no room for
	end    uint64 // of what is drained now
	rec    perfRecord
	has    bool
}

// NewPerfArray makes a buffer of so many bytes, a power of two, for every CPU of m that is on.
func NewPerfArray(m *ebpf.Map, bytesPerCPU int) (*PerfArray, error) {
	if m.Type() != ebpf.PerfEventArray {
		return nil, fmt.Errorf("reading %v: it is no perf event array", m)
	}
	page := os.Getpagesize()
	if bytesPerCPU < page || bytesPerCPU&(bytesPerCPU-1) != 0 {
		return nil, fmt.Errorf("reading %v: %d bytes for each CPU are no power of two of at least a page", m, bytesPerCPU)
	}
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	a := &PerfArray{}
	for cpu := range min(possible, int(m.MaxEntries())) {
		c, err := openPerfCPU(cpu, page, bytesPerCPU)
		if errors.Is(err, unix.ENODEV) {
			continue // it is off
		}
		if err == nil {
			a.cpus = append(a.cpus, c)
			err = m.Put(uint32(cpu), uint32(c.fd))
		}
		if err != nil {
			a.Close()
			return nil, fmt.Errorf("reading %v: a buffer of %d bytes for CPU %d: %w", m, bytesPerCPU, cpu, err)
		}
	}
	return a, nil
}

// perfFormatLost is PERF_FORMAT_LOST: who reads the event's descriptor is told how many records were lost (Linux 6.0).
const perfFormatLost = 1 << 4

func openPerfCPU(cpu, page, size int) (c perfCPU, err error) {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample: 1, Sample_type: unix.PERF_SAMPLE_RAW | unix.PERF_SAMPLE_TIME, Wakeup: 1,
		Bits: unix.PerfBitUseClockID, Clockid: unix.CLOCK_MONOTONIC,
	}
	attr.Read_format = perfFormatLost
	fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if errors.Is(err, unix.EINVAL) {
		attr.Read_format = 0
		fd, err = unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	}
	if err != nil {
		return c, err
	}
	mapped, err := unix.Mmap(fd, 0, page+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return c, err
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		err = errors.Join(err, unix.Munmap(mapped), unix.Close(fd))
		return c, err
	}
	return perfCPU{number: uint16(cpu), fd: fd, mapped: mapped, ring: newPerfRing(mapped, page), counts: attr.Read_format != 0}, nil
}

// Drain hands over what was sent when it was called. A record's Body is gone when f returns.
func (a *PerfArray) Drain(f func(prog.Record) error) (n int, err error) {
	for i := range a.cpus {
		c := &a.cpus[i]
		c.end = c.ring.head.Load()
		if c.rec, c.has, err = c.ring.peek(c.end); err != nil {
			return n, err
		}
	}
	for {
		var first *perfCPU
		for i := range a.cpus {
			if c := &a.cpus[i]; c.has && (first == nil || c.rec.time < first.rec.time) {
				first = c
			}
		}
		if first == nil {
			return n, nil
		}
		n++
		err := f(prog.Record{CPU: first.number, Time: first.rec.time, Body: first.rec.body})
		first.ring.take(first.rec.next)
		if err != nil {
			return n, err
		}
		if first.rec, first.has, err = first.ring.peek(first.end); err != nil {
			return n, err
		}
	}
}

// Pending says how full the fullest of the buffers is, and its size.
func (a *PerfArray) Pending() (used, size int) {
	for i := range a.cpus {
		r := a.cpus[i].ring
		size = len(r.data)
		used = max(used, int(min(r.head.Load()-r.pos, uint64(size))))
	}
	return used, size
}

// Lost is how many records found no room. Kernels before 6.0 tell of them with the next record that finds some.
func (a *PerfArray) Lost() (n uint64) {
	for i := range a.cpus {
		c := &a.cpus[i]
		var told [16]byte // a counter that means nothing here, and what was lost
		if c.counts {
			if got, err := unix.Read(c.fd, told[:]); err == nil && got == len(told) {
				n += binary.NativeEndian.Uint64(told[8:])
				continue
			}
		}
		n += c.ring.lost
	}
	return n
}

// Close gives the buffers back. The map does without them from then on.
func (a *PerfArray) Close() error {
	var errs []error
	for _, c := range a.cpus {
		errs = append(errs, unix.Munmap(c.mapped), unix.Close(c.fd))
	}
	a.cpus = nil
	return errors.Join(errs...)
}
