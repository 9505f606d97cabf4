package tracefs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"sonde/internal/kernel"
)

// SubBuffer is how the trace buffer's pages begin: what the file events/header_page says.
type SubBuffer struct {
	stamp      int // where the time of the first event is, 8 bytes
	commit     int // where the number of bytes that are in use is
	commitSize int // 4 or 8
	data       int // where events begin
	size       int // of all
}

// Bits of the number of bytes in use that say that events before this page were lost, and that their number is behind the data.
const missedBits = 3 << 30

const maxSubBuffer = 1 << 20

// ParseHeaderPage reads the file header_page, which is written like the fields of an event's format.
func ParseHeaderPage(text string) (s SubBuffer, err error) {
	f, err := kernel.ParseFormat("ftrace", "name: header_page\n"+text)
	if err != nil {
		return s, err
	}
	seen := 0
	for _, field := range f.Fields {
		switch field.Name {
		case "timestamp":
			s.stamp = field.Offset
			seen |= 1
			if field.Size != 8 {
				return s, fmt.Errorf("header_page: a time of %d bytes", field.Size)
			}
		case "commit":
			s.commit, s.commitSize = field.Offset, field.Size
			seen |= 2
			if field.Size != 4 && field.Size != 8 {
				return s, fmt.Errorf("header_page: a length of %d bytes", field.Size)
			}
		case "data":
			s.data, s.size = field.Offset, field.Offset+field.Size
			seen |= 4
		}
	}
	if seen != 7 || s.data < s.stamp+8 || s.data < s.commit+s.commitSize || s.size > maxSubBuffer || s.size < 1024 {
		return s, fmt.Errorf("header_page: not what is known of it: %.200q", strings.Join(strings.Fields(text), " "))
	}
	return s, nil
}

// Kinds of entries of a page that are no events, and the sizes of others (include/linux/ring_buffer.h).
const (
	typeLong    = 0  // the length follows
	typePadding = 29 // nothing more, or bytes to be skipped
	typeExtend  = 30 // the upper part of the time since the entry before
	typeStamp   = 31 // the time itself

	deltaBits = 27
	stampTop  = 0xf8 << 56 // what is not in an entry of type typeStamp
)

var errPage = errors.New("page of the trace buffer does not hold together")

// Events calls f for each event of a page, with its time. What it gives f lies in the page.
func (s SubBuffer) Events(page []byte, f func(time uint64, data []byte)) error {
	if len(page) < s.data {
		return fmt.Errorf("%w: %d bytes", errPage, len(page))
	}
	le := binary.NativeEndian
	time := le.Uint64(page[s.stamp:])
	used := uint64(le.Uint32(page[s.commit:]))
	if s.commitSize == 8 {
		used = le.Uint64(page[s.commit:])
	}
	used &^= missedBits
	data := page[s.data:]
	if used > uint64(len(data)) {
		return fmt.Errorf("%w: %d bytes used of %d", errPage, used, len(data))
	}
	data = data[:used]
	for len(data) >= 4 {
		head := le.Uint32(data)
		kind, delta := head&31, uint64(head>>5)
		data = data[4:]
		length := int(kind) * 4
		switch kind {
		case typePadding:
			if delta == 0 {
				return nil
			}
			fallthrough
		case typeLong, typeExtend, typeStamp:
			if len(data) < 4 {
				return fmt.Errorf("%w: it ends in an entry", errPage)
			}
			word := le.Uint32(data)
			switch kind {
			case typeExtend:
				time += delta + uint64(word)<<deltaBits
				data = data[4:]
				continue
			case typeStamp:
				time = time&stampTop | delta | uint64(word)<<deltaBits
				data = data[4:]
				continue
			case typePadding:
				// The length is that of all that is behind the head, itself included, as below.
			}
			length = int(min(word, maxSubBuffer))
			if length < 4 || length > len(data) {
				return fmt.Errorf("%w: an entry of %d bytes where %d are left", errPage, word, len(data))
			}
			time += delta
			if kind == typeLong {
				f(time, data[4:length])
			}
			data = data[min(len(data), (length+3)&^3):]
			continue
		}
		if length > len(data) {
			return fmt.Errorf("%w: an event of %d bytes where %d are left", errPage, length, len(data))
		}
		time += delta
		f(time, data[:length])
		data = data[length:]
	}
	return nil
}
