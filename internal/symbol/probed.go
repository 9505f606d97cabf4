package symbol

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// probedFile is a file that probes are attached to.
type probedFile struct {
	file    *file
	offsets []uint64
}

// AddProbe says that probes are attached to a file, at those offsets in it. A process that has ended before it was
// observed can then be told at least which of them it ran into, and other addresses of it are looked up in files whose
// addresses are fixed.
func (p *Processes) AddProbe(path string, offsets ...uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, info, err := openRegular(path)
	if err != nil {
		return err
	}
	held := p.files.hold(f, info, realPath(path, info))
	p.files.parse(held)
	if len(held.segments) == 0 {
		return fmt.Errorf("%s: not an ELF program", path)
	}
	i := slices.IndexFunc(p.probes, func(x *probedFile) bool { return x.file == held })
	if i < 0 {
		i = len(p.probes)
		p.probes = append(p.probes, &probedFile{file: held})
	}
	p.probes[i].offsets = append(p.probes[i].offsets, offsets...)
	return nil
}

// realPath is the path of a file without links, if there is one that leads to it: /proc/PID/root and /proc/PID/exe lead where
// the path that they show does not.
func realPath(path string, info *unix.Stat_t) string {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	var st unix.Stat_t
	if real, err := filepath.EvalSymlinks(path); err == nil && unix.Stat(real, &st) == nil && idOf(&st) == idOf(info) {
		return real
	}
	return path
}

// inProbedFile names an address by the one file with fixed addresses that has a function there.
func (p *Processes) inProbedFile(addr uint64) (only Frame) {
	for _, x := range p.probes {
		if !x.file.fixed {
			continue
		}
		p.files.load(x.file)
		frame, found := x.file.functions.frame(addr)
		if !found {
			continue
		}
		if only.Ok {
			return Frame{}
		}
		only, only.Module = frame, x.file.path
	}
	return only
}

// pageOffset is the part of an address that is the same wherever a file is mapped.
const pageOffset = 1<<12 - 1

// probeAt names a probe's address by the one probe that can lie there.
func (p *Processes) probeAt(addr uint64) (only Frame) {
	for _, x := range p.probes {
		for _, offset := range x.offsets {
			if offset&pageOffset != addr&pageOffset {
				continue
			}
			frame, there, found := p.files.frame(x.file, offset)
			if !found || x.file.fixed && there != addr {
				continue
			}
			if only.Ok && only.Name != frame.Name {
				return Frame{}
			}
			only, only.Module = frame, x.file.path
		}
	}
	return only
}

// ProbeAt names the probe that is at an offset of its file, if there is one of that name.
func (p *Processes) ProbeAt(offset uint64) (only Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.probes {
		if !slices.Contains(x.offsets, offset) {
			continue
		}
		frame, _, found := p.files.frame(x.file, offset)
		if only.Ok && only.Name != frame.Name {
			return Frame{}
		}
		if found {
			only, only.Module = frame, x.file.path
		}
	}
	return only
}

// Assume is for a process that may have ended before it was observed as a whole: a probe, of those AddProbe was told of,
// that is at an offset of its file is at that address in it. The functions of the file can be named then, those of others
// cannot.
func (p *Processes) Assume(pid uint32, addr, offset uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var in *probedFile
	for _, x := range p.probes {
		if slices.Contains(x.offsets, offset) {
			if in != nil {
				return // which of the two it is cannot be told
			}
			in = x
		}
	}
	if in == nil || (addr-offset)&pageOffset != 0 {
		return
	}
	p.files.parse(in.file)
	there, ok := fileAddress(in.file.segments, offset)
	known := p.known[pid]
	switch {
	case !ok:
		return
	case known == nil:
		p.makeRoom()
		known = &process{ended: true}
		p.known[pid] = known
	default:
		if newest := known.newest(); newest != nil {
			if at := newest.at(addr); at != nil && at.file == in.file && at.start-at.offset == addr-offset {
				return
			}
		}
	}
	base := addr - there
	image := &memory{}
	for _, s := range in.file.segments {
		if s.exec {
			image.mappings = append(image.mappings, mapping{
				start: base + s.addr, end: base + s.addr + s.fileSize, offset: s.offset, path: in.file.path, file: in.file,
			})
		}
	}
	slices.SortFunc(image.mappings, func(x, y mapping) int { return order(x.start < y.start) })
	p.add(known, image)
	p.clock++
	known.used, known.checked = p.clock, time.Now()
}
