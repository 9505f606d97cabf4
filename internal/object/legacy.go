package object

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// Where a map is defined by a struct in a section "maps", its first five words are the same in all toolchains: type, size of
// keys, size of values, number of entries, flags. What follows is not. goebpf's struct has two pointers, which are
// relocations: to the definition of the inner map, and to the path where the map is to be pinned.
const (
	legacyWords     = 20
	goebpfInner     = 24
	goebpfPin       = 32
	goebpfSize      = 40
	maxLegacyStruct = 1 << 12
)

// legacyMaps settles what cilium's reader leaves open of maps that are defined by structs. notes are for the user.
func (f *elfFile) legacyMaps(maps map[string]*ebpf.MapSpec) (notes []string, err error) {
	for number, s := range f.sections {
		if !isMapSection(s.name) {
			continue
		}
		pointers := f.relocations(number)
		for _, sym := range f.at(number) {
			m := maps[sym.name]
			if m == nil || sym.size <= legacyWords {
				continue
			}
			if sym.value > uint64(len(s.data)) || uint64(len(s.data))-sym.value < sym.size || sym.size > maxLegacyStruct {
				return nil, fmt.Errorf("section %s: map %s: its definition of %d bytes does not lie in the section", s.name, sym.name, sym.size)
			}
			note, err := f.legacyTail(maps, m, sym, s, pointers)
			if err != nil {
				return nil, fmt.Errorf("section %s: map %s: %w", s.name, sym.name, err)
			}
			if note != "" {
				notes = append(notes, note)
			}
			m.Extra = nil
		}
	}
	slices.Sort(notes)
	return notes, nil
}

// legacyTail reads what stands behind the five words.
func (f *elfFile) legacyTail(maps map[string]*ebpf.MapSpec, m *ebpf.MapSpec, sym symbol, s section, pointers map[uint64]symbol) (note string, err error) {
	body := s.data[sym.value : sym.value+sym.size]
	for at := uint64(legacyWords); at < sym.size; at++ {
		to, isPointer := pointers[sym.value+at]
		switch {
		case isPointer && at == goebpfInner && sym.size >= goebpfPin:
			inner := maps[f.named(to, binary.LittleEndian.Uint64(body[at:]))]
			if inner == nil || inner == m {
				return "", fmt.Errorf("what it names as its inner map is no map")
			}
			m.InnerMap = inner.Copy()
			m.InnerMap.Extra, m.InnerMap.InnerMap = nil, nil
			at += 7
		case isPointer && at == goebpfPin && sym.size >= goebpfSize:
			path := f.string(to, binary.LittleEndian.Uint64(body[at:]))
			note = fmt.Sprintf("map %s is to be pinned as %s, which is left undone: this run has a map of its own", sym.name, path)
			at += 7
		case isPointer:
			return "", fmt.Errorf("its definition has a pointer at byte %d, which no known toolchain puts there", at)
		case body[at] != 0:
			return "", fmt.Errorf("its definition has something at byte %d that is not known (five words are: type, key size, value size, entries, flags)", at)
		}
	}
	return note, nil
}

// named is the name of the symbol that a pointer leads to.
func (f *elfFile) named(to symbol, addend uint64) string {
	if to.name != "" {
		return to.name
	}
	for _, s := range f.symbols {
		if s.section == to.section && s.value == addend && s.name != "" {
			return s.name
		}
	}
	return ""
}
