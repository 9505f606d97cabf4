package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"sonde/internal/profile"
	"sonde/internal/prog"
	"sonde/internal/symbol"
	"sonde/internal/target"
	"sonde/internal/tool/malloc"
	"sonde/internal/tool/malloc/allocator"
)

// mallocWorld puts the probes into processes, and names their addresses.
type mallocWorld struct {
	run       *mallocRun
	finder    *allocator.Finder
	places    *malloc.Places
	processes *symbol.Processes
	on        map[uint32]*probedProcess
	first     []firstProbed
	tree      []*allocator.Object // of the roots of --tree
	everybody []io.Closer         // probes that are for no single process
	loaded    int                 // allocators that processes loaded by themselves
	unprobed  []string            // those that came later and are not probed
	late      int                 // descendants that ran before their probes were on
	failed    int                 // descendants that could not be probed
	failure   error               // the first of those
}

// probedProcess is a process with its probes.
type probedProcess struct {
	awaited *symbol.Object // it is COMMAND, and has not begun to run this
	objects []*allocator.Object
	links   []io.Closer
	// unprobed are allocators that it has loaded, and that could not be probed.
	unprobed []*allocator.Object
}

func newMallocWorld(m *mallocRun) *mallocWorld {
	return &mallocWorld{
		run: m, finder: allocator.NewFinder(), processes: symbol.NewProcesses(),
		on: map[uint32]*probedProcess{},
	}
}

func (w *mallocWorld) close() {
	_ = w.detach() // it was done, or the run failed: then that is the error
	w.finder.Close()
	w.processes.Close()
}

// lastLook finds the allocators that were loaded where no loader tells of it, before the probes are taken off.
func (w *mallocWorld) lastLook() {
	for pid, p := range w.on {
		if p.awaited != nil || slices.ContainsFunc(p.objects, func(o *allocator.Object) bool { return o.Tells != 0 }) {
			continue
		}
		later, _ := w.finder.Later(int(pid)) // it may have ended
		for _, o := range later {
			if !slices.Contains(p.objects, o) {
				w.unprobed = append(w.unprobed, fmt.Sprintf("%s in process %d", o.Shown, pid))
			}
		}
	}
	if w.run.single() {
		return
	}
	pids, _ := w.run.target.Running() // it is said what can be found
	for _, pid := range pids {
		objects, _ := w.finder.Process(int(pid))
		for _, o := range objects {
			if o.Gives() && !slices.Contains(w.first[0].objects, o) {
				w.unprobed = append(w.unprobed, fmt.Sprintf("%s in process %d, which began later", o.Shown, pid))
			}
		}
	}
}

// detach takes all probes off, at once: each waits until no CPU can be in its program.
func (w *mallocWorld) detach() error {
	all := w.everybody
	for _, p := range w.on {
		all = append(all, p.links...)
	}
	w.everybody = nil
	clear(w.on)
	return closeAtOnce(all)
}

func (w *mallocWorld) take(pid uint32) error {
	p := w.on[pid]
	delete(w.on, pid)
	if p == nil {
		return nil
	}
	return closeAtOnce(p.links)
}

func closeAtOnce(all []io.Closer) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() { errs[i] = c.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// firstProbed is what is probed before anything is counted.
type firstProbed struct {
	pid     uint32 // 0: all processes that map the files
	of      string // as it is called
	objects []*allocator.Object
	awaited *symbol.Object // of COMMAND
}

// findFirst finds what there is to be probed at the beginning: the processes of -p, COMMAND by the files that it will map; or, where
// the target is made otherwise, the files of all processes that may be of it.
func (w *mallocWorld) findFirst() error {
	m := w.run
	if !m.single() {
		return w.findEverybody()
	}
	for _, pid := range m.target.PIDs() {
		objects, err := w.finder.Process(int(pid))
		if err != nil {
			return w.explain(int(pid), err)
		}
		w.first = append(w.first, firstProbed{pid: pid, of: fmt.Sprintf("process %d", pid), objects: objects})
	}
	if m.command == nil {
		for _, pid := range m.target.Roots() { // to know how many functions there are; they are probed with their descendants
			if objects, err := w.finder.Process(int(pid)); err == nil {
				w.tree = append(w.tree, objects...)
			}
		}
		return nil
	}
	program, objects, err := w.finder.Program(m.command.Path(), os.Environ())
	if err != nil {
		return fmt.Errorf("%s: %w", m.command.Path(), err)
	}
	w.first = append(w.first, firstProbed{uint32(m.command.Pid()), m.command.Path(), objects, program})
	return nil
}

// findEverybody finds the files of all processes that may be of the target.
func (w *mallocWorld) findEverybody() error {
	pids, err := w.run.target.Running()
	if err != nil {
		return err
	}
	var all []*allocator.Object
	for _, pid := range pids {
		objects, err := w.finder.Process(int(pid))
		if err != nil {
			continue // it has ended, or has no allocator
		}
		for _, o := range objects {
			if !slices.Contains(all, o) {
				all = append(all, o)
			}
		}
	}
	if len(all) == 0 {
		return errors.New("no process of the target runs now whose allocator is known; start one first, or use -- COMMAND")
	}
	w.first = append(w.first, firstProbed{of: fmt.Sprintf("%d processes", len(pids)), objects: all})
	return nil
}

// objects lists the files of the first, each once.
func (w *mallocWorld) objects() (all []*allocator.Object) {
	for _, f := range append(w.first, firstProbed{objects: w.tree}) {
		for _, o := range f.objects {
			if !slices.Contains(all, o) {
				all = append(all, o)
			}
		}
	}
	return all
}

// attachFirst probes what findFirst found.
func (w *mallocWorld) attachFirst() error {
	for _, f := range w.first {
		if f.pid == 0 {
			for _, o := range f.objects {
				links, err := w.attach(o, 0)
				if err != nil {
					return err
				}
				w.everybody = append(w.everybody, links)
			}
		} else if err := w.probe(f.pid, f.objects); err != nil {
			return w.explain(int(f.pid), err)
		}
		if f.pid != 0 && f.awaited == nil {
			_ = w.processes.Observe(f.pid) // if it has ended, it is told soon
		}
		if f.awaited != nil {
			w.on[f.pid].awaited = f.awaited
		}
		w.tell(f.of, f.objects)
	}
	reached(stageProbed)
	return nil
}

// explain turns what kept a process from being probed into a sentence.
func (w *mallocWorld) explain(pid int, err error) error {
	if !target.Alive(uint32(pid)) {
		return fmt.Errorf("process %d ended before it could be probed", pid)
	}
	return fmt.Errorf("process %d: %w", pid, err)
}

// tell says which allocator was taken.
func (w *mallocWorld) tell(of string, objects []*allocator.Object) {
	m := w.run
	if m.flags.classic {
		if pids := m.target.PIDs(); len(pids) > 0 {
			_, _ = m.file.WriteNote(fmt.Appendf(nil, "Attaching to malloc in pid %d, Ctrl+C to quit.\n", pids[0]))
			_ = m.file.Flush()
		}
		return
	}
	say(m.io.err, "%s: %s: %s", m.name, of, allocator.Describe(objects))
	if m.flags.verbose {
		for _, o := range objects {
			for _, f := range o.Functions {
				say(m.io.err, "%s: %s at %#x+%d in %s", m.name, f.Name, f.Address, f.Probe-f.Address, o.Shown)
			}
		}
	}
}

// attachTree probes the processes that --tree found.
func (w *mallocWorld) attachTree() error {
	m := w.run
	if !m.target.FollowsTree() {
		return nil
	}
	pids, err := m.session.Keys32(target.MapTree)
	if err != nil {
		return err
	}
	slices.Sort(pids)
	probed := 0
	var failure error
	for _, pid := range pids {
		if m.command != nil && pid == uint32(m.command.Pid()) {
			probed++
			continue
		}
		objects, err := w.finder.Process(int(pid))
		if err == nil {
			err = w.probe(pid, objects)
		}
		switch {
		case err == nil:
			probed++
			w.tell(fmt.Sprintf("process %d", pid), objects)
		case failure == nil:
			failure = w.explain(int(pid), err)
		}
	}
	if probed == 0 && len(w.on) == 0 {
		return failure
	}
	return nil
}

// probe puts the probes of files into a process, those that are not there yet.
func (w *mallocWorld) probe(pid uint32, objects []*allocator.Object) error {
	p := w.on[pid]
	if p == nil {
		p = &probedProcess{}
		w.on[pid] = p
	}
	for _, o := range objects {
		if slices.Contains(p.objects, o) {
			continue
		}
		links, err := w.attach(o, int(pid))
		if err != nil {
			return err
		}
		p.objects = append(p.objects, o)
		p.links = append(p.links, links)
	}
	return nil
}

func (w *mallocWorld) attach(o *allocator.Object, pid int) (io.Closer, error) {
	fill, err := w.places.Add(o)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.put(fill), w.hold()); err != nil {
		return nil, err
	}
	probes, err := w.places.Probes(o, pid)
	if err != nil {
		return nil, err
	}
	reached(stageProbing)
	return w.run.session.AttachMore(probes)
}

// hold keeps the files that were found, so that addresses in them can be named by their build ID when the process that maps
// them has ended.
func (w *mallocWorld) hold() error {
	var errs []error
	w.finder.New(func(path, shown string, through []allocator.Passage) {
		_ = w.processes.Hold(path, shown)
		errs = append(errs, w.put(w.places.Pass(path, shown, through)))
	})
	return errors.Join(errs...)
}

// put writes into the maps of the programs.
func (w *mallocWorld) put(fill []prog.MapFill) error {
	for _, f := range fill {
		if err := w.run.session.Put(f.Map, f.Key, f.Value); err != nil {
			return err
		}
	}
	return nil
}

// account adds what the sums lack because of when, and whether, processes were probed.
func (w *mallocWorld) account(s *prog.Summary) ([]string, error) {
	if w.late > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d processes were found as they began or executed another program: what they asked for in their first moments is not counted", w.late))
	}
	if w.failed > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d processes could not be probed; the first: %v", w.failed, w.failure))
	}
	if w.loaded > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d allocators were loaded by processes that ran: what was asked of them in their first moments is not counted", w.loaded))
	}
	if len(w.unprobed) > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d allocators that came later are not counted; the first: %s", len(w.unprobed), w.unprobed[0]))
	}
	return nil, nil
}

// Mapped looks whether a process has loaded a library with an allocator of its own.
func (w *mallocWorld) Mapped(pid uint32) {
	p := w.on[pid]
	if p == nil || p.awaited != nil {
		return
	}
	later, err := w.finder.Later(int(pid))
	if err != nil {
		return // it has ended
	}
	for _, o := range later {
		if slices.Contains(p.objects, o) || slices.Contains(p.unprobed, o) {
			continue
		}
		if err := w.probe(pid, []*allocator.Object{o}); err != nil {
			if target.Alive(pid) {
				p.unprobed = append(p.unprobed, o)
				w.unprobed = append(w.unprobed, fmt.Sprintf("%s in process %d (%v)", o.Shown, pid, err))
			}
			continue
		}
		w.loaded++
		say(w.run.io.err, "%s: process %d has loaded %s", w.run.name, pid, allocator.Describe([]*allocator.Object{o}))
	}
}

// Began, Executed, Ended and Frames are malloc.World.

// Began is told of a child: it has its parent's files.
func (w *mallocWorld) Began(pid, parent uint32) {
	var objects []*allocator.Object
	if p := w.on[parent]; p != nil {
		objects = p.objects
	} else if found, err := w.finder.Process(int(pid)); err == nil {
		objects = found
	}
	w.enter(pid, objects, nil)
}

// Executed is told of a process that runs another program now. Its libraries are not mapped yet.
func (w *mallocWorld) Executed(pid uint32, code uint64) {
	_ = w.processes.Observe(pid)
	if p := w.on[pid]; p != nil && p.awaited != nil {
		w.begins(pid, p.awaited, code)
		p.awaited = nil
		return // it is COMMAND
	}
	program, objects, err := w.finder.Executed(int(pid))
	if program != nil {
		w.begins(pid, program, code)
	}
	w.enter(pid, objects, err)
}

func (w *mallocWorld) enter(pid uint32, objects []*allocator.Object, err error) {
	if err == nil {
		err = w.probe(pid, objects)
	}
	_ = w.processes.Observe(pid) // what ended too soon has no names
	switch {
	case err == nil:
		w.late++
	case !target.Alive(pid):
	default:
		w.failed++
		if w.failure == nil {
			w.failure = fmt.Errorf("process %d: %w", pid, err)
		}
	}
}

func (w *mallocWorld) Ended(pid uint32) { _ = w.take(pid) }

func (w *mallocWorld) Seen(pid uint32, addrs []uint64) { w.processes.Seen(pid, addrs) }

func (w *mallocWorld) Lies(pid uint32, addr uint64, in malloc.Place) {
	w.processes.AssumeBuild(pid, addr, in.ID, in.Offset)
}

func (w *mallocWorld) Called(pid uint32, number int, addr uint64) {
	if f := w.places.Function(number); f.Path != "" {
		_ = w.processes.AssumeAt(pid, f.Path, f.File, addr-f.Address)
	}
}

func (w *mallocWorld) Passed(pid uint32, addr uint64) {
	if path, shown, base, ok := w.places.Through(addr); ok {
		_ = w.processes.AssumeAt(pid, path, shown, base)
	}
}

// begins tells where a program's code is.
func (w *mallocWorld) begins(pid uint32, program *symbol.Object, code uint64) {
	if start, _ := program.Text(); code >= start {
		_ = w.processes.AssumeAt(pid, program.Path, program.Name, code-start)
	}
}

func (w *mallocWorld) Function(number int) profile.Frame {
	f := w.places.Function(number)
	shown := profile.Frame{Name: symbol.Demangle(f.Name), Module: f.File}
	if shown.Name != f.Name {
		shown.Mangled = f.Name
	}
	return shown
}

func (w *mallocWorld) Frames(pid uint32, addr uint64, caller bool) []profile.Frame {
	return profileFrames(nil, w.processes.Frames(pid, addr, caller), false)
}
