package symbol

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	maxProcesses = 1 << 14
	maxPrograms  = 4 // of those that one process ID has executed
	// How often a lookup by itself looks whether the process is still the same.
	checkEvery = 50 * time.Millisecond
	// Reading maps again is done so often at once, and then takes at most this part of the time: one in.
	freeRereads = 4
	rereadShare = 10
)

// Processes names addresses of processes. What was observed of a process stays known when it has ended; the files that it
// mapped are kept open until they are read, so that they may be deleted. Methods may be called by several goroutines.
type Processes struct {
	mu        sync.Mutex
	known     map[uint32]*process
	files     *files
	vdso      vdso
	jits      jits
	probes    []*probedFile
	mounts    mounts
	clock     uint64
	byBuildID map[[20]byte]*file
}

// process is all that had the same process ID.
type process struct {
	images  []*memory // by programs executed, the newest last
	ended   bool
	checked time.Time
	used    uint64        // by Processes.clock
	due     time.Time     // when Refresh looks again
	pause   time.Duration // since it last did
}

// NewProcesses returns Processes that know none yet. Close releases their files.
func NewProcesses() *Processes {
	return &Processes{known: map[uint32]*process{}, files: newFiles(), byBuildID: map[[20]byte]*file{}}
}

// Close forgets all processes and closes their files.
func (p *Processes) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files.closeAll()
	for pid := range p.known {
		p.drop(pid)
	}
}

// Observe takes note of what a process maps, so that its addresses can be named later, when it may have ended. Called
// again it looks, for the price of one small read, whether the process is still the same and runs the same program. The
// error wraps os.ErrNotExist if there is no such process any more.
func (p *Processes) Observe(pid uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.observe(pid)
	return err
}

// Forget drops a process. The tables of its files stay for others.
func (p *Processes) Forget(pid uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(pid)
}

// Lookup names an address of a process: in the program that it runs, else in those it ran before, else in the files of
// AddProbe.
func (p *Processes) Lookup(pid uint32, addr uint64) Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, found := p.lookup(pid, addr); found {
		return at.Frame
	}
	return p.inProbedFile(addr)
}

// LookupProbed names the address of a probe that a process ran into, as AddProbe was told of it.
func (p *Processes) LookupProbed(pid uint32, addr uint64) Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, found := p.lookup(pid, addr); found {
		return at.Frame
	}
	return p.probeAt(addr)
}

// lookup names an address of a process that was observed, or still can be.
func (p *Processes) lookup(pid uint32, addr uint64) (place, bool) {
	known := p.known[pid]
	if known == nil || !known.ended && time.Since(known.checked) >= checkEvery {
		if again, err := p.observe(pid); err == nil {
			known = again
		}
	}
	if known != nil {
		if at, found := p.find(known, addr); found {
			return at, true
		}
		if !known.ended && p.refresh(known, pid) {
			return p.find(known, addr)
		}
	}
	return place{}, false
}

// refresh looks for another program or more of the same, and says whether there is.
func (p *Processes) refresh(known *process, pid uint32) bool {
	newest := known.newest()
	if _, err := p.observe(pid); err != nil {
		return false
	}
	return known.newest() != newest || newest.reread(p, pid)
}

// observe returns what is known of a process that exists.
func (p *Processes) observe(pid uint32) (*process, error) {
	known := p.known[pid]
	birth, err := readBirth(pid)
	if err == nil && birth.address == 0 {
		err = fmt.Errorf("process %d: %w", pid, errNoMemory)
	}
	if err != nil {
		if known != nil && (errors.Is(err, os.ErrNotExist) || errors.Is(err, errNoMemory)) {
			known.ended = true
		}
		return known, err
	}
	p.clock++
	if known == nil {
		p.makeRoom()
		known = &process{}
	}
	known.used, known.checked = p.clock, time.Now()
	if newest := known.newest(); newest != nil && newest.birth == birth {
		known.ended = false
		return known, nil
	}
	image, err := p.readMemory(pid)
	if err != nil {
		return known, err
	}
	p.add(known, image)
	known.soon()
	known.ended = false
	p.known[pid] = known
	return known, nil
}

// add takes the newest program of a process.
func (p *Processes) add(known *process, image *memory) {
	if len(known.images) == maxPrograms {
		p.jits.close(&known.images[0].jit)
		known.images = slices.Delete(known.images, 0, 1)
	}
	known.images = append(known.images, image)
}

// makeRoom forgets the processes that were not observed for longest.
func (p *Processes) makeRoom() {
	if len(p.known) < maxProcesses {
		return
	}
	pids := make([]uint32, 0, len(p.known))
	for pid := range p.known {
		pids = append(pids, pid)
	}
	slices.SortFunc(pids, func(x, y uint32) int { return order(p.known[x].used < p.known[y].used) })
	for _, pid := range pids[:len(pids)/4] {
		p.drop(pid)
	}
}

func (p *Processes) drop(pid uint32) {
	if known := p.known[pid]; known != nil {
		for _, image := range known.images {
			p.jits.close(&image.jit)
		}
		delete(p.known, pid)
	}
}

// find looks in all programs that had the process ID, the newest first. Found is also what lies in a file without a name.
func (p *Processes) find(known *process, addr uint64) (nearest place, found bool) {
	for _, image := range slices.Backward(known.images) {
		at, ok := image.place(p, addr)
		if at.Ok {
			return at, true
		}
		if ok && !found {
			nearest, found = at, true
		}
	}
	return nearest, found
}

func (known *process) newest() *memory {
	if len(known.images) == 0 {
		return nil
	}
	return known.images[len(known.images)-1]
}
