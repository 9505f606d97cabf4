package kernel

import (
	"fmt"
	"math"
)

// passStep is how many types the pass goes on for when something is looked for.
const passStep = 2048

// pass goes on through the types up to the one with that ID, and notes of each what it is and where its name is. The lock is
// held. Behind damage there are no types.
func (b *BTFTypes) pass(until uint32) error {
	types, at := b.types, b.at
	names := b.firstName + uint32(len(b.names))
	b.at = len(types)
	for at < len(types) && b.end() <= until {
		if len(types)-at < btfRecordLen {
			return fmt.Errorf("BTF type %d is cut off", b.end())
		}
		record := types[at:][:btfRecordLen]
		name, info := btfOrder.Uint32(record), btfOrder.Uint32(record[4:])
		kind := uint8(info >> 24 & 0x1f)
		tail := 0
		if 1<<kind&bareKinds == 0 || info&infoUnused != 0 {
			var known bool
			if tail, known = tailLen(info); !known {
				return errUnknownKind(info)
			}
		}
		if name >= names && name != 0 {
			return errNoName(name)
		}
		if tail > len(types)-at-btfRecordLen {
			return fmt.Errorf("BTF type %d is cut off", b.end())
		}
		if kind == kindEnum || kind == kindEnum64 {
			b.enums = append(b.enums, uint32(at))
			b.enumID = append(b.enumID, b.end())
		}
		if len(b.kinds)%markEvery == 0 {
			b.marks = append(b.marks, uint32(at))
		}
		b.kinds = append(b.kinds, kind)
		b.nameAt = append(b.nameAt, name)
		at += btfRecordLen + tail
	}
	b.at = at
	return nil
}

// more goes on with the pass and says whether it came to further types. The lock is held.
func (b *BTFTypes) more() bool {
	had := len(b.kinds)
	_ = b.pass(b.end() + passStep - 1)
	return len(b.kinds) > had
}

// whole ends the pass. The lock is held.
func (b *BTFTypes) whole() { _ = b.pass(math.MaxUint32) }

// has is Has with the lock held.
func (b *BTFTypes) has(id uint32) bool {
	if id >= b.end() {
		_ = b.pass(id)
	}
	return id < b.end()
}
