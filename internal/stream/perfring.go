package stream

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// What lies in a perf buffer, from linux/perf_event.h: PERF_RECORD_*, and where perf_event_mmap_page has its positions.
const (
	perfLost   = 2
	perfSample = 9

	perfHead = 1024 // data_head, written by the kernel
	perfTail = 1032 // data_tail, written here
)

// perfRing is the reading side of the buffer of one perf event.
type perfRing struct {
	head, tail *atomic.Uint64
	data       []byte // its length is a power of two
	pos        uint64 // the next record; what the kernel may overwrite begins at tail
	lost       uint64
	joined     []byte // a record that crosses the end of data, put together
}

func newPerfRing(mapped []byte, page int) *perfRing {
	r := &perfRing{
		head: (*atomic.Uint64)(unsafe.Pointer(&mapped[perfHead])),
		tail: (*atomic.Uint64)(unsafe.Pointer(&mapped[perfTail])),
		data: mapped[page:],
	}
	r.pos = r.tail.Load()
	return r
}

// perfRecord is a sample: when it was taken, and what the program gave, with up to seven bytes behind it that the kernel
// fills up with.
type perfRecord struct {
	time uint64
	body []byte
	next uint64 // where the record behind it begins
}

// peek returns the next sample that lies before end, a value of head. ok is false where there is none.
func (r *perfRing) peek(end uint64) (rec perfRecord, ok bool, err error) {
	for r.pos != end {
		if end-r.pos > uint64(len(r.data)) {
			return rec, false, fmt.Errorf("%w: written up to %d, read up to %d, %d bytes long", ErrCorrupt, end, r.pos, len(r.data))
		}
		head := r.bytes(r.pos, 8)
		kind, size := binary.NativeEndian.Uint32(head), uint64(binary.NativeEndian.Uint16(head[6:]))
		if size < 8 || size%8 != 0 || size > end-r.pos {
			return rec, false, fmt.Errorf("%w: an entry of %d bytes where %d are left", ErrCorrupt, size, end-r.pos)
		}
		body := r.bytes(r.pos, size)[8:]
		next := r.pos + size
		switch {
		case kind == perfSample && len(body) >= 12: // time, length, bytes
			n := binary.NativeEndian.Uint32(body[8:])
			if uint64(n) > uint64(len(body)-12) {
				return rec, false, fmt.Errorf("%w: a sample of %d bytes in an entry of %d", ErrCorrupt, n, size)
			}
			return perfRecord{binary.NativeEndian.Uint64(body), body[12 : 12+n : 12+n], next}, true, nil
		case kind == perfLost && len(body) >= 16: // id, how many
			r.lost += binary.NativeEndian.Uint64(body[8:])
		}
		r.take(next)
	}
	return rec, false, nil
}

// take gives everything before next back to the kernel.
func (r *perfRing) take(next uint64) {
	r.pos = next
	r.tail.Store(next)
}

// bytes are n bytes from a position on; n is at most the length of the ring.
func (r *perfRing) bytes(pos, n uint64) []byte {
	at := pos & uint64(len(r.data)-1)
	if at+n <= uint64(len(r.data)) {
		return r.data[at : at+n]
	}
	r.joined = append(r.joined[:0], r.data[at:]...)
	r.joined = append(r.joined, r.data[:n-uint64(len(r.joined))]...)
	return r.joined
}
