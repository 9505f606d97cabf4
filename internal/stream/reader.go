package stream

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// Linux 6.19 can make rings that overwrite their oldest records; their bookkeeping is another one.
const ringOverwrite = 1 << 19

// Reader reads one BPF ring buffer map, without copies and without being woken for every record: Loop naps while
// records flow. It belongs to one goroutine; only Wake may be called from others. There must be no second reader of
// the map.
//
// Of the data pages only a window is mapped, which moves along: all mapped pages of a ring count as resident memory from
// the start, and the one record a lap that crosses the end is cheaply put together. The window is always at the same
// addresses, so that moving it is one call that keeps the page tables: a seventh cheaper than to unmap it and map another.
type Reader struct {
	ring
	m          *ebpf.Map      // our own descriptor of it
	cons, prod []byte         // the mappings of the two positions
	room       []byte         // addresses for a window as large as all of the data
	polled     [3]unix.PollFd // the eventfd, the ring of Attend, the ring itself
	timeout    unix.Timespec
	alone      bool // the Go scheduler has one processor
	wakes      [8]byte

	wake   sync.Mutex // guards the eventfd against Wake after Close
	waker  int
	closed bool
}

// NewReader maps the ring buffer m. Records that are in it already will be read. The Reader does not need m to stay
// open. It fails for a map of another type, and where memory cannot be mapped.
func NewReader(m *ebpf.Map) (*Reader, error) { return newReader(m, false) }

func newReader(m *ebpf.Map, bare bool) (*Reader, error) {
	if m.Type() != ebpf.RingBuf {
		return nil, fmt.Errorf("reading %v: it is no ring buffer", m)
	}
	if m.Flags()&ringOverwrite != 0 {
		return nil, fmt.Errorf("reading %v: a ring that overwrites old records cannot be read in order", m)
	}
	page, size := os.Getpagesize(), int(m.MaxEntries())
	if size < page || size&(size-1) != 0 {
		return nil, fmt.Errorf("reading %v: its size is no power of two of at least a page", m)
	}
	own, err := m.Clone()
	if err != nil {
		return nil, fmt.Errorf("reading %v: %w", m, err)
	}
	r := &Reader{m: own, waker: -1, alone: runtime.GOMAXPROCS(0) == 1}
	if err := r.open(page, size, bare); err != nil {
		r.Close()
		return nil, fmt.Errorf("reading %v: %w", m, err)
	}
	return r, nil
}

func (r *Reader) open(page, size int, bare bool) (err error) {
	if r.cons, err = unix.Mmap(r.m.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mapping the consumer page: %w", err)
	}
	if r.prod, err = unix.Mmap(r.m.FD(), int64(page), page, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mapping the producer page: %w", err)
	}
	if r.room, err = unix.Mmap(-1, 0, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE); err != nil {
		return fmt.Errorf("finding addresses for %d bytes of data: %w", size, err)
	}
	if r.waker, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("making an eventfd: %w", err)
	}
	r.ring = ring{
		consumer: (*atomic.Uintptr)(unsafe.Pointer(&r.cons[0])),
		producer: (*atomic.Uintptr)(unsafe.Pointer(&r.prod[0])),
		size:     uintptr(size),
		show:     r.show,
		bare:     bare,
	}
	if r.pos = r.consumer.Load(); r.pos%8 != 0 {
		return fmt.Errorf("%w: read up to %d, which is no multiple of 8", ErrCorrupt, r.pos)
	}
	r.polled = [3]unix.PollFd{{Fd: int32(r.waker), Events: unix.POLLIN}, {Fd: -1}, {Fd: int32(r.m.FD()), Events: unix.POLLIN}}
	return nil
}

// window is how much of the data is mapped at a time, if no record is longer.
const window = 256 << 10

// show moves the window to where from is.
func (r *Reader) show(from, to uintptr) (data []byte, shown uintptr, err error) {
	page := uintptr(os.Getpagesize())
	shown = from &^ (page - 1)
	length := min(max(shown+window, (to+page-1)&^(page-1)), r.size) - shown
	offset := int64(shown) + 2*int64(page) // behind the two positions
	if _, err := unix.MmapPtr(r.m.FD(), offset, unsafe.Pointer(&r.room[0]), length, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return nil, 0, fmt.Errorf("mapping data of the ring buffer: %w", err)
	}
	// What was longer before is unmapped behind it.
	if before := uintptr(len(r.data)); before > length {
		const nothing = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE | unix.MAP_FIXED
		if _, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&r.room[length]), before-length, unix.PROT_NONE, nothing); err != nil {
			return nil, 0, fmt.Errorf("unmapping data of the ring buffer: %w", err)
		}
	}
	return r.room[:length:length], shown, nil
}

// Drain hands every record to f that was committed when Drain was called, in the order in which the programs
// reserved them, and says how many. What comes in meanwhile is left for the next call, so it always ends. It stops
// early at a record that a program is still writing (see Busy), and when f fails: that record counts as handled.
//
// A record's Body is the ring's own memory, mapped read-only: it is gone when f returns, and writing to it crashes.
// The error is f's, or wraps ErrCorrupt, or is os.ErrClosed. f must not call Drain.
func (r *Reader) Drain(f func(prog.Record) error) (n int, err error) {
	if r.size == 0 {
		return 0, os.ErrClosed
	}
	return r.drain(f)
}

// Busy says that the last Drain stopped at a record which was not committed. Committed ones may lie behind it.
func (r *Reader) Busy() bool { return r.busy }

// Malformed counts records that were skipped because they had no whole record_header or a wrong size in it. Their
// sequence numbers stay missing.
func (r *Reader) Malformed() uint64 { return r.malformed }

// Pending says how many bytes of the ring are in use, records not yet committed included, and its size.
func (r *Reader) Pending() (used, size int) {
	if r.size == 0 {
		return 0, 0
	}
	return r.pending(), int(r.size)
}

// Wait blocks until the ring holds something, Wake is called or the timeout is over; a negative timeout is none. It
// may also return early for no reason. While a record is busy it returns at once: Nap then.
//
// Nothing is lost between an empty Drain and Wait: the kernel looks at the ring before it lets us sleep, and a commit
// wakes us when the ring was empty (adaptive wake-up: programs pass no flags).
func (r *Reader) Wait(timeout time.Duration) error {
	return r.sleep(3, timeout, func(fds []unix.PollFd, t *unix.Timespec) error {
		_, err := unix.Ppoll(fds, t, nil)
		return err
	})
}

// Attend makes Wait, Watch and Nap end when something is in another ring, too: one with little in it that cannot wait.
// It is for the caller to drain it. other must stay open until this Reader is closed.
func (r *Reader) Attend(other *Reader) {
	r.polled[1] = unix.PollFd{Fd: int32(other.m.FD()), Events: unix.POLLIN}
}

// Nap sleeps for d, or until Wake. It does not look at the ring, so it costs the writers nothing.
//
// The thread sleeps without telling the Go scheduler: measured, that takes two thirds of the CPU time of an ordinary
// blocking call and a third of time.Sleep's. d must therefore be short, 10 ms at most; the garbage collector's signal
// ends it early.
func (r *Reader) Nap(d time.Duration) error { return r.doze(2, d) }

// Watch is Wait for at most 10 ms, in the manner of Nap. Where every record comes after a short quiet, it is much cheaper:
// a Go program that goes from idle to busy has its scheduler's watchdog look after it every 20 µs for a while, some 50
// times, which was measured to be most of what such a record costs.
func (r *Reader) Watch(d time.Duration) error { return r.doze(3, d) }

func (r *Reader) doze(fds int, d time.Duration) error {
	err := r.sleep(fds, min(d, maxNap), func(fds []unix.PollFd, t *unix.Timespec) error {
		_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)),
			uintptr(unsafe.Pointer(t)), 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
	if r.alone {
		runtime.Gosched() // nobody else had a turn; with another processor that wakes it for nothing, every time
	}
	return err
}

func (r *Reader) sleep(fds int, timeout time.Duration, poll func([]unix.PollFd, *unix.Timespec) error) error {
	if r.size == 0 {
		return os.ErrClosed
	}
	var t *unix.Timespec
	if timeout >= 0 {
		r.timeout = unix.NsecToTimespec(int64(timeout))
		t = &r.timeout
	}
	r.polled[0].Revents = 0
	err := poll(r.polled[:fds], t)
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("waiting for the ring buffer: %w", err)
	case r.polled[0].Revents != 0:
		_, _ = unix.Read(r.waker, r.wakes[:]) // EAGAIN at worst: it is non-blocking
	}
	return nil
}

var one = [8]byte{1} // as an eventfd takes it: not 0, in either byte order

// Wake ends the Wait, Watch or Nap that is going on, or else the next one. Any goroutine may call it at any time.
func (r *Reader) Wake() {
	r.wake.Lock()
	defer r.wake.Unlock()
	if !r.closed {
		_, _ = unix.Write(r.waker, one[:]) // EAGAIN: it is awake already
	}
}

// Close unmaps the ring. Bodies of records that are still held become invalid. A second call does nothing.
func (r *Reader) Close() error {
	r.wake.Lock()
	defer r.wake.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.ring = ring{malformed: r.malformed}
	var errs []error
	for _, mapping := range [][]byte{r.cons, r.prod, r.room} {
		if mapping != nil {
			errs = append(errs, unix.Munmap(mapping))
		}
	}
	if r.waker >= 0 {
		errs = append(errs, unix.Close(r.waker))
	}
	errs = append(errs, r.m.Close())
	return errors.Join(errs...)
}
