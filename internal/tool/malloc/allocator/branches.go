package allocator

import (
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
)

const (
	maxCode   = 16 << 10 // bounds what is looked at of a function
	shortCode = 32
)

// A branch is a direct call of another place, or a jump to one.
type branch struct {
	target uint64
	call   bool
}

// branches finds the branches in code to places that are wanted. Where instructions begin is not looked at: that four
// bytes of another meaning lead to the very place is out of the question.
func branches(machine string, code []byte, addr uint64, wanted func(target uint64) bool) (found []branch) {
	add := func(target uint64, call bool) {
		if wanted(target) {
			found = append(found, branch{target, call})
		}
	}
	switch machine {
	case "amd64":
		// A jump over a short way says too little to be looked for in more than a few bytes.
		for i := 0; i+2 <= len(code) && len(code) <= shortCode; i++ {
			if code[i] == 0xeb {
				add(addr+uint64(i)+2+uint64(int64(int8(code[i+1]))), false)
			}
		}
		for i := 0; i+5 <= len(code); i++ {
			switch relative := uint64(int64(int32(binary.LittleEndian.Uint32(code[i+1:])))); {
			case code[i] == 0xe8:
				add(addr+uint64(i)+5+relative, true)
			case code[i] == 0xe9, i > 0 && code[i-1] == 0x0f && code[i]&0xf0 == 0x80:
				add(addr+uint64(i)+5+relative, false)
			}
		}
	case "arm64":
		for i := 0; i+4 <= len(code); i += 4 {
			word := binary.LittleEndian.Uint32(code[i:])
			relative := uint64(int64(int32(word<<6) >> 4))
			switch word >> 26 {
			case 0b100101:
				add(addr+uint64(i)+relative, true)
			case 0b000101:
				add(addr+uint64(i)+relative, false)
			}
		}
	}
	return found
}

// stub tells by which pointer a piece of code goes that does nothing but go on elsewhere, as calls of other files do.
func stub(machine string, code []byte, addr uint64) (slot uint64, ok bool) {
	switch machine {
	case "amd64":
		at := 0
		if len(code) >= 4 && string(code[:4]) == "\xf3\x0f\x1e\xfa" { // endbr64
			at = 4
		}
		if at < len(code) && code[at] == 0xf2 { // bnd
			at++
		}
		if at+6 > len(code) || code[at] != 0xff || code[at+1] != 0x25 {
			return 0, false
		}
		return addr + uint64(at) + 6 + uint64(int64(int32(binary.LittleEndian.Uint32(code[at+2:])))), true
	case "arm64":
		// adrp x16, PAGE; ldr x17, [x16, OFFSET]; with bti c before it where that is in use
		if len(code) >= 4 && binary.LittleEndian.Uint32(code) == 0xd503245f {
			code, addr = code[4:], addr+4
		}
		if len(code) < 8 {
			return 0, false
		}
		page, load := binary.LittleEndian.Uint32(code), binary.LittleEndian.Uint32(code[4:])
		if page&0x9f00001f != 0x90000010 || load&0xffc003ff != 0xf9400211 {
			return 0, false
		}
		pages := int64(int32(page<<8)>>13)<<2 | int64(page>>29&3)
		return addr&^4095 + uint64(pages<<12) + uint64(load>>10&4095)*8, true
	}
	return 0, false
}

// settle looks how the functions of a file call each other, so that nothing is counted twice: which only go on in another,
// and are left out; from where a call is one function's of the allocator.
func (o *Object) settle() {
	slots, err := o.Slots()
	if err != nil {
		slots = nil
	}
	byName, byAddress := map[string]int{}, map[uint64]int{}
	for i, f := range o.Functions {
		byName[f.Name], byAddress[f.Address] = i, i
	}
	resolve := func(target uint64) (int, bool) {
		if i, ok := byAddress[target]; ok {
			return i, true
		}
		slot, ok := stub(runtime.GOARCH, o.Code(target, 16), target)
		if !ok {
			return 0, false
		}
		i, ok := byName[slots[slot]]
		return i, ok
	}
	thin := make([]bool, len(o.Functions))
	for i := range o.Functions {
		f := &o.Functions[i]
		if f.Length == 0 || f.Size == SizeGo {
			continue
		}
		code := o.Code(f.Address, int(min(f.Length, maxCode)))
		calls := false
		for _, b := range branches(runtime.GOARCH, code, f.Address, func(target uint64) bool { _, ok := resolve(target); return ok }) {
			to, _ := resolve(b.target)
			g := o.Functions[to]
			switch {
			case to == i || g.Frees != f.Frees:
			case b.call:
				calls = true
			case f.Frees:
				thin[i] = true
			case f.Flags&Old != 0 && g.Flags&Old == 0:
				f.Flags |= NullJumps
			case f.Flags&Pair != 0:
			case f.Size == SizeArg0 && strings.HasSuffix(f.Name, "malloc"), f.Size == SizeProduct01:
				f.Flags |= Pair // it may have ways of its own besides
			default:
				thin[i] = true
			}
		}
		if calls && !f.Frees {
			o.Inner = append(o.Inner, Range{f.Address, f.Address + f.Length})
		}
	}
	for i := range o.Functions {
		f := &o.Functions[i]
		if f.Length == 0 {
			continue
		}
		ahead := uint64(probePlace(runtime.GOARCH, o.Code(f.Address, int(min(f.Length, maxCode))), f.Size))
		f.Probe, f.Offset = f.Probe+ahead, f.Offset+ahead
	}
	kept := o.Functions[:0]
	for i, f := range o.Functions {
		if !thin[i] {
			kept = append(kept, f)
		}
	}
	o.Functions = kept
	slices.SortFunc(o.Inner, func(x, y Range) int {
		if x.Start < y.Start {
			return -1
		}
		return 1
	})
}
