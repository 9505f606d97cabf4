package symbol

import (
	"bytes"
	"encoding/hex"
	"path/filepath"
	"slices"
	"time"
)

// ByBuildID names the byte at an offset of the file with a build ID, as the kernel gives them in stacks: among the files of
// processes observed, else where the system keeps files by build ID.
func (p *Processes) ByBuildID(id [20]byte, offset uint64) Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.withBuildID(id)
	if f == nil {
		return Frame{}
	}
	frame, _, _ := p.files.frame(f, offset)
	frame.Module = f.path
	return frame
}

// FramesByBuildID is ByBuildID with the functions that were put into each other, as Frames tells them.
func (p *Processes) FramesByBuildID(id [20]byte, offset uint64, returned bool) []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	back := uint64(0)
	if returned && offset > 0 {
		back = 1
	}
	f := p.withBuildID(id)
	if f == nil {
		return []Frame{{Address: offset}}
	}
	frame, addr, inFile := p.files.frame(f, offset-back)
	frame.Module = f.path
	if !inFile {
		frame.Address = offset
		return []Frame{frame}
	}
	return p.files.appendPlace(nil, place{frame, f, addr}, addr+back, back)
}

// withBuildID returns nil where there is no such file.
func (p *Processes) withBuildID(id [20]byte) *file {
	f, known := p.byBuildID[id]
	if !known {
		f = p.files.withBuildID(id)
		if f == nil {
			f = p.files.openByBuildID(id)
		}
		// A later process may map it, so that it was not found is not kept.
		if f != nil && len(p.byBuildID) < maxKnown {
			p.byBuildID[id] = f
		}
	}
	return f
}

func (fs *files) withBuildID(id [20]byte) *file {
	for _, f := range fs.known {
		fs.parse(f)
		if sameBuild(f.buildID, id) {
			return f
		}
	}
	return nil
}

// sameBuild compares with an ID as the kernel gives it: a short one is filled up with zeros.
func sameBuild(of []byte, id [20]byte) bool {
	var padded [20]byte
	return len(of) > 0 && len(of) <= len(padded) && copy(padded[:], of) > 0 && padded == id
}

// openByBuildID finds the file itself, or a debug file that still tells how the file was mapped.
func (fs *files) openByBuildID(id [20]byte) *file {
	full := hex.EncodeToString(id[:])
	short := hex.EncodeToString(bytes.TrimRight(id[:], "\x00"))
	for _, root := range fs.debug {
		for _, text := range []string{full, short} {
			if len(text) < 4 {
				continue
			}
			path := filepath.Join(root, ".build-id", text[:2], text[2:])
			for _, candidate := range []string{path, path + ".debug"} {
				f, info, err := openRegular(candidate)
				if err != nil {
					continue
				}
				held := fs.hold(f, info, candidate)
				if fs.parse(held); sameBuild(held.buildID, id) && mappedSomewhere(held.segments) {
					return held
				}
			}
		}
	}
	return nil
}

func mappedSomewhere(segments []segment) bool {
	for _, s := range segments {
		if s.exec && s.fileSize > 0 {
			return true
		}
	}
	return false
}

// Hold keeps a file, so that it is known by its build ID; shown is the path that frames in it have for their Module.
func (p *Processes) Hold(path, shown string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, info, err := openRegular(path)
	if err != nil {
		return err
	}
	p.files.hold(f, info, shown)
	return nil
}

// AssumeBuild is for a process that may have ended before it was observed as a whole: at that address is the byte at an offset of the
// file with a build ID. It is taken note of if the file is known.
func (p *Processes) AssumeBuild(pid uint32, addr uint64, id [20]byte, offset uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, found := p.byBuildID[id]
	if !found {
		if f = p.files.withBuildID(id); f == nil {
			return
		}
		p.byBuildID[id] = f
	}
	if there, ok := fileAddress(f.segments, offset); ok && addr >= there {
		p.assume(pid, f, addr-there, addr)
	}
}

// AssumeAt is for the same: a file is mapped so that its addresses are that far higher in memory. shown is the path that its frames
// have for their Module.
func (p *Processes) AssumeAt(pid uint32, path, shown string, base uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, info, err := openRegular(path)
	if err != nil {
		return err
	}
	held := p.files.hold(f, info, shown)
	p.files.parse(held)
	for _, s := range held.segments {
		if s.exec {
			p.assume(pid, held, base, base+s.addr)
			break
		}
	}
	return nil
}

// assume takes note of a file that is mapped so far up, unless it is known what is at an address of it.
func (p *Processes) assume(pid uint32, f *file, base, addr uint64) {
	known := p.known[pid]
	if known != nil {
		for _, image := range known.images {
			// Its file could not be opened if the process ended right then.
			if at := image.at(addr); at != nil && at.file != nil {
				return
			}
		}
	}
	if known == nil {
		p.makeRoom()
		known = &process{ended: true}
		p.known[pid] = known
	}
	image := known.newest()
	if image == nil || !image.assumed {
		image = &memory{assumed: true}
		p.add(known, image)
	}
	for _, s := range f.segments {
		if s.exec {
			start := base + s.addr
			image.mappings = append(image.mappings, mapping{start: start, end: start + s.fileSize, offset: s.offset, path: f.path, file: f})
		}
	}
	slices.SortFunc(image.mappings, func(x, y mapping) int { return order(x.start < y.start) })
	p.clock++
	known.used, known.checked = p.clock, time.Now()
}
