package profile

// proto writes messages of protocol buffers: a field is its number with the kind of what follows, then a number of seven bits a
// byte, or a length and as many bytes.
type proto struct{ buf []byte }

func (p *proto) varint(n uint64) {
	for n >= 0x80 {
		p.buf = append(p.buf, byte(n)|0x80)
		n >>= 7
	}
	p.buf = append(p.buf, byte(n))
}

// number leaves out zero, which is what a field without a value has.
func (p *proto) number(field int, n uint64) {
	if n != 0 {
		p.varint(uint64(field) << 3)
		p.varint(n)
	}
}

func (p *proto) flag(field int, set bool) {
	if set {
		p.number(field, 1)
	}
}

func (p *proto) bytes(field int, b []byte) {
	p.varint(uint64(field)<<3 | 2)
	p.varint(uint64(len(b)))
	p.buf = append(p.buf, b...)
}

func (p *proto) string(field int, s string) {
	p.varint(uint64(field)<<3 | 2)
	p.varint(uint64(len(s)))
	p.buf = append(p.buf, s...)
}

// numbers is a field that has many.
func (p *proto) numbers(field int, all []uint64) {
	var packed proto
	for _, n := range all {
		packed.varint(n)
	}
	if len(all) > 0 {
		p.bytes(field, packed.buf)
	}
}

// message is a field that is a message.
func (p *proto) message(field int, write func(*proto)) {
	var inner proto
	write(&inner)
	p.bytes(field, inner.buf)
}
