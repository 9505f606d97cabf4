package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// Group reads several buffers of programs that know nothing of this house: their records have no header. A record's Type is
// the number of the buffer that it came through. It is a Source; only Wake may be called by other goroutines.
type Group struct {
	members []member
	polled  []unix.PollFd // the eventfd, then all that become readable
	every   time.Duration // for members that do not: how long to wait for them at most; 0 for none
	waker   int
}

// member is one buffer. perf is nil for others than perf event arrays, ring for others than rings.
type member struct {
	ring  *Reader
	perf  *PerfArray
	drain func(func(prog.Record) error) (int, error)
}

// NewGroup returns a Group without any buffers.
func NewGroup() (*Group, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	return &Group{waker: fd, polled: []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}}, nil
}

// AddRing adds a ring buffer map and returns its number.
func (g *Group) AddRing(m *ebpf.Map) (int, error) {
	r, err := newReader(m, true)
	if err != nil {
		return 0, err
	}
	g.polled = append(g.polled, unix.PollFd{Fd: int32(r.m.FD()), Events: unix.POLLIN})
	return g.add(member{ring: r, drain: r.Drain}), nil
}

// AddPerf adds a perf event array, with buffers of so many bytes for each CPU, and returns its number.
func (g *Group) AddPerf(m *ebpf.Map, bytesPerCPU int) (int, error) {
	a, err := NewPerfArray(m, bytesPerCPU)
	if err != nil {
		return 0, err
	}
	for _, c := range a.cpus {
		g.polled = append(g.polled, unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN})
	}
	return g.add(member{perf: a, drain: a.Drain}), nil
}

// AddPolled adds something that cannot tell when there is something to read: it is looked at that often.
func (g *Group) AddPolled(every time.Duration, drain func(func(prog.Record) error) (int, error)) int {
	if g.every == 0 || every < g.every {
		g.every = every
	}
	return g.add(member{drain: drain})
}

func (g *Group) add(m member) int {
	g.members = append(g.members, m)
	return len(g.members) - 1
}

// Lost is how many records of that buffer found no room. known is false for rings: what did not find room in one is known to
// the program alone.
func (g *Group) Lost(number int) (n uint64, known bool) {
	if a := g.members[number].perf; a != nil {
		return a.Lost(), true
	}
	return 0, false
}

// Drain hands over what is in the buffers, one after the other.
func (g *Group) Drain(f func(prog.Record) error) (n int, err error) {
	for i := range g.members {
		some, err := g.members[i].drain(func(rec prog.Record) error {
			rec.Type = uint16(i)
			return f(rec)
		})
		n += some
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Busy says that a ring holds a record that a program is still writing.
func (g *Group) Busy() bool {
	for i := range g.members {
		if r := g.members[i].ring; r != nil && r.Busy() {
			return true
		}
	}
	return false
}

// Pending is that of the fullest buffer.
func (g *Group) Pending() (used, size int) {
	size = 1
	for i := range g.members {
		u, s := 0, 0
		switch m := &g.members[i]; {
		case m.ring != nil:
			u, s = m.ring.Pending()
		case m.perf != nil:
			u, s = m.perf.Pending()
		}
		if s > 0 && float64(u)/float64(s) >= float64(used)/float64(size) {
			used, size = u, s
		}
	}
	return used, size
}

// Nap sleeps for d, or until Wake.
func (g *Group) Nap(d time.Duration) error { return g.sleep(g.polled[:1], d) }

// Watch waits for at most d until something can be read.
func (g *Group) Watch(d time.Duration) error { return g.Wait(d) }

// Wait blocks until something can be read, Wake is called or the timeout is over; a negative timeout is none.
func (g *Group) Wait(timeout time.Duration) error {
	if g.every > 0 && (timeout < 0 || timeout > g.every) {
		timeout = g.every
	}
	return g.sleep(g.polled, timeout)
}

func (g *Group) sleep(fds []unix.PollFd, d time.Duration) error {
	var t *unix.Timespec
	if d >= 0 {
		ts := unix.NsecToTimespec(int64(d))
		t = &ts
	}
	g.polled[0].Revents = 0
	if _, err := unix.Ppoll(fds, t, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for records: %w", err)
	}
	if g.polled[0].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(g.waker, b[:]) // EAGAIN at worst: it is non-blocking
	}
	return nil
}

// Wake ends the Wait, Watch or Nap that is going on, or else the next one. It must not be called after Close.
func (g *Group) Wake() { _, _ = unix.Write(g.waker, one[:]) }

// Close gives all buffers back.
func (g *Group) Close() error {
	errs := []error{unix.Close(g.waker)}
	for _, m := range g.members {
		switch {
		case m.ring != nil:
			errs = append(errs, m.ring.Close())
		case m.perf != nil:
			errs = append(errs, m.perf.Close())
		}
	}
	g.members = nil
	return errors.Join(errs...)
}
