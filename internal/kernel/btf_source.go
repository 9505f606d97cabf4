package kernel

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
)

const (
	// maxBTFSize bounds what is read: the largest kernels' BTF is about 10 MB.
	maxBTFSize = 256 << 20

	windowSize = 32 << 10 // read at once in a linear pass
	pageSize   = 4 << 10  // what sysfs gives at once; read at once otherwise
	pageSlots  = 16
)

// btfSource gives random access to raw BTF and holds little of it in memory: the file is mapped where the kernel allows that
// (6.15 and later; such pages are not counted as the process's own), and read in pieces where it does not.
//
// What a method returns is valid until the next call of the same method.
type btfSource struct {
	size   int
	mem    []byte // all of it, when mapped
	mapped bool

	file io.ReaderAt // when not mapped

	ahead  int    // how much to read at once
	window []byte // what was read last
	at     int    // its offset

	// pages is a direct-mapped cache for names, which are scattered, but used mostly in ascending order.
	pages  [pageSlots][]byte
	pageAt [pageSlots]int
	name   []byte // one name that crosses pages
}

// openBTF reads file, which must stay open until the source is closed.
func openBTF(file *os.File) (*btfSource, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxBTFSize {
		return nil, fmt.Errorf("BTF of %d bytes is larger than the %d expected at most", info.Size(), maxBTFSize)
	}
	size := int(info.Size())
	mem, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil { // ENODEV before 6.15
		return fileBTF(file, size), nil
	}
	return &btfSource{size: size, mem: mem, mapped: true}, nil
}

func fileBTF(file io.ReaderAt, size int) *btfSource { return &btfSource{size: size, file: file} }

func memoryBTF(mem []byte) *btfSource { return &btfSource{size: len(mem), mem: mem} }

func (s *btfSource) close() {
	if s.mapped {
		_ = syscall.Munmap(s.mem)
		s.mem = nil
	}
}

// bytes returns what lies from offset at on: at least need bytes of it, and as many more as are at hand, up to limit.
func (s *btfSource) bytes(at, need, limit int) ([]byte, error) {
	if at < 0 || need < 0 || limit > s.size || at > limit || need > limit-at {
		return nil, fmt.Errorf("%d bytes at offset %d are outside of the section that ends at %d", need, at, limit)
	}
	if s.file == nil {
		return s.mem[at:limit], nil
	}
	if from := at - s.at; from >= 0 && from <= len(s.window) && need <= len(s.window)-from {
		return s.window[from:min(len(s.window), limit-s.at)], nil
	}
	want := min(max(need, s.ahead), limit-at)
	if cap(s.window) < want {
		s.window = make([]byte, want)
	}
	s.window = s.window[:want]
	if err := readFull(s.file, s.window, at); err != nil {
		s.window = s.window[:0]
		return nil, err
	}
	s.at = at
	return s.window, nil
}

// text returns the NUL-terminated string at offset at, without its NUL. The string must end before limit. One longer than
// maxNameLen is cut there.
func (s *btfSource) text(at, limit int) ([]byte, error) {
	if at < 0 || limit > s.size || at >= limit {
		return nil, fmt.Errorf("name at offset %d is outside of the section that ends at %d", at, limit)
	}
	end := min(limit, at+maxNameLen)
	if s.file == nil {
		return cutText(s.mem[at:end], at)
	}
	number := at / pageSize
	slot := number % pageSlots
	page := s.pages[slot]
	if page == nil || s.pageAt[slot] != number {
		if page == nil {
			page = make([]byte, pageSize)
		}
		page = page[:min(pageSize, s.size-number*pageSize)]
		s.pages[slot] = nil
		if err := readFull(s.file, page, number*pageSize); err != nil {
			return nil, err
		}
		s.pages[slot], s.pageAt[slot] = page[:len(page):pageSize], number
	}
	from := at - number*pageSize
	if end-at <= len(page)-from || bytes.IndexByte(page[from:], 0) >= 0 {
		return cutText(page[from:min(len(page), from+end-at)], at)
	}
	if s.name == nil {
		s.name = make([]byte, maxNameLen)
	}
	if err := readFull(s.file, s.name[:end-at], at); err != nil {
		return nil, err
	}
	return cutText(s.name[:end-at], at)
}

// initials returns what initialsOf gives for the string at offset at, without reading more of it where that is possible.
func (s *btfSource) initials(at, limit int) (uint16, error) {
	if s.file == nil && at >= 0 && at < limit-1 && limit <= len(s.mem) {
		return uint16(s.mem[at]) | uint16(s.mem[at+1])<<8, nil
	}
	text, err := s.text(at, limit)
	return initialsOf(text), err
}

func cutText(text []byte, at int) ([]byte, error) {
	if end := bytes.IndexByte(text, 0); end >= 0 {
		return text[:end], nil
	}
	if len(text) == maxNameLen {
		return text, nil
	}
	return nil, fmt.Errorf("name at offset %d has no end", at)
}

func readFull(file io.ReaderAt, buf []byte, at int) error {
	n, err := file.ReadAt(buf, int64(at))
	if n == len(buf) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%d bytes at offset %d: %w", len(buf), at, err)
}
