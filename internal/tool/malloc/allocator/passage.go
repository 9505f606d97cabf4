package allocator

import (
	"encoding/binary"
	"runtime"
	"strings"
)

// A Passage is a place in a function that does nothing but call another, and keeps no frame: C++'s operator new, which calls
// malloc. Without more the function that calls it would be missing in stacks.
type Passage struct {
	Code     [2]uint64 // the eight bytes before the place to return to, and behind it
	Address  uint64    // of that place, in the file
	Distance uint64    // from where its address lies on the stack to that of the function's caller
}

// passages finds them in a file that is not itself an allocator.
func passages(e *entry) (found []Passage) {
	if e.found.malloc || runtime.GOARCH != "amd64" {
		return nil // on arm64 such functions have frames
	}
	var slots map[uint64]string
	for _, s := range e.found.symbols {
		if !strings.HasPrefix(s.Name, operators[0]) && !strings.HasPrefix(s.Name, operators[1]) || s.Size == 0 {
			continue
		}
		if slots == nil {
			var err error
			if slots, err = e.file.Slots(); err != nil {
				return nil
			}
		}
		code := e.file.Code(s.Address, int(min(s.Size, maxCode)))
		gives := func(target uint64) bool {
			slot, ok := stub(runtime.GOARCH, e.file.Code(target, 16), target)
			if !ok {
				return false
			}
			k, _, known := kindOf(slots[slot])
			return known && !k.frees
		}
		for i := range code {
			if i+5 > len(code) || code[i] != 0xe8 {
				continue
			}
			back := s.Address + uint64(i) + 5
			if !gives(back + uint64(int64(int32(binary.LittleEndian.Uint32(code[i+1:]))))) {
				continue
			}
			// The frame is as large at the call as where it returns to, and that may be the end of the function.
			distance, ok := e.file.FrameSize(back - 1)
			around := e.file.Code(back-8, 16)
			if ok && len(around) == 16 {
				found = append(found, Passage{
					Code:    [2]uint64{binary.LittleEndian.Uint64(around), binary.LittleEndian.Uint64(around[8:])},
					Address: back, Distance: distance,
				})
			}
		}
	}
	return found
}
