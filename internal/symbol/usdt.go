package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
)

// StaticProbe is one place of a static probe (USDT) in a program's code.
type StaticProbe struct {
	Offset    uint64 // in the file
	Semaphore uint64 // where in the file the word is that counts who traces; 0 for none
	Args      string // where the arguments are: "8@%rax -4@-20(%rbp)"
}

// What is believed of a file's notes.
const (
	maxStaticNotes  = 8 << 20
	maxStaticProbes = 4096
	maxStaticArgs   = 4096

	staticNote     = 3 // its type
	staticNoteName = "stapsdt\x00"
)

// StaticProbes finds the places of a static probe in the file of a program or library. There may be several: the compiler makes one
// wherever the probe was inlined.
func StaticProbes(path, provider, name string) (found []StaticProbe, err error) {
	defer guard(&err)
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	img, err := openImage(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	notes := img.section(img.sectionNamed(".note.stapsdt"), maxStaticNotes)
	if img.file.Class != elf.ELFCLASS64 || img.file.Data != elf.ELFDATA2LSB {
		return nil, fmt.Errorf("%s: it is not a 64-bit program of this machine's byte order", path)
	}
	base := uint64(0)
	if s := img.sectionNamed(".stapsdt.base"); s != nil {
		base = s.Addr
	}
	for _, n := range staticNotes(notes) {
		if n.provider != provider || n.name != name {
			continue
		}
		// Prelinking moves addresses; how far, tells the base.
		moved := uint64(0)
		if base != 0 && n.base != 0 {
			moved = base - n.base
		}
		place := StaticProbe{Args: n.args}
		var ok bool
		if place.Offset, ok = img.offset(n.pc + moved); !ok {
			return nil, fmt.Errorf("%s: probe %s:%s is at %#x, which is not in the file", path, provider, name, n.pc+moved)
		}
		if n.semaphore != 0 {
			if place.Semaphore, ok = img.offset(n.semaphore + moved); !ok {
				return nil, fmt.Errorf("%s: the semaphore of probe %s:%s is at %#x, which is not in the file", path, provider, name, n.semaphore+moved)
			}
		}
		if found = append(found, place); len(found) > maxStaticProbes {
			return nil, fmt.Errorf("%s: probe %s:%s is in more than %d places", path, provider, name, maxStaticProbes)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no static probe %s:%s", path, provider, name)
	}
	return found, nil
}

type staticNoteOf struct {
	pc, base, semaphore  uint64
	provider, name, args string
}

// staticNotes reads the notes. What does not hold together ends them.
func staticNotes(notes []byte) (list []staticNoteOf) {
	le := binary.LittleEndian
	for len(notes) >= 12 {
		nameSize, size, kind := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:])), le.Uint32(notes[8:])
		notes = notes[12:]
		padded, all := (nameSize+3)&^3, (size+3)&^3
		if padded+size > uint64(len(notes)) {
			return list
		}
		name, desc := notes[:nameSize], notes[padded:padded+size]
		notes = notes[min(padded+all, uint64(len(notes))):]
		if kind != staticNote || string(name) != staticNoteName || len(desc) < 24 {
			continue
		}
		words := bytes.SplitN(desc[24:], []byte{0}, 4)
		if len(words) < 4 || len(words[2]) > maxStaticArgs {
			continue
		}
		list = append(list, staticNoteOf{
			pc: le.Uint64(desc), base: le.Uint64(desc[8:]), semaphore: le.Uint64(desc[16:]),
			provider: string(words[0]), name: string(words[1]), args: string(words[2]),
		})
	}
	return list
}
