package kernel

// InstructionBegins says whether an instruction begins at an offset of a function's code, where one begins at 0. Known is
// false where the code before it cannot be read as instructions.
func InstructionBegins(machine string, code []byte, offset uint64) (begins, known bool) {
	switch machine {
	case "arm64":
		return offset%4 == 0, true
	case "amd64":
	default:
		return false, false
	}
	for at := uint64(0); at < offset; {
		if at >= uint64(len(code)) {
			return false, false
		}
		n := lengthAMD64(code[at:])
		if n == 0 {
			return false, false
		}
		at += uint64(n)
		if at > offset {
			return false, true
		}
	}
	return true, true
}

// What follows the first byte of an instruction of amd64, one letter a byte; likewise behind 0f. (Intel's manual, volume 2,
// appendix A.)
//
//	.  nothing            m  ModRM              b  1 byte         B  ModRM, 1 byte
//	w  2 bytes            z  4 bytes, or 2      Z  ModRM, then as z
//	v  8, 4 or 2 bytes    o  an address         e  3 bytes        j  4 bytes
//	g  ModRM, and 1 byte if its middle field is 0 or 1            G  likewise, as z
//	p  a prefix           r  a prefix REX       x  another table  -  not in 64-bit mode
const (
	firstAMD64 = "mmmmbz--mmmmbz-xmmmmbz--mmmmbz--" + // 00
		"mmmmbzp-mmmmbzp-mmmmbzp-mmmmbzp-" + // 20
		"rrrrrrrrrrrrrrrr................" + // 40
		"--xmppppzZbB....bbbbbbbbbbbbbbbb" + // 60
		"BZ-Bmmmmmmmmmmmx..........-....." + // 80
		"oooo....bz......bbbbbbbbvvvvvvvv" + // a0
		"BBw.xxBZe.w..b-.mmmm---.mmmmmmmm" + // c0
		"bbbbbbbbjj-b....p.pp..gG......mm" //   e0
	secondAMD64 = "mmmm-.....-.-m.Bmmmmmmmmmmmmmmmm" + // 0f 00
		"mmmm----mmmmmmmm......-.x-x-----" + // 20
		"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm" + // 40
		"mmmmmmmmmmmmmmmmBBBBmmm.mmmmmmmm" + // 60
		"jjjjjjjjjjjjjjjjmmmmmmmmmmmmmmmm" + // 80
		"...mBm--...mBmmmmmmmmmmmmmBmmmmm" + // a0
		"mmBmBBBm........mmmmmmmmmmmmmmmm" + // c0
		"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm" //   e0
)

// longestAMD64 is how long an instruction can be.
const longestAMD64 = 15

// lengthAMD64 is the length of the instruction that the code begins with; 0 if that cannot be told.
func lengthAMD64(code []byte) int {
	code = code[:min(len(code), longestAMD64)]
	d := decoderAMD64{code: code}
	if n := d.length(); n <= len(code) {
		return n
	}
	return 0
}

type decoderAMD64 struct {
	code    []byte
	at      int
	narrow  bool // prefix 66
	address bool // prefix 67
	wide    bool // REX.W
	repeat  bool // prefix f2
}

// next is the next byte, and 0 behind the end: the length is then more than there is.
func (d *decoderAMD64) next() byte {
	d.at++
	if d.at > len(d.code) {
		return 0
	}
	return d.code[d.at-1]
}

func (d *decoderAMD64) length() int {
	for d.at < len(d.code) {
		b := d.next()
		kind := firstAMD64[b]
		switch kind {
		case 'p':
			d.wide = false // REX counts only right before the instruction
			d.narrow = d.narrow || b == 0x66
			d.address = d.address || b == 0x67
			d.repeat = d.repeat || b == 0xf2
			continue
		case 'r':
			d.wide = b&8 != 0
			continue
		case 'x':
			return d.escape(b)
		}
		return d.rest(kind)
	}
	return 0
}

// escape is for the bytes behind which another table begins.
func (d *decoderAMD64) escape(b byte) int {
	switch b {
	case 0x0f:
		b = d.next()
		switch b {
		case 0x38:
			d.next()
			return d.rest('m')
		case 0x3a:
			d.next()
			return d.rest('B')
		case 0x78: // extrq, insertq
			if d.narrow || d.repeat {
				return d.rest('B') + 1
			}
		}
		return d.rest(secondAMD64[b])
	case 0xc5: // VEX
		d.next()
		return d.vector(1)
	case 0xc4:
		table := d.next() & 0x1f
		d.next()
		return d.vector(table)
	case 0x62: // EVEX
		table := d.next() & 7
		d.next()
		d.next()
		return d.vector(table)
	}
	// 8f: pop, or XOP.
	if d.at >= len(d.code) || d.code[d.at]&0x1f < 8 {
		return d.rest('m')
	}
	table := d.next() & 0x1f
	d.next()
	return d.vector(table)
}

// vector is for the tables that VEX, EVEX and XOP choose from.
func (d *decoderAMD64) vector(table byte) int {
	b := d.next()
	switch table {
	case 1:
		if b == 0x77 { // vzeroupper
			return d.at
		}
		if secondAMD64[b] == 'B' {
			return d.rest('B')
		}
		return d.rest('m')
	case 2, 5, 6, 9:
		return d.rest('m')
	case 3, 8:
		return d.rest('B')
	case 10:
		return d.rest('m') + 4
	}
	return 0
}

// rest is the length, given what follows the bytes read so far.
func (d *decoderAMD64) rest(kind byte) int {
	z := 4
	if d.narrow && !d.wide {
		z = 2
	}
	switch kind {
	case '.':
		return d.at
	case 'b':
		return d.at + 1
	case 'w':
		return d.at + 2
	case 'e':
		return d.at + 3
	case 'j':
		return d.at + 4
	case 'z':
		return d.at + z
	case 'v':
		if d.wide {
			return d.at + 8
		}
		return d.at + z
	case 'o':
		if d.address {
			return d.at + 4
		}
		return d.at + 8
	case 'm', 'B', 'Z', 'g', 'G':
		middle := d.modRM()
		switch {
		case kind == 'B', kind == 'g' && middle < 2:
			return d.at + 1
		case kind == 'Z', kind == 'G' && middle < 2:
			return d.at + z
		}
		return d.at
	}
	return 0
}

// modRM passes over the byte of that name and the address that it describes, and returns its middle field.
func (d *decoderAMD64) modRM() byte {
	b := d.next()
	mod, low := b>>6, b&7
	if mod == 3 {
		return b >> 3 & 7
	}
	if low == 4 {
		low = d.next() & 7 // of SIB: the base
	}
	switch {
	case mod == 1:
		d.at++
	case mod == 2, low == 5:
		d.at += 4
	}
	return b >> 3 & 7
}
