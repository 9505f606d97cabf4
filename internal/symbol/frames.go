package symbol

import (
	"encoding/hex"
	"errors"
	"slices"
)

// Frames names an address of a process as Lookup does, with the functions that the compiler put into each other there: the
// innermost first, the last one stands by itself. Returned says that the address is where a call returns to, as in all frames
// of a stack but the first: what is named is then the call.
//
// Stacks are walked by frame pointers, in the kernel. What unwinds by .eh_frame instead would enter here: its tables are read from
// a file as functions and debug information are (see files), and turn registers and a copy of the stack into addresses.
func (p *Processes) Frames(pid uint32, addr uint64, returned bool) []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.appendFrames(nil, pid, addr, returned)
}

// Stack names the addresses of a stack of a process, the innermost first; each may be of several frames.
func (p *Processes) Stack(pid uint32, addrs []uint64) []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	frames := make([]Frame, 0, len(addrs))
	for i, addr := range addrs {
		frames = p.appendFrames(frames, pid, addr, i > 0)
	}
	return frames
}

func (p *Processes) appendFrames(dst []Frame, pid uint32, addr uint64, returned bool) []Frame {
	at, back := addr, uint64(0)
	if returned && addr > 0 {
		at, back = addr-1, 1
	}
	found, mapped := p.lookup(pid, at)
	if !mapped {
		found = place{Frame: p.inProbedFile(at)}
	}
	return p.files.appendPlace(dst, found, addr, back)
}

// appendPlace appends the functions of a place, which is so far before the address that they are of.
func (fs *files) appendPlace(dst []Frame, at place, addr, back uint64) []Frame {
	outer := at.Frame
	outer.Address = addr
	if outer.Ok {
		outer.Offset += back
	}
	if at.file == nil {
		return append(dst, outer)
	}
	outer.BuildID = hex.EncodeToString(at.file.buildID)
	chain := fs.inlined(at.file, at.addr)
	for i, each := range chain {
		frame := outer
		if i < len(chain)-1 {
			frame.Inlined = true
			frame.Mangled, frame.Name, frame.Offset = each.name, Demangle(each.name), 0
			frame.Ok = each.name != ""
		} else if !frame.Ok && each.name != "" {
			frame.Mangled, frame.Name, frame.Ok = each.name, Demangle(each.name), true
		}
		frame.File, frame.Line = each.file, each.line
		dst = append(dst, frame)
	}
	if len(chain) == 0 {
		dst = append(dst, outer)
	}
	return dst
}

// maxChains is of how many addresses of a file it is kept what was found: stacks have most of theirs in common.
const maxChains = 1 << 15

// inlined returns the functions at an address of a file, none where nothing tells.
func (fs *files) inlined(f *file, addr uint64) []inlined {
	if chain, known := f.chains[addr]; known {
		return chain
	}
	chain := fs.findInlined(f, addr)
	if f.chains == nil || len(f.chains) >= maxChains {
		f.chains = map[uint64][]inlined{}
	}
	f.chains[addr] = chain
	return chain
}

// findInlined asks the tables of Go first, which are small, then debug information.
func (fs *files) findInlined(f *file, addr uint64) []inlined {
	fs.loadGo(f)
	if f.golang != nil {
		if chain := f.golang.frames(addr); chain != nil {
			return chain
		}
	}
	fs.loadSource(f)
	if f.source == nil {
		return nil
	}
	held := f.source.held
	chain, err := f.source.frames(addr, &fs.budget)
	fs.sources += f.source.held - held
	if err != nil {
		f.fault = err
	}
	return chain
}

// loadGo reads the tables of a program of Go.
func (fs *files) loadGo(f *file) {
	if f.triedGo {
		return
	}
	f.triedGo = true
	if fs.budget <= 0 {
		return
	}
	fs.withImage(f, func(img *image) {
		if f.golang = img.readGoSource(); f.golang != nil {
			fs.tookSource(f.golang.size())
		}
		f.traced = !img.hasSource() && !fs.debug.have(img.buildID)
	})
	if f.traced {
		fs.closeFile(f)
	}
	fs.limitSources(f)
}

// loadSource reads the debug information of a file.
func (fs *files) loadSource(f *file) {
	if f.traced {
		return
	}
	f.traced = true
	if fs.budget <= 0 {
		f.fault = errLargeSource
		return
	}
	fs.withImage(f, func(img *image) {
		source, err := img.readSource(fs.debug, f.path)
		if err != nil && !errors.Is(err, errNoSource) {
			f.fault = err
		}
		if f.source = source; source != nil {
			fs.tookSource(source.size)
		}
	})
	fs.closeFile(f)
	fs.limitSources(f)
}

// tookSource counts bytes: what is given up may be read again, but not without end.
func (fs *files) tookSource(bytes int) {
	fs.sources += bytes
	fs.budget -= bytes
}

func (fs *files) limitSources(but *file) {
	if fs.sources > maxAllSources {
		fs.forgetSources(but)
	}
}

// forgetSources gives up the debug information that was not used for longest, but for that of one file.
func (fs *files) forgetSources(but *file) {
	for _, f := range fs.sorted(func(f *file) bool { return (f.source != nil || f.golang != nil) && f != but }) {
		if fs.sources <= maxAllSources/2 {
			return
		}
		fs.dropSource(f)
		f.traced, f.triedGo = false, false
	}
}

func (fs *files) dropSource(f *file) {
	if f.source != nil {
		fs.sources -= f.source.size + f.source.held
		f.source = nil
	}
	if f.golang != nil {
		fs.sources -= f.golang.size()
		f.golang = nil
	}
}

// Unused lists the files whose debug information is there and was not used, with the reason: it is too large, or unsound.
func (p *Processes) Unused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, f := range p.files.known {
		if f.fault != nil {
			all = append(all, f.path+": "+f.fault.Error())
		}
	}
	slices.Sort(all)
	return all
}
