package bypass

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is an io_uring with room for one request at a time, as small as the kernel makes them.
type ring struct {
	fd              int
	sq, cq, sqes    []byte
	sqTail, sqArray uint32 // offsets in sq
	cqHead, cqTail  uint32 // offsets in cq
	cqes            uint32
	sqMask, cqMask  uint32
}

// Offsets and numbers of include/uapi/linux/io_uring.h.
const (
	paramsSize  = 120
	sqeSize     = 64
	cqeSize     = 16
	offSQRing   = 0
	offCQRing   = 0x8000000
	offSQEs     = 0x10000000
	opOpenat    = 18
	opRead      = 22
	opOpenat2   = 28
	sqeAsync    = 1 << 4
	enterEvents = 1
)

func newRing() (*ring, error) {
	var p [paramsSize]byte
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&p)), 0)
	switch {
	case errno == unix.ENOSYS:
		return nil, impossible("this kernel has no io_uring")
	case errno == unix.EPERM:
		return nil, impossible("io_uring is switched off here (kernel.io_uring_disabled)")
	case errno != 0:
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	word := func(off int) uint32 { return binary.NativeEndian.Uint32(p[off:]) }
	entries, completions := word(0), word(4)
	const sqOff, cqOff = 40, 80 // struct io_sqring_offsets, io_cqring_offsets
	r := &ring{
		fd:     int(fd),
		sqTail: word(sqOff + 4), sqArray: word(sqOff + 24),
		cqHead: word(cqOff), cqTail: word(cqOff + 4), cqes: word(cqOff + 20),
		sqMask: entries - 1, cqMask: completions - 1,
	}
	var err error
	if r.sq, err = r.mapped(offSQRing, int(r.sqArray+entries*4)); err == nil {
		r.cq, err = r.mapped(offCQRing, int(r.cqes+completions*cqeSize))
	}
	if err == nil {
		r.sqes, err = r.mapped(offSQEs, int(entries*sqeSize))
	}
	// The offsets are the kernel's; a wrong one must not become a wild pointer.
	inside := func(ring []byte, off uint32) bool { return off%4 == 0 && int(off)+4 <= len(ring) }
	sound := entries > 0 && inside(r.sq, r.sqTail) && inside(r.cq, r.cqHead) && inside(r.cq, r.cqTail)
	if err == nil && !sound {
		err = errors.New("io_uring: the kernel's offsets lie outside of its rings")
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mapped(at int64, size int) ([]byte, error) {
	const most = 1 << 20
	if size <= 0 || size > most {
		return nil, fmt.Errorf("io_uring: a ring of %d bytes", size)
	}
	b, err := unix.Mmap(r.fd, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mapping an io_uring: %w", err)
	}
	return b, nil
}

func (r *ring) close() {
	for _, b := range [][]byte{r.sq, r.cq, r.sqes} {
		if b != nil {
			_ = unix.Munmap(b) // it is there, so that it can be unmapped
		}
	}
	unix.Close(r.fd)
}

// request is one entry of the submission queue, as far as it is needed here.
type request struct {
	op, flags uint8
	fd        int32
	off       uint64
	addr      unsafe.Pointer
	length    uint32
	rwFlags   uint32
}

// do has the kernel do one request and returns what it says.
func (r *ring) do(q request) (int, error) {
	tail := atomicAt(r.sq, r.sqTail)
	at := atomic.LoadUint32(tail)
	slot := at & r.sqMask
	e := r.sqes[slot*sqeSize : (slot+1)*sqeSize]
	clear(e)
	e[0], e[1] = q.op, q.flags
	ne := binary.NativeEndian
	ne.PutUint32(e[4:], uint32(q.fd))
	ne.PutUint64(e[8:], q.off)
	ne.PutUint64(e[16:], uint64(uintptr(q.addr)))
	ne.PutUint32(e[24:], q.length)
	ne.PutUint32(e[28:], q.rwFlags)
	ne.PutUint32(r.sq[r.sqArray+slot*4:], slot)
	atomic.StoreUint32(tail, at+1)

	head, last := atomicAt(r.cq, r.cqHead), atomicAt(r.cq, r.cqTail)
	for toSubmit := uintptr(1); atomic.LoadUint32(head) == atomic.LoadUint32(last); {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), toSubmit, 1, enterEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, fmt.Errorf("io_uring_enter: %w", errno)
		}
		if errno == 0 && n > 0 {
			toSubmit = 0
		}
	}
	runtime.KeepAlive(q.addr)
	h := atomic.LoadUint32(head)
	c := r.cqes + (h&r.cqMask)*cqeSize
	res := int32(ne.Uint32(r.cq[c+8:]))
	atomic.StoreUint32(head, h+1)
	if res < 0 {
		return 0, unix.Errno(-res)
	}
	return int(res), nil
}

func atomicAt(b []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[off])) }

// openat opens a path by the ring; flags are those of the request (sqeAsync: by a thread of the kernel).
func (r *ring) openat(path string, open uint32, flags uint8) (int, error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return 0, err
	}
	return r.do(request{op: opOpenat, flags: flags, fd: unix.AT_FDCWD, addr: unsafe.Pointer(p), rwFlags: open})
}

// openat2 is the same with a struct open_how.
func (r *ring) openat2(path string, how *unix.OpenHow) (int, error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return 0, err
	}
	var pin runtime.Pinner // the kernel is told its address as a number
	pin.Pin(how)
	defer pin.Unpin()
	return r.do(request{
		op: opOpenat2, fd: unix.AT_FDCWD, addr: unsafe.Pointer(p), length: unix.SizeofOpenHow,
		off: uint64(uintptr(unsafe.Pointer(how))),
	})
}

// pread reads the beginning of a file that is open.
func (r *ring) pread(fd int, b []byte) (int, error) {
	return r.do(request{op: opRead, fd: int32(fd), addr: unsafe.Pointer(unsafe.SliceData(b)), length: uint32(len(b))})
}
