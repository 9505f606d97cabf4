package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	maxFile     = 16 << 30
	maxSegments = 256
	maxSections = 1 << 15
	maxNote     = 64 << 10
)

// image is an ELF file as far as addresses and names go.
type image struct {
	file     *elf.File
	size     uint64
	segments []segment
	buildID  []byte // nil: none
	fixed    bool   // addresses in memory are those of the file
}

// segment is what is mapped of the file.
type segment struct {
	offset, addr, fileSize uint64
	exec                   bool
}

// guard makes an error of a panic: debug/elf is not made for files that want to be misread.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("not a sound ELF file: %v", p)
	}
}

// openImage reads the headers. r has to stay open while the image is used.
func openImage(r io.ReaderAt, size int64) (img *image, err error) {
	defer guard(&err)
	if size < 0 || size > maxFile {
		return nil, fmt.Errorf("a file of %d bytes", size)
	}
	if err := checkHeader(r); err != nil {
		return nil, err
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	img = &image{file: f, size: uint64(size), fixed: f.Type == elf.ET_EXEC}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && len(img.segments) < maxSegments {
			img.segments = append(img.segments, segment{p.Off, p.Vaddr, p.Filesz, p.Flags&elf.PF_X != 0})
		}
	}
	img.buildID = img.readBuildID()
	return img, nil
}

// checkHeader refuses what would make debug/elf allocate without measure: the number of sections can stand in a
// section, and is then limited by nothing.
func checkHeader(r io.ReaderAt) error {
	var head [64]byte
	n, err := r.ReadAt(head[:], 0)
	if n < 52 || !bytes.HasPrefix(head[:], []byte(elf.ELFMAG)) {
		return errors.Join(errors.New("not an ELF file"), ignoreEOF(err))
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	shoff, phnum, shnum := uint64(order.Uint32(head[32:])), order.Uint16(head[44:]), order.Uint16(head[48:])
	if elf.Class(head[elf.EI_CLASS]) == elf.ELFCLASS64 {
		shoff, phnum, shnum = order.Uint64(head[40:]), order.Uint16(head[56:]), order.Uint16(head[60:])
	}
	if phnum > maxSegments || shnum > maxSections || shnum == 0 && shoff != 0 {
		return fmt.Errorf("an ELF file of %d segments and %d sections", phnum, shnum)
	}
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// address returns where in memory, as the file has it, a byte of the file goes.
func (img *image) address(offset uint64) (uint64, bool) {
	return fileAddress(img.segments, offset)
}

// fileAddress prefers executable segments: the pages where two segments meet are mapped twice.
func fileAddress(segments []segment, offset uint64) (uint64, bool) {
	for _, exec := range []bool{true, false} {
		for _, s := range segments {
			if s.exec == exec && offset >= s.offset && offset-s.offset < s.fileSize {
				return s.addr + offset - s.offset, true
			}
		}
	}
	return 0, false
}

// offset returns where in the file an address lies.
func (img *image) offset(addr uint64) (uint64, bool) {
	for _, s := range img.segments {
		if addr >= s.addr && addr-s.addr < s.fileSize {
			return s.offset + addr - s.addr, true
		}
	}
	return 0, false
}

// section returns a section's bytes as they lie in the file, nil if it has none or more than limit.
func (img *image) section(s *elf.Section, limit uint64) []byte {
	if s == nil || !img.inFile(s) || s.FileSize == 0 || s.FileSize > limit {
		return nil
	}
	data := make([]byte, s.FileSize)
	if _, err := s.ReadAt(data, 0); err != nil {
		return nil
	}
	return data
}

// inFile says whether all of the section lies in the file as it is: debug/elf gives no reader of a compressed one.
func (img *image) inFile(s *elf.Section) bool {
	return s.ReaderAt != nil && s.Type != elf.SHT_NOBITS && s.Offset <= img.size && s.FileSize <= img.size-s.Offset
}

func (img *image) sectionNamed(names ...string) *elf.Section {
	for _, s := range img.file.Sections {
		for _, name := range names {
			if s.Name == name {
				return s
			}
		}
	}
	return nil
}

// readBuildID looks in the notes that the kernel looks in, those of the segments; some files have sections only.
func (img *image) readBuildID() []byte {
	for _, p := range img.file.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz == 0 || p.Filesz > maxNote || p.Off > img.size || p.Filesz > img.size-p.Off {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			continue
		}
		if id := buildIDOf(data, img.file.ByteOrder); id != nil {
			return id
		}
	}
	for _, s := range img.file.Sections {
		if s.Type != elf.SHT_NOTE {
			continue
		}
		if id := buildIDOf(img.section(s, maxNote), img.file.ByteOrder); id != nil {
			return id
		}
	}
	return nil
}

// buildIDOf walks notes: sizes of name and content, type, name, content, each padded to four bytes.
func buildIDOf(notes []byte, order binary.ByteOrder) []byte {
	const gnuBuildID = 3
	for len(notes) >= 12 {
		name, content, kind := order.Uint32(notes), order.Uint32(notes[4:]), order.Uint32(notes[8:])
		notes = notes[12:]
		if name > maxNote || content > maxNote {
			return nil
		}
		begin := (int(name) + 3) &^ 3
		end := begin + int(content)
		if end > len(notes) {
			return nil
		}
		if kind == gnuBuildID && string(notes[:name]) == "GNU\x00" && content > 0 {
			return notes[begin:end:end]
		}
		notes = notes[min((end+3)&^3, len(notes)):]
	}
	return nil
}
