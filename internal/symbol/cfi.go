package symbol

import (
	"debug/elf"
	"encoding/binary"
)

// What of DWARF's call frame information is read: how far the stack pointer is from where a function's caller was left. It is
// what unwinding by tables begins with.

const (
	maxFrameTable = 64 << 20
	maxRules      = 1 << 12
	// amd64's numbers of registers.
	dwarfSP = 7
	// pointers relative to where they stand, of four bytes with a sign: what compilers and linkers write.
	encodedRelative4 = 0x1b
)

// FrameSize tells how far above the stack pointer, when the code at an address runs, the stack pointer was before the function was
// called: the canonical frame address. It is told for amd64 only, and only where the tables count from the stack pointer.
func (o *Object) FrameSize(addr uint64) (size uint64, ok bool) {
	defer func() {
		if recover() != nil {
			size, ok = 0, false
		}
	}()
	if o.img.file.Machine != elf.EM_X86_64 {
		return 0, false
	}
	section := o.img.sectionNamed(".eh_frame")
	data := o.img.section(section, maxFrameTable)
	if data == nil {
		return 0, false
	}
	r := frameTable{data: data, addr: section.Addr}
	return r.frameSize(addr)
}

// frameTable is a section .eh_frame.
type frameTable struct {
	data []byte
	addr uint64
}

// frameSize goes through the entries: 4 bytes of length, 4 that lead back to the common part.
func (t frameTable) frameSize(addr uint64) (uint64, bool) {
	for at := 0; at+8 <= len(t.data); {
		length := int(binary.LittleEndian.Uint32(t.data[at:]))
		if length == 0 || length >= 0xfffffff0 || length > len(t.data)-at-4 {
			return 0, false
		}
		entry := t.data[at+4 : at+4+length]
		back := int(binary.LittleEndian.Uint32(entry))
		next := at + 4 + length
		if back == 0 || len(entry) < 12 {
			at = next
			continue
		}
		from := t.addr + uint64(at+8) + uint64(int64(int32(binary.LittleEndian.Uint32(entry[4:]))))
		size := uint64(binary.LittleEndian.Uint32(entry[8:]))
		if addr < from || addr-from >= size {
			at = next
			continue
		}
		common, ok := t.common(at + 4 - back)
		if !ok {
			return 0, false
		}
		rest := entry[12:]
		if common.augmented {
			n, tail := uleb(rest)
			if n > uint64(len(tail)) {
				return 0, false
			}
			rest = tail[n:]
		}
		rules := cfaRules{common: common, to: addr - from}
		if !rules.run(common.rules) || !rules.run(rest) {
			return 0, false
		}
		return rules.offset, rules.register == dwarfSP && rules.offset > 0
	}
	return 0, false
}

// commonPart is what the entries of many functions share.
type commonPart struct {
	codeUnit  uint64
	augmented bool
	rules     []byte
}

func (t frameTable) common(at int) (c commonPart, ok bool) {
	if at < 0 || at+8 > len(t.data) {
		return c, false
	}
	length := int(binary.LittleEndian.Uint32(t.data[at:]))
	if length > len(t.data)-at-4 || length < 8 {
		return c, false
	}
	entry := t.data[at+4 : at+4+length]
	rest := entry[5:] // behind the mark and the version
	name := string(zeroEnded(rest))
	rest = rest[min(len(name)+1, len(rest)):]
	c.codeUnit, rest = uleb(rest)
	_, rest = uleb(rest) // the unit of data, signed: its length is what matters
	_, rest = uleb(rest) // the register of the return address
	if name == "" {
		c.rules = rest
		return c, false // addresses are absolute
	}
	if name[0] != 'z' {
		return c, false
	}
	c.augmented = true
	n, rest := uleb(rest)
	if n > uint64(len(rest)) {
		return c, false
	}
	extra := rest[:n]
	c.rules = rest[n:]
	for _, letter := range name[1:] {
		switch letter {
		case 'R':
			return c, len(extra) > 0 && extra[0] == encodedRelative4
		case 'L':
			extra = extra[1:]
		case 'P':
			switch extra[0] & 7 {
			case 3: // 4 bytes
				extra = extra[5:]
			case 4:
				extra = extra[9:]
			default:
				return c, false
			}
		case 'S', 'B':
		default:
			return c, false
		}
	}
	return c, false
}

// cfaRules runs the rules as far as they are about the canonical frame address.
type cfaRules struct {
	common           commonPart
	at, to           uint64 // from the function's start
	register, offset uint64
	kept             [][2]uint64
	steps            int
}

// run returns false where it meets what it does not know.
func (c *cfaRules) run(rules []byte) bool {
	var n uint64
	for len(rules) > 0 {
		if c.steps++; c.steps > maxRules {
			return false
		}
		op := rules[0]
		rules = rules[1:]
		forward := uint64(0)
		switch op & 0xc0 {
		case 0x40:
			forward = uint64(op & 0x3f)
		case 0x80:
			_, rules = uleb(rules)
			continue
		case 0xc0:
			continue
		default:
			switch op {
			case 0x00, 0x2d: // nothing
				continue
			case 0x02:
				forward, rules = uint64(rules[0]), rules[1:]
			case 0x03:
				forward, rules = uint64(binary.LittleEndian.Uint16(rules)), rules[2:]
			case 0x04:
				forward, rules = uint64(binary.LittleEndian.Uint32(rules)), rules[4:]
			case 0x05, 0x09, 0x14: // a register's place
				_, rules = uleb(rules)
				_, rules = uleb(rules)
				continue
			case 0x06, 0x07, 0x08, 0x2e:
				_, rules = uleb(rules)
				continue
			case 0x0a:
				c.kept = append(c.kept, [2]uint64{c.register, c.offset})
				continue
			case 0x0b:
				if len(c.kept) == 0 {
					return false
				}
				last := c.kept[len(c.kept)-1]
				c.kept = c.kept[:len(c.kept)-1]
				c.register, c.offset = last[0], last[1]
				continue
			case 0x0c:
				c.register, rules = uleb(rules)
				c.offset, rules = uleb(rules)
				continue
			case 0x0d:
				c.register, rules = uleb(rules)
				continue
			case 0x0e:
				c.offset, rules = uleb(rules)
				continue
			case 0x10, 0x16: // a register's place, by an expression
				_, rules = uleb(rules)
				n, rules = uleb(rules)
				if n > uint64(len(rules)) {
					return false
				}
				rules = rules[n:]
				continue
			default:
				return false
			}
		}
		// A rule holds from the place that was gone forward to.
		if c.at += forward * c.common.codeUnit; c.at > c.to {
			return true
		}
	}
	return true
}

// uleb reads a number of seven bits a byte.
func uleb(b []byte) (n uint64, rest []byte) {
	for i, c := range b {
		if i < 10 {
			n |= uint64(c&0x7f) << (7 * i)
		}
		if c&0x80 == 0 {
			return n, b[i+1:]
		}
	}
	return n, nil
}
