package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"sonde/internal/prog"
)

// The layout is ABI: include/uapi/linux/bpf.h (BPF_RINGBUF_*) and bpf_ringbuf_reserve's documentation. Every record
// starts at a multiple of 8 with 8 bytes: a length whose top two bits are flags, and a page offset for the kernel.
const (
	busyBit    = 1 << 31
	discardBit = 1 << 30
	lengthMask = discardBit - 1
	wordSize   = 8

	// HeaderSize is that of struct record_header in bpf/record.h, in bytes.
	HeaderSize = 24
)

// The consumer position is told to the kernel after so many records, or an eighth of the ring: often enough that
// programs find room while a full ring is being drained, rarely enough that the shared cache line costs nothing.
const publishRecords = 256

// ErrCorrupt is what Drain's error wraps when the ring's own bookkeeping makes no sense. Nothing after it can be read.
var ErrCorrupt = errors.New("ring buffer is corrupt")

// ring is the reading side of one ring buffer, in memory that someone else maps and writes.
type ring struct {
	producer, consumer *atomic.Uintptr // unsigned long in the kernel
	size               uintptr         // of one lap, a power of two
	data               []byte          // what is readable of it now
	from               uintptr         // where in the lap data begins
	// show makes a stretch of the lap readable in the place of what was. Nil: all of it always is.
	show func(from, to uintptr) (data []byte, shown uintptr, err error)

	pos       uintptr // the next record; the shared word may lag behind, and is never trusted
	busy      bool
	bare      bool // records have no record_header: all of each is its Body
	malformed uint64
	wrapped   []byte // a record that crosses the end of data, put together
}

// drain hands over what was committed when it was called. It stops at the first record that is still being written.
func (r *ring) drain(f func(prog.Record) error) (n int, err error) {
	r.busy = false
	size := r.size
	end := r.producer.Load()
	if end-r.pos > size {
		return 0, fmt.Errorf("%w: written up to %d, read up to %d, %d bytes long", ErrCorrupt, end, r.pos, size)
	}
	published, since := r.pos, 0
	var rec prog.Record
	for r.pos != end && err == nil {
		at := r.pos & (size - 1)
		if err = r.need(at, at+wordSize); err != nil {
			break
		}
		// Atomic, and before anything else of the record: it pairs with the kernel's exchange that clears busyBit.
		word := (*atomic.Uint32)(unsafe.Pointer(&r.data[at-r.from])).Load()
		if word&busyBit != 0 {
			r.busy = true
			break
		}
		length := uintptr(word & lengthMask)
		step := (wordSize + length + 7) &^ 7
		if step > end-r.pos {
			err = fmt.Errorf("%w: record of %d bytes at %d, written up to %d", ErrCorrupt, length, r.pos, end)
			break
		}
		r.pos += step
		if word&discardBit == 0 {
			var body []byte
			if body, err = r.body(at+wordSize, length); err != nil {
				break
			}
			if r.bare {
				rec.Body = body
				n++
				err = f(rec)
			} else if decode(&rec, body) {
				n++
				err = f(rec)
			} else {
				r.malformed++
			}
		}
		if since++; since == publishRecords || r.pos-published >= size/8 {
			r.consumer.Store(r.pos)
			published, since = r.pos, 0
		}
	}
	if published != r.pos {
		r.consumer.Store(r.pos)
	}
	return n, err
}

// body is the length bytes from at, which may reach beyond the end of the lap (by less than a lap).
func (r *ring) body(at, length uintptr) ([]byte, error) {
	size := r.size
	at &= size - 1
	if first := size - at; length > first {
		if err := r.need(at, size); err != nil {
			return nil, err
		}
		r.wrapped = append(r.wrapped[:0], r.data[at-r.from:size-r.from]...)
		if err := r.need(0, length-first); err != nil {
			return nil, err
		}
		r.wrapped = append(r.wrapped, r.data[:length-first]...) // from is 0 now
		return r.wrapped, nil
	}
	if err := r.need(at, at+length); err != nil {
		return nil, err
	}
	at -= r.from
	return r.data[at : at+length : at+length], nil
}

// need makes the bytes from, to readable.
func (r *ring) need(from, to uintptr) error {
	if from >= r.from && to-r.from <= uintptr(len(r.data)) || r.show == nil {
		return nil
	}
	data, shown, err := r.show(from, to)
	if err == nil {
		r.data, r.from = data, shown
	}
	return err
}

// pending is the number of bytes between reader and writers, record words included.
func (r *ring) pending() int {
	n := r.producer.Load() - r.pos
	return int(min(n, r.size))
}

// decode splits off struct record_header. A record may be shorter than its reservation, never longer.
//
// It fills in what rec points to: a record that is returned is copied right after it was written in smaller pieces, for
// which the processor has to wait.
func decode(rec *prog.Record, b []byte) bool {
	if len(b) < HeaderSize {
		return false
	}
	size := binary.NativeEndian.Uint32(b[4:])
	if size < HeaderSize || uint64(size) > uint64(len(b)) {
		return false
	}
	rec.Type = binary.NativeEndian.Uint16(b[0:])
	rec.CPU = binary.NativeEndian.Uint16(b[2:])
	rec.Seq = binary.NativeEndian.Uint64(b[8:])
	rec.Time = binary.NativeEndian.Uint64(b[16:])
	rec.Body = b[HeaderSize:size:size]
	return true
}
