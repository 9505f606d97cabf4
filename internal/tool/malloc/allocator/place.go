package allocator

// A probe replaces an instruction. Some the kernel can carry out itself when the probe is hit (pushes, branches, those that do
// nothing); for others the program has to be stepped through a copy, which is a second trap: as dear as the first on a
// machine, ten times as dear in a virtual one. So the probe is put a few instructions behind the entry where that helps: still
// before anything that the probe's program looks at has changed.

// maxSkipped bounds, in bytes, how far behind the entry a probe may be.
const maxSkipped = 40

// Registers of amd64 by their numbers in instructions.
const (
	regAX = iota
	regCX
	regDX
	regBX
	regSP
	regBP
	regSI
	regDI
)

// probePlace tells how far behind the start of a function the probe goes; 0 is its entry.
func probePlace(machine string, code []byte, size Size) int {
	if machine != "amd64" {
		return 0
	}
	at := 0
	if size == SizeGo {
		// A function that finds its stack too small begins again with a larger one: behind that it is one call.
		at = goPrologue(code)
		if at == 0 || at >= len(code) || code[at] != 0x55 {
			return 0
		}
		return at
	}
	for at < len(code) && at <= maxSkipped {
		if carriedOut(code[at:]) {
			if at > 0 && branchesInto(code, at) {
				return 0
			}
			return at
		}
		n := harmless(code[at:], size)
		if n == 0 {
			return 0
		}
		at += n
	}
	return 0
}

// carriedOut says whether the kernel carries out the first instruction itself: push, jump, conditional jump, nop.
func carriedOut(code []byte) bool {
	switch c := code[0]; {
	case c >= 0x50 && c <= 0x57, c >= 0x70 && c <= 0x7f, c == 0x90, c == 0xe9, c == 0xeb:
		return true
	case len(code) < 2:
		return false
	case c == 0x41:
		return code[1] >= 0x50 && code[1] <= 0x57
	case c == 0x0f:
		return code[1] >= 0x80 && code[1] <= 0x8f
	}
	return false
}

// goPrologue is how long the part of a function of Go is that looks whether its stack is large enough.
func goPrologue(code []byte) int {
	begins := func(at int, bytes ...byte) bool {
		return at+len(bytes) <= len(code) && string(code[at:at+len(bytes)]) == string(bytes)
	}
	at := 0
	switch {
	case begins(0, 0x49, 0x3b, 0x66, 0x10): // cmp 0x10(%r14), %rsp
		at = 4
	case begins(0, 0x4c, 0x8d, 0x64, 0x24) && begins(5, 0x4d, 0x3b, 0x66, 0x10): // lea -N(%rsp), %r12; cmp 0x10(%r14), %r12
		at = 9
	case begins(0, 0x4c, 0x8d, 0xa4, 0x24) && begins(8, 0x4d, 0x3b, 0x66, 0x10):
		at = 12
	default:
		return 0
	}
	switch {
	case begins(at, 0x76): // jbe
		return at + 2
	case begins(at, 0x0f, 0x86):
		return at + 6
	}
	return 0
}

// harmless is the length of the first instruction if it changes nothing but a register that no argument is in, and no memory;
// else 0.
func harmless(code []byte, size Size) int {
	if len(code) >= 4 && string(code[:4]) == "\xf3\x0f\x1e\xfa" { // endbr64
		return 4
	}
	at, rex := 0, byte(0)
	if len(code) > 0 && code[0]&0xf0 == 0x40 {
		at, rex = 1, code[0]
	}
	if at+2 > len(code) {
		return 0
	}
	op := code[at]
	if op >= 0xb8 && op <= 0xbf { // mov number, register
		n := at + 5
		if rex&8 != 0 {
			n = at + 9
		}
		return ifFree(int(op&7)|int(rex&1)<<3, n, len(code))
	}
	modrm := code[at+1]
	long := modrmLength(code[at+1:])
	if long == 0 {
		return 0
	}
	n := at + 1 + long
	register, other := int(modrm>>3&7)|int(rex&4)<<1, int(modrm&7)|int(rex&1)<<3
	direct := modrm>>6 == 3
	switch op {
	case 0x8d, 0x8b: // lea, mov: to a register
		return ifFree(register, n, len(code))
	case 0x89, 0x31: // mov, xor: of registers
		if !direct {
			return 0
		}
		return ifFree(other, n, len(code))
	case 0x85, 0x39, 0x3b, 0x84, 0x38, 0x3a: // test, cmp
		return within(n, len(code))
	case 0x80, 0x83, 0x81: // cmp, and: with a number
		n++
		if op == 0x81 {
			n += 3
		}
		switch {
		case modrm>>3&7 == 7:
			return within(n, len(code))
		case modrm>>3&7 == 4 && direct:
			return ifFree(other, n, len(code))
		}
	case 0xf7: // mul: to ax and dx
		if modrm>>3&7 == 4 && direct && size == SizeProduct01 {
			return within(n, len(code))
		}
	}
	return 0
}

func ifFree(register, n, length int) int {
	switch register {
	case regCX, regDX, regSP, regBP, regSI, regDI:
		return 0
	}
	return within(n, length)
}

func within(n, length int) int {
	if n > length {
		return 0
	}
	return n
}

// modrmLength is how long the bytes are that tell the operands of an instruction.
func modrmLength(code []byte) int {
	mod, rm := code[0]>>6, code[0]&7
	n := 1
	if mod != 3 && rm == 4 {
		if len(code) < 2 {
			return 0
		}
		n++
		if mod == 0 && code[1]&7 == 5 {
			n += 4
		}
	}
	switch {
	case mod == 0 && rm == 5, mod == 2:
		n += 4
	case mod == 1:
		n++
	}
	if n > len(code) {
		return 0
	}
	return n
}

// branchesInto says whether anything in the code may be a branch to one of the instructions from the second to the one at that place:
// the probe would be hit more than once a call.
func branchesInto(code []byte, place int) bool {
	into := func(target int) bool { return target > 0 && target <= place }
	for i := place; i+1 < len(code); i++ {
		if c := code[i]; (c >= 0x70 && c <= 0x7f || c == 0xeb) && into(i+2+int(int8(code[i+1]))) {
			return true
		}
	}
	hit := false
	for range branches("amd64", code, 0, func(target uint64) bool {
		hit = hit || into(int(int64(target)))
		return false
	}) {
	}
	return hit
}
