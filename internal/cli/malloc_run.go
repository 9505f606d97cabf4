package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/print"
	"sonde/internal/profile"
	"sonde/internal/prog"
	"sonde/internal/stream"
	"sonde/internal/target"
	"sonde/internal/tool/malloc"
)

// mallocRun is one run of sonde malloc.
type mallocRun struct {
	*run
	flags *mallocFlags
	opt   malloc.Options
	every time.Duration
	world *mallocWorld
	files []*profileFile
}

func (m *mallocRun) start() (err error) {
	trials := attach.Trials()
	m.opt.Cookie = trials.Has(kernel.AttachCookie)
	m.opt.Multi = m.opt.Cookie && trials.Has(kernel.UprobeMulti) && attach.UprobeMultiForProcess()
	if m.target, err = m.flags.target.Resolve(); err != nil {
		return asUsage(err)
	}
	m.opt.Filter = !m.single()
	if m.flags.ebpf {
		m.opt.Functions = 1
		if m.spec, err = malloc.Spec(m.opt); err != nil {
			return err
		}
		return attach.WriteDisassembly(m.io.out, m.spec)
	}
	defer m.closeProfiles()
	if err := m.openProfiles(); err != nil {
		return err
	}
	m.treeLive, m.treeSeeded = malloc.TreeLive, malloc.TreeSeeded
	m.world = newMallocWorld(m)
	defer m.world.close()
	m.hooks.open = m.load
	m.hooks.attached = m.world.attachFirst
	m.hooks.followed = m.world.attachTree
	m.hooks.sink = m.textSink
	if m.single() && !m.target.FollowsTree() {
		m.hooks.beside = m.untilEnded
	}
	m.hooks.account = m.world.account
	m.stop = func() error {
		m.world.lastLook()
		return closeAtOnce([]io.Closer{closing(m.world.detach), closing(m.session.Detach)})
	}
	return m.trace(func(s print.Sink, mono2wall int64) tracer {
		if !m.showsStacks() {
			s = noRows{s}
		}
		t := malloc.NewTracer(malloc.Show{
			Sink: s, World: m.world, Maps: stream.NewMaps(m.session.Map), Comm: m.comm(), Mono2Wall: mono2wall,
			Top: m.flags.top, Every: m.every, Options: m.opt, Ascending: !m.out.json,
		})
		return &mallocTracer{Tracer: t, run: m}
	})
}

// spareFunctions is how many more functions than those of the first processes can be probed where each needs a program of its
// own (before 5.15): a descendant may have another allocator.
const spareFunctions = 4

// load finds what is to be probed, and loads programs for it.
func (m *mallocRun) load() (*prog.Spec, *attach.Session, error) {
	if err := m.world.findFirst(); err != nil {
		return nil, nil, err
	}
	reached(stageFound)
	for _, o := range m.world.objects() {
		m.opt.Functions += m.opt.Gives(o)
	}
	if m.target.FollowsTree() {
		m.opt.Functions += spareFunctions
	}
	m.world.places = malloc.NewPlaces(m.opt)
	spec, err := malloc.Spec(m.opt)
	if err != nil {
		return nil, nil, err
	}
	spec.Uncosted = !m.flags.verbose
	if err := m.target.Apply(spec); err != nil {
		return spec, nil, err
	}
	s, err := attach.Open(spec)
	if err != nil {
		return spec, nil, err
	}
	if err := s.Attach(); err != nil {
		return spec, nil, errors.Join(err, s.Close())
	}
	reached(stageLoaded)
	return spec, s, nil
}

// closing is what closes something.
type closing func() error

func (c closing) Close() error { return c() }

// single says whether the target is made of single processes: then the probes are in those only, and no other process of the
// host pays for them.
func (m *mallocRun) single() bool {
	return len(m.target.PIDs()) > 0 || m.target.FollowsTree()
}

func (m *mallocRun) comm() func([]byte) bool {
	if m.flags.target.Comm == "" {
		return nil
	}
	return m.target.MatchComm
}

// showsStacks says whether stacks are shown one by one, and not only in files.
func (m *mallocRun) showsStacks() bool {
	x := m.flags
	return x.profiles.folded != "-" && (!x.profiles.any() || m.out.file != "" || m.out.json || x.top > 0 || m.every > 0)
}

func (m *mallocRun) textSink(out *print.Output) print.Sink {
	return malloc.NewText(out, m.flags.classic)
}

// untilEnded waits until the processes of -p have ended: nothing more will come.
func (m *mallocRun) untilEnded(ctx context.Context) {
	tick := time.NewTicker(treeTick)
	defer tick.Stop()
	for slices.ContainsFunc(m.target.PIDs(), target.Alive) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// noRows shows nothing but the account.
type noRows struct{ print.Sink }

func (noRows) Row(*prog.Row) error { return nil }

// mallocTracer adds to the tool's tracer the files that are written at the end.
type mallocTracer struct {
	*malloc.Tracer
	run *mallocRun
}

func (t *mallocTracer) Finish() error {
	err := t.Tracer.Finish()
	if err != nil || len(t.run.files) == 0 {
		return err
	}
	p, err := t.Profile()
	if err != nil {
		return err
	}
	for _, unused := range t.run.world.processes.Unused() {
		p.Notes = append(p.Notes, "inlined functions are not shown of "+unused)
	}
	var failed []error
	for _, f := range t.run.files {
		if f.out == nil {
			err = f.write(t.run.file, p)
		} else {
			err = errors.Join(f.write(f.out, p), f.out.Close())
		}
		if errors.Is(err, print.ErrClosedPipe) {
			return err
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("writing %s: %w", f.to, cause(err)))
		}
	}
	return errors.Join(failed...)
}

// openProfiles opens the files before anything is traced.
func (m *mallocRun) openProfiles() (err error) {
	x := &m.flags.profiles
	for _, f := range []*profileFile{
		{write: profile.WriteFlame, to: x.flame}, {write: profile.WriteFolded, to: x.folded}, {write: profile.WritePprof, to: x.pprof},
	} {
		if f.to == "" {
			continue
		}
		if f.to != "-" || f.to != x.folded {
			if f.out, err = print.OpenOutput(f.to); err != nil {
				return err
			}
		}
		m.files = append(m.files, f)
	}
	return nil
}

func (m *mallocRun) closeProfiles() {
	for _, f := range m.files {
		if f.out != nil {
			f.out.Close()
		}
	}
}
