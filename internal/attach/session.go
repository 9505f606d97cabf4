package attach

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// Session is a Spec that is running. Close ends it; a process that dies without Close leaves nothing behind either,
// because the kernel takes down what no descriptor holds any more.
type Session struct {
	// Progress is told, if it is set before Attach, how many of the probes are on, or were found missing.
	Progress func(done, total int)

	spec     *prog.Spec
	types    func() (*kernel.BTFTypes, error)
	coll     *ebpf.Collection
	unloaded map[string]error // why programs of a Lean Spec were left out: what they attach to is not there
	links    []io.Closer
	iters    map[string]iterator // by program
	attached int
	skipped  int
	missing  []string
	stats    io.Closer // nil where the kernel keeps no statistics for us
}

// Open loads the Spec's programs and maps into the kernel; nothing is attached yet. It needs CAP_BPF and CAP_PERFMON
// (before 5.8: CAP_SYS_ADMIN) and, for CO-RE relocation and for programs on typed tracepoints and functions, the kernel's
// BTF. An error is a *Refused where the verifier refused a program of a Lean Spec.
func Open(spec *prog.Spec) (*Session, error) { return OpenFor(spec, nil) }

// OpenFor is Open for those who have the kernel's types already, which it reads otherwise where a program of a Lean Spec
// needs them. nil is as Open.
func OpenFor(spec *prog.Spec, types *kernel.BTFTypes) (*Session, error) {
	if err := RaiseMemlock(); err != nil {
		return nil, err
	}
	pinned, err := openPins(spec)
	if err != nil {
		return nil, err
	}
	defer closeMaps(pinned)
	s := &Session{spec: spec, iters: make(map[string]iterator)}
	s.types = sync.OnceValues(func() (*kernel.BTFTypes, error) {
		if types != nil {
			return types, nil
		}
		return kernel.RunningTypes()
	})
	if spec.Lean {
		s.coll, s.unloaded, err = loadLean(spec, pinned, s.types)
	} else {
		s.coll, err = loadRelocated(spec, pinned, s.types)
	}
	if err != nil {
		return nil, err
	}
	if err := s.fill(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// loadRelocated loads programs that were compiled elsewhere, for types that this kernel may lay out in another way.
func loadRelocated(spec *prog.Spec, pinned map[string]*ebpf.Map, running func() (*kernel.BTFTypes, error)) (*ebpf.Collection, error) {
	if err := roomFor(spec); err != nil {
		return nil, err
	}
	ahead := startRing(spec, pinned)
	var asked []string
	if len(spec.Fleeting) > 0 {
		asked = []string{allocatorType}
	}
	types, err := kernel.TypesAnd(asked, spec.Collection)
	if ring := <-ahead; ring != nil {
		pinned[spec.Ring] = ring // it takes the Spec's place as they do, and is closed with them
	}
	if spec.Foreign {
		// Without reduced types, nil, the library reads all of them; where there are none it says which program needs them.
		return loadForeign(spec, types)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: this kernel does not show its types (BTF); use one built with CONFIG_DEBUG_INFO_BTF, as the distributions' are: %w", spec.Name, err)
	case err != nil && !errors.Is(err, kernel.ErrNotReduced):
		return nil, err
	}
	allocateLate(spec, types)
	coll, err := loadTyped(spec, pinned, types, running)
	if !errors.Is(err, errNotTyped) {
		return coll, err
	}
	coll, err = load(spec.Collection, ebpf.CollectionOptions{
		Programs:        ebpf.ProgramOptions{KernelTypes: types},
		MapReplacements: pinned,
	})
	if err != nil {
		return nil, loadError(spec.Name, err)
	}
	return coll, nil
}

// Attached says on how many probes of the Spec there is a program now, a probe on many functions counted once.
func (s *Session) Attached() int { return s.attached }

// Skipped is how many attach points could not be attached, and need not.
func (s *Session) Skipped() int { return s.skipped }

// Missing returns one line for each probe that could not be attached and is to be warned of, in the order of the Spec.
func (s *Session) Missing() []string { return s.missing }

// Detach takes all programs off their probes at once: some kinds of link wait for an RCU grace period each.
// Maps and programs stay, so that what is left in them can be read.
func (s *Session) Detach() error {
	errs := make([]error, len(s.links))
	inParallel(len(s.links), closersAtOnce, func(i int) { errs[i] = s.links[i].Close() })
	s.links, s.attached = nil, 0
	clear(s.iters)
	return errors.Join(errs...)
}

// Close detaches what is still attached and gives back everything. It may be called more than once.
func (s *Session) Close() error {
	err := s.Detach()
	if s.stats != nil {
		err = errors.Join(err, s.stats.Close())
		s.stats = nil
	}
	if s.coll != nil {
		s.coll.Close()
		s.coll = nil
	}
	return err
}

// Map returns a map of the Spec by name, nil if there is none. It stays the Session's.
func (s *Session) Map(name string) *ebpf.Map { return s.coll.Maps[name] }

// Word reads a 64-bit global variable of the programs.
func (s *Session) Word(name string) (uint64, error) {
	v := s.coll.Variables[name]
	if v == nil {
		return 0, fmt.Errorf("%s: no variable %q", s.spec.Name, name)
	}
	var n uint64
	if err := v.Get(&n); err != nil {
		return 0, fmt.Errorf("%s: variable %q: %w", s.spec.Name, name, err)
	}
	return n, nil
}

// SetWord writes a 64-bit global variable of the programs.
func (s *Session) SetWord(name string, n uint64) error {
	v := s.coll.Variables[name]
	if v == nil {
		return fmt.Errorf("%s: no variable %q", s.spec.Name, name)
	}
	return v.Set(n)
}

// Cost is what the programs have cost in the kernel so far.
type Cost struct {
	NS, Runs uint64
	// Missed counts, by program, runs that the kernel left out because the program was already running on that CPU (5.12
	// and later). Programs without any are not listed.
	Missed []prog.Count
	// Known is false where the kernel would not switch its statistics on; NS and Runs are 0 then.
	Known bool
}

// Cost sums run_time_ns, run_cnt and recursion_misses over the programs. Read it before Close.
func (s *Session) Cost() (Cost, error) {
	c := Cost{Known: s.stats != nil}
	for _, name := range slices.Sorted(maps.Keys(s.coll.Programs)) {
		st, err := s.coll.Programs[name].Stats()
		if err != nil {
			return c, fmt.Errorf("%s: statistics of the programs: %w", s.spec.Name, err)
		}
		c.NS += uint64(st.Runtime)
		c.Runs += st.RunCount
		if st.RecursionMisses > 0 {
			c.Missed = append(c.Missed, prog.Count{Reason: name, N: st.RecursionMisses})
		}
	}
	return c, nil
}

func (s *Session) fill() error {
	for _, f := range s.spec.Fill {
		m := s.coll.Maps[f.Map]
		if m == nil {
			return fmt.Errorf("%s: no map %q to fill", s.spec.Name, f.Map)
		}
		if err := s.put(m, f); err != nil {
			return fmt.Errorf("%s: map %s: %w", s.spec.Name, f.Map, err)
		}
	}
	return nil
}

func (s *Session) put(m *ebpf.Map, f prog.MapFill) error {
	if name, ok := f.Value.(prog.ProgramName); ok {
		p := s.coll.Programs[string(name)]
		if p == nil {
			return fmt.Errorf("no program %q", name)
		}
		return m.Put(f.Key, p)
	}
	dir, ok := f.Value.(prog.CgroupPath)
	if !ok {
		return m.Put(f.Key, f.Value)
	}
	d, err := os.Open(string(dir))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := m.Put(f.Key, uint32(d.Fd())); err != nil {
		return fmt.Errorf("%s: not a cgroup v2 directory: %w", dir, err)
	}
	return nil
}

// Add puts a key into a map of the running Session unless it is there already; added says which.
func (s *Session) Add(name string, key, value any) (added bool, err error) {
	m := s.coll.Maps[name]
	if m == nil {
		return false, fmt.Errorf("%s: no map %q", s.spec.Name, name)
	}
	err = m.Update(key, value, ebpf.UpdateNoExist)
	if errors.Is(err, ebpf.ErrKeyExist) {
		return false, nil
	}
	return err == nil, err
}

// Keys32 lists the keys of a map of the running Session that are 32-bit words. Keys that come and go meanwhile may be missed.
func (s *Session) Keys32(name string) (keys []uint32, err error) {
	m := s.coll.Maps[name]
	if m == nil {
		return nil, fmt.Errorf("%s: no map %q", s.spec.Name, name)
	}
	var key uint32
	var value []byte
	it := m.Iterate()
	for it.Next(&key, &value) {
		keys = append(keys, key)
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return keys, fmt.Errorf("%s: map %s: %w", s.spec.Name, name, err)
	}
	return keys, nil
}

// Remove takes a key out of a map of the running Session; removed says whether it was there.
func (s *Session) Remove(name string, key any) (removed bool, err error) {
	m := s.coll.Maps[name]
	if m == nil {
		return false, fmt.Errorf("%s: no map %q", s.spec.Name, name)
	}
	err = m.Delete(key)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return err == nil, err
}

func openPins(spec *prog.Spec) (map[string]*ebpf.Map, error) {
	maps := make(map[string]*ebpf.Map, len(spec.Pins))
	for name, path := range spec.Pins {
		m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			closeMaps(maps)
			return nil, fmt.Errorf("--%s %s: %w", name, path, refusal(err))
		}
		maps[name] = m
		want := spec.Collection.Maps[name]
		if !slices.Contains([]ebpf.MapType{ebpf.Hash, ebpf.LRUHash}, m.Type()) || m.KeySize() != want.KeySize {
			closeMaps(maps)
			return nil, fmt.Errorf("--%s %s: a map of type %s with %d-byte keys; a hash map with %d-byte keys is needed",
				name, path, m.Type(), m.KeySize(), want.KeySize)
		}
		// The programs only ask whether a key is there: values, size and flags may be anything.
		want.Type, want.ValueSize, want.MaxEntries, want.Flags = m.Type(), m.ValueSize(), m.MaxEntries(), m.Flags()
		want.Key, want.Value = nil, nil
	}
	return maps, nil
}

func closeMaps(maps map[string]*ebpf.Map) {
	for _, m := range maps {
		m.Close()
	}
}
