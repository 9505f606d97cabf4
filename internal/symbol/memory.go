package symbol

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

var errNoMemory = errors.New("it has no memory of its own: a kernel thread, or it is ending")

// memory is what a process maps while it runs one program.
type memory struct {
	birth    birth
	mappings []mapping // sorted
	read     time.Time
	cost     time.Duration // of reading
	rereads  int
	jit      perfMap
	assumed  bool // of build IDs: it was not read
}

// birth tells programs from each other: by when the process began, since process IDs are used again, and by where its
// stack begins, which is another after each exec.
type birth struct {
	started uint64
	address uint64
}

// readBirth reads /proc/PID/stat.
func readBirth(pid uint32) (b birth, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			err = fmt.Errorf("process %d: %w", pid, os.ErrNotExist)
		}
		return b, err
	}
	// The name, in parentheses, may hold anything.
	_, rest, found := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(" "))
	fields := bytes.Fields(rest) // from field 3, the state
	if !found || len(fields) < 26 {
		return b, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	b.started, _ = strconv.ParseUint(string(fields[22-3]), 10, 64)
	b.address, _ = strconv.ParseUint(string(fields[28-3]), 10, 64)
	return b, nil
}

// readMemory reads what a process maps now.
func (p *Processes) readMemory(pid uint32) (*memory, error) {
	for range 3 {
		before, err := readBirth(pid)
		if err != nil {
			return nil, err
		}
		image := &memory{birth: before}
		if err := image.readMaps(p, pid); err != nil {
			return nil, err
		}
		after, err := readBirth(pid)
		if err != nil || after == before {
			return image, nil
		}
		p.jits.close(&image.jit) // an exec in between
	}
	return nil, fmt.Errorf("process %d: it executes one program after another", pid)
}

func (m *memory) readMaps(p *Processes, pid uint32) error {
	start := time.Now()
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	defer f.Close()
	mappings, err := readMaps(f)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	if len(mappings) == 0 {
		return fmt.Errorf("process %d: %w", pid, errNoMemory)
	}
	opener := opener{pid: pid}
	anonymous := false
	for i := range mappings {
		each := &mappings[i]
		anonymous = anonymous || each.anonymous()
		if each.inode == 0 {
			continue
		}
		if old := m.same(each); old != nil {
			each.file = old
		} else if f, info, err := opener.open(each); err == nil {
			each.file = p.files.hold(f, info, each.path)
		}
	}
	slices.SortFunc(mappings, func(x, y mapping) int { return order(x.start < y.start) })
	m.mappings = mappings
	if anonymous {
		p.jits.find(&m.jit, pid)
	}
	m.read, m.cost = time.Now(), time.Since(start)
	return nil
}

// same returns the file of a range that was there before.
func (m *memory) same(now *mapping) *file {
	if old := m.at(now.start); old != nil && old.start == now.start && old.offset == now.offset && old.inode == now.inode &&
		old.device == now.device && old.path == now.path && old.deleted == now.deleted {
		return old.file
	}
	return nil
}

// reread reads the ranges again, since a library may have been loaded. After the first times it takes a part of the time only.
func (m *memory) reread(p *Processes, pid uint32) bool {
	if m.rereads >= freeRereads && time.Since(m.read) < rereadShare*m.cost {
		return false
	}
	m.rereads++
	now := &memory{birth: m.birth, mappings: m.mappings, rereads: m.rereads, jit: m.jit}
	err := now.readMaps(p, pid)
	m.read, m.jit = time.Now(), now.jit
	if err != nil {
		return false
	}
	if birth, err := readBirth(pid); err != nil || birth != m.birth {
		return false // of another program
	}
	*m = *now
	return true
}

func (m *memory) at(addr uint64) *mapping {
	i, found := slices.BinarySearchFunc(m.mappings, addr, func(each mapping, addr uint64) int {
		switch {
		case each.end <= addr:
			return -1
		case each.start > addr:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &m.mappings[i]
}

// place is an address with its name and, if it lies in a file, that file and the address as the file has it.
type place struct {
	Frame
	file *file
	addr uint64
}

// place names an address; found says that it is mapped at least.
func (m *memory) place(p *Processes, addr uint64) (found place, mapped bool) {
	at := m.at(addr)
	if at == nil {
		found.Frame, mapped = p.jits.frame(&m.jit, addr)
		return found, mapped
	}
	found.Module = at.path
	offset := addr - at.start + at.offset
	switch {
	case at.file != nil:
		named, vaddr, inFile := p.files.frame(at.file, offset)
		if inFile {
			named.Module, named.Base = at.path, addr-vaddr
			found = place{named, at.file, vaddr}
		}
	case at.path == "[vdso]":
		if named, base, ok := p.vdso.frame(at, addr); ok {
			named.Module, named.Base = at.path, base
			found.Frame = named
		}
	}
	if !found.Ok {
		if jitted, ok := p.jits.frame(&m.jit, addr); ok {
			return place{Frame: jitted}, true
		}
	}
	// Of a JIT more may be told soon.
	return found, found.Ok || !at.anonymous()
}

// opener opens the files that a process maps.
type opener struct {
	pid uint32
	exe string // what /proc/PID/exe leads to
}

// open takes the way that leads to the very file, deleted or not, which root may go. Otherwise the path is tried, and what is
// found there must be the file that the process maps.
func (o *opener) open(m *mapping) (*os.File, *unix.Stat_t, error) {
	f, info, err := openRegular(fmt.Sprintf("/proc/%d/map_files/%x-%x", o.pid, m.start, m.end))
	if err == nil || errors.Is(err, errNotRegular) {
		return f, info, err
	}
	if o.exe == "" {
		o.exe, _ = os.Readlink(fmt.Sprintf("/proc/%d/exe", o.pid))
		o.exe = strings.TrimSuffix(o.exe, " (deleted)")
	}
	if m.path == o.exe {
		f, info, err = openRegular(fmt.Sprintf("/proc/%d/exe", o.pid))
	} else {
		f, info, err = openInside(fmt.Sprintf("/proc/%d/root", o.pid), m.path)
	}
	// The device of maps is not stat's on file systems that have many.
	if err == nil && info.Ino != m.inode {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", m.path, os.ErrNotExist)
	}
	return f, info, err
}
