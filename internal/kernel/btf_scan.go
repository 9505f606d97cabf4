package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The BTF format: Documentation/bpf/btf.rst in the kernel's source.
const (
	btfMagic     = 0xeB9F
	btfVersion   = 1
	btfHeaderLen = 24
	btfRecordLen = 12 // name offset, info, size or type
)

const (
	kindInt       = 1
	kindPointer   = 2
	kindArray     = 3
	kindStruct    = 4
	kindUnion     = 5
	kindEnum      = 6
	kindForward   = 7
	kindTypedef   = 8
	kindVolatile  = 9
	kindConst     = 10
	kindRestrict  = 11
	kindFunc      = 12
	kindFuncProto = 13
	kindVar       = 14
	kindDatasec   = 15
	kindFloat     = 16
	kindDeclTag   = 17
	kindTypeTag   = 18
	kindEnum64    = 19
)

// infoUnused are the bits of a record's info that no kind up to ENUM64 uses. A kernel that sets them counts differently.
const infoUnused = 0x60ff0000

// tails says how many bytes follow a record: fixed + count*each. Kinds without an entry are unknown.
var tails = [32]struct {
	known       bool
	fixed, each uint8
}{
	kindInt:       {true, 4, 0},
	kindPointer:   {true, 0, 0},
	kindArray:     {true, 12, 0},
	kindStruct:    {true, 0, 12},
	kindUnion:     {true, 0, 12},
	kindEnum:      {true, 0, 8},
	kindForward:   {true, 0, 0},
	kindTypedef:   {true, 0, 0},
	kindVolatile:  {true, 0, 0},
	kindConst:     {true, 0, 0},
	kindRestrict:  {true, 0, 0},
	kindFunc:      {true, 0, 0},
	kindFuncProto: {true, 0, 8},
	kindVar:       {true, 4, 0},
	kindDatasec:   {true, 0, 12},
	kindFloat:     {true, 0, 0},
	kindDeclTag:   {true, 4, 0},
	kindTypeTag:   {true, 0, 0},
	kindEnum64:    {true, 0, 12},
}

// rootKinds are the kinds that a relocation can start from, as bits. Others of the same name never match.
const rootKinds = 1<<kindInt | 1<<kindStruct | 1<<kindUnion | 1<<kindEnum | 1<<kindForward | 1<<kindTypedef |
	1<<kindFloat | 1<<kindEnum64

// bareKinds are kinds without a tail, as bits. Most types are of these, so that where the next one starts need not wait for a
// look into tails: a quarter of the time of a whole pass.
const bareKinds = 1<<kindPointer | 1<<kindForward | 1<<kindTypedef | 1<<kindVolatile | 1<<kindConst | 1<<kindRestrict |
	1<<kindFunc | 1<<kindFloat | 1<<kindTypeTag

// markEvery is how many types lie between two known offsets: a type is found by walking from the last one before it.
const markEvery = 64

// btfScanner finds types in raw BTF by name and by ID, without an index of all of them.
type btfScanner struct {
	src               *btfSource
	typesAt, typesEnd int
	namesAt, namesEnd int
	marks             []uint32 // offsets of the types 1, 1+markEvery, 1+2*markEvery, ... from typesAt
	count             uint32   // of types; IDs run from 1 to count
}

// candidate is a type of the kernel's with a name that was looked for.
type candidate struct {
	id   uint32
	name string // the essential one
}

var btfOrder = binary.NativeEndian

// newBTFScanner checks the header.
func newBTFScanner(src *btfSource) (*btfScanner, error) {
	header, err := src.bytes(0, btfHeaderLen, src.size)
	if err != nil {
		return nil, fmt.Errorf("BTF header: %w", err)
	}
	switch magic := btfOrder.Uint16(header); {
	case magic == btfMagic>>8|btfMagic&0xff<<8:
		return nil, fmt.Errorf("%w: the BTF is in another byte order", ErrNotReduced)
	case magic != btfMagic:
		return nil, fmt.Errorf("not BTF: magic is %#x", magic)
	}
	if header[2] != btfVersion || header[3] != 0 {
		return nil, fmt.Errorf("%w: BTF version %d, flags %#x", ErrNotReduced, header[2], header[3])
	}
	headerLen := btfOrder.Uint32(header[4:])
	if headerLen < btfHeaderLen {
		return nil, fmt.Errorf("BTF header of %d bytes is too short", headerLen)
	}
	s := &btfScanner{src: src}
	section := func(at, length uint32) (int, int, error) {
		start, end := uint64(headerLen)+uint64(at), uint64(headerLen)+uint64(at)+uint64(length)
		if end > uint64(src.size) {
			return 0, 0, fmt.Errorf("BTF section from %d to %d is outside of the %d bytes there are", start, end, src.size)
		}
		return int(start), int(end), nil
	}
	typeAt, typeLen, nameAt, nameLen := btfOrder.Uint32(header[8:]), btfOrder.Uint32(header[12:]), btfOrder.Uint32(header[16:]), btfOrder.Uint32(header[20:])
	if s.typesAt, s.typesEnd, err = section(typeAt, typeLen); err != nil {
		return nil, err
	}
	if s.namesAt, s.namesEnd, err = section(nameAt, nameLen); err != nil {
		return nil, err
	}
	if s.namesEnd > s.namesAt {
		last, err := src.bytes(s.namesEnd-1, 1, s.namesEnd)
		if err != nil {
			return nil, err
		}
		if last[0] != 0 {
			return nil, errors.New("the last BTF name has no end")
		}
	}
	return s, nil
}

// tailLen returns how many bytes follow the first btfRecordLen ones of a record, if its kind is known.
func tailLen(info uint32) (length int, known bool) {
	tail := &tails[info>>24&0x1f]
	return int(tail.fixed) + int(info&0xffff)*int(tail.each), tail.known && info&infoUnused == 0
}

func errUnknownKind(info uint32) error {
	return fmt.Errorf("%w: BTF type of unknown kind, info %#x", ErrNotReduced, info)
}

// find goes through all types once and returns those with one of the names, or a flavour of it, in order of their IDs.
func (s *btfScanner) find(names map[string]*wantedRoot) ([]candidate, error) {
	var filter nameFilter
	for name := range names {
		filter.add(name)
	}
	var found []candidate
	s.marks = make([]uint32, 0, (s.typesEnd-s.typesAt)/(20*markEvery)+1)
	s.src.ahead = windowSize
	defer func() { s.src.ahead = pageSize }()

	for at := s.typesAt; at < s.typesEnd; {
		window, err := s.src.bytes(at, btfRecordLen, s.typesEnd)
		if err != nil {
			return nil, err
		}
		start := at
		for at-start <= len(window)-btfRecordLen {
			record := window[at-start:][:btfRecordLen]
			info := btfOrder.Uint32(record[4:])
			tail := 0
			if 1<<(info>>24&0x1f)&bareKinds == 0 || info&infoUnused != 0 {
				var known bool
				if tail, known = tailLen(info); !known {
					return nil, errUnknownKind(info)
				}
			}
			if s.count%markEvery == 0 {
				s.marks = append(s.marks, uint32(at-s.typesAt))
			}
			s.count++
			if name := btfOrder.Uint32(record); name != 0 && 1<<(info>>24&0x1f)&rootKinds != 0 {
				name, err := s.wantedName(name, names, &filter)
				if err != nil {
					return nil, err
				}
				if name != "" {
					found = append(found, candidate{s.count, name})
				}
			}
			if tail > s.typesEnd-at-btfRecordLen {
				return nil, fmt.Errorf("BTF type %d is cut off", s.count)
			}
			at += btfRecordLen + tail
		}
	}
	return found, nil
}

// wantedName returns the essential name at an offset of the string section, or "" when it is not one of names.
func (s *btfScanner) wantedName(offset uint32, names map[string]*wantedRoot, filter *nameFilter) (string, error) {
	if uint64(offset) >= uint64(s.namesEnd-s.namesAt) {
		return "", errNoName(offset)
	}
	// Nearly all names end here, without a search for their end.
	initials, err := s.src.initials(s.namesAt+int(offset), s.namesEnd)
	if err != nil || !filter.mayHave(initials) {
		return "", err
	}
	text, err := s.name(offset)
	if err != nil || len(text) == maxNameLen {
		return "", err
	}
	if i := bytes.LastIndex(text, []byte("___")); i > 0 {
		text = text[:i]
	}
	if _, ok := names[string(text)]; !ok {
		return "", nil
	}
	return string(text), nil
}

func errNoName(offset uint32) error {
	return fmt.Errorf("BTF name at offset %d is outside of the names", offset)
}

// name returns the string at an offset of the string section, valid until the next call.
func (s *btfScanner) name(offset uint32) ([]byte, error) {
	if uint64(offset) >= uint64(s.namesEnd-s.namesAt) {
		return nil, errNoName(offset)
	}
	return s.src.text(s.namesAt+int(offset), s.namesEnd)
}

var errNoType = errors.New("BTF has no such type")

// kindOf returns the kind and the number of parts in the info of a record.
func kindOf(record []byte) (kind, parts int) {
	info := btfOrder.Uint32(record[4:])
	return int(info >> 24 & 0x1f), int(info & 0xffff)
}

// record returns the whole record of a type, valid until the next call. find must have been called.
func (s *btfScanner) record(id uint32) ([]byte, error) {
	if id == 0 || id > s.count {
		return nil, fmt.Errorf("type %d: %w", id, errNoType)
	}
	at := s.typesAt + int(s.marks[(id-1)/markEvery])
	for skip := (id - 1) % markEvery; ; skip-- {
		head, err := s.src.bytes(at, btfRecordLen, s.typesEnd)
		if err != nil {
			return nil, err
		}
		info := btfOrder.Uint32(head[4:])
		tail, known := tailLen(info)
		if !known {
			return nil, errUnknownKind(info)
		}
		if skip == 0 {
			whole, err := s.src.bytes(at, btfRecordLen+tail, s.typesEnd)
			if err != nil {
				return nil, err
			}
			return whole[:btfRecordLen+tail], nil
		}
		at += btfRecordLen + tail
	}
}

// nameFilter tells most names apart from those looked for by their first two bytes, as a set of bits.
type nameFilter [1 << 10]uint64

// initialsOf gives the first two bytes of a name, with zeros where it has none.
func initialsOf[T string | []byte](name T) (initials uint16) {
	if len(name) > 0 {
		initials = uint16(name[0])
	}
	if len(name) > 1 {
		initials |= uint16(name[1]) << 8
	}
	return initials
}

func (f *nameFilter) set(initials uint16) { f[initials>>6] |= 1 << (initials & 63) }

func (f *nameFilter) add(name string) {
	f.set(initialsOf(name))
	if len(name) == 1 { // what its flavours start with
		f.set(initialsOf(name + "_"))
	}
}

func (f *nameFilter) mayHave(initials uint16) bool { return f[initials>>6]&(1<<(initials&63)) != 0 }
