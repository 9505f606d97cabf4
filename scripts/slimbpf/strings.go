package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// withoutStrings drops the strings of a section .BTF that neither its types nor the .BTF.ext beside it refer to: most of them
// are lines of the source. Both sections are rewritten, for they refer to strings by their place.
func withoutStrings(types, ext []byte) (slimTypes, slimExt []byte, err error) {
	var h typesHeader
	n, err := binary.Decode(types, binary.LittleEndian, &h)
	if err != nil || h.Magic != magic || int(h.Length) != n {
		return nil, nil, errors.New("no .BTF")
	}
	end := uint64(h.TypeOff) + uint64(h.TypeLen)
	if end > uint64(len(types)-n) || uint64(h.StrOff)+uint64(h.StrLen) > uint64(len(types)-n) {
		return nil, nil, errors.New(".BTF is cut")
	}
	r := renamer{old: types[n:][h.StrOff : h.StrOff+h.StrLen], places: map[uint32]uint32{}, known: map[string]uint32{"": 0}, table: []byte{0}}
	body := bytes.Clone(types[n:][h.TypeOff:end])
	slimExt = bytes.Clone(ext)
	if err := errors.Join(r.types(body), r.ext(slimExt)); err != nil {
		return nil, nil, err
	}
	h.TypeOff, h.StrOff, h.StrLen = 0, h.TypeLen, uint32(len(r.table))
	slimTypes, err = binary.Append(nil, binary.LittleEndian, h)
	return append(append(slimTypes, body...), r.table...), slimExt, err
}

// typesHeader is struct btf_header. Offsets count from its end.
type typesHeader struct {
	Magic            uint16
	Version, Flags   uint8
	Length           uint32
	TypeOff, TypeLen uint32
	StrOff, StrLen   uint32
}

// renamer gives strings their new places, in the order in which they are met.
type renamer struct {
	old, table []byte
	places     map[uint32]uint32
	known      map[string]uint32
}

// rename replaces the place of a string by its new one.
func (r *renamer) rename(at []byte) error {
	old := binary.LittleEndian.Uint32(at)
	place, ok := r.places[old]
	if !ok {
		if uint64(old) >= uint64(len(r.old)) {
			return fmt.Errorf("a string at %d of %d bytes", old, len(r.old))
		}
		text, _, _ := bytes.Cut(r.old[old:], []byte{0})
		if place, ok = r.known[string(text)]; !ok {
			place = uint32(len(r.table))
			r.table = append(append(r.table, text...), 0)
			r.known[string(text)] = place
		}
		r.places[old] = place
	}
	binary.LittleEndian.PutUint32(at, place)
	return nil
}

// What follows a struct btf_type, by its kind: some bytes, or records, whose first word may be the place of a name.
var kinds = [...]struct {
	bytes, record uint32
	named         bool
}{
	1: {bytes: 4}, 3: {bytes: 12}, 4: {record: 12, named: true}, 5: {record: 12, named: true}, 6: {record: 8, named: true},
	13: {record: 8, named: true}, 14: {bytes: 4}, 15: {record: 12}, 17: {bytes: 4}, 19: {record: 12, named: true},
}

const typeSize = 12

func (r *renamer) types(body []byte) error {
	for len(body) > 0 {
		if len(body) < typeSize {
			return errors.New(".BTF: a type is cut")
		}
		info := binary.LittleEndian.Uint32(body[4:])
		kind, count := info>>24&0x1f, info&0xffff
		if err := r.rename(body); err != nil {
			return err
		}
		body = body[typeSize:]
		if int(kind) >= len(kinds) {
			return fmt.Errorf(".BTF: a type of kind %d", kind)
		}
		k := kinds[kind]
		rest := uint64(k.bytes) + uint64(count)*uint64(k.record)
		if rest > uint64(len(body)) {
			return errors.New(".BTF: a type is cut")
		}
		if k.named {
			for i := range count {
				if err := r.rename(body[i*k.record:]); err != nil {
					return err
				}
			}
		}
		body = body[rest:]
	}
	return nil
}

// placeInRelocation is where a CO-RE relocation has the place of its access string: behind the instruction and the type.
const placeInRelocation = 8

func (r *renamer) ext(ext []byte) error {
	var h header
	n, err := binary.Decode(ext, binary.LittleEndian, &h)
	if err != nil {
		return err
	}
	body := ext[n:]
	return errors.Join(
		r.infos(body[h.FuncOff:h.FuncOff+h.FuncLen], 0),
		r.infos(body[h.CORERelOff:h.CORERelOff+h.CORERLen], placeInRelocation),
	)
}

// infos goes through a part of .BTF.ext: the size of a record, then for each section its name, how many records, and those. Where
// place is not 0 a record has the place of a string there.
func (r *renamer) infos(part []byte, place uint32) error {
	cut := errors.New(".BTF.ext is cut")
	if len(part) == 0 {
		return nil
	}
	if len(part) < 4 {
		return cut
	}
	size := binary.LittleEndian.Uint32(part)
	for part = part[4:]; len(part) > 0; {
		if len(part) < 8 || size < place+4 {
			return cut
		}
		if err := r.rename(part); err != nil {
			return err
		}
		count := binary.LittleEndian.Uint32(part[4:])
		part = part[8:]
		if uint64(count)*uint64(size) > uint64(len(part)) {
			return cut
		}
		for range count {
			if place > 0 {
				if err := r.rename(part[place:]); err != nil {
					return err
				}
			}
			part = part[size:]
		}
	}
	return nil
}
