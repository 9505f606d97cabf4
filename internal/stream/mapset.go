package stream

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Maps gives access to the maps of a running Spec by name. It is for one goroutine.
type Maps struct {
	find func(name string) *ebpf.Map
}

// NewMaps takes what finds a map by its name in the Spec, nil if there is none: attach's Session.Map. The maps must stay
// open.
func NewMaps(find func(name string) *ebpf.Map) *Maps { return &Maps{find} }

func (s *Maps) get(name string) (*ebpf.Map, error) {
	if m := s.find(name); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("there is no map %q", name)
}

// Read takes all entries of a hash map.
func (s *Maps) Read(name string, t *Table) error {
	m, err := s.get(name)
	if err != nil {
		return err
	}
	return t.Read(m)
}

// Clear takes all entries out of a hash map that were in it when it was called; t is what it uses for that.
func (s *Maps) Clear(name string, t *Table) error {
	m, err := s.get(name)
	if err != nil {
		return err
	}
	if err := t.Read(m); err != nil {
		return err
	}
	return t.Delete(m)
}

// Zero sets the values of all entries of a hash map to zeros; t is what it uses for that.
func (s *Maps) Zero(name string, t *Table) error {
	m, err := s.get(name)
	if err != nil {
		return err
	}
	if err := t.Read(m); err != nil {
		return err
	}
	return t.Zero(m)
}

// PerCPU reads the values that an array of per-CPU values has at an index, one for each possible CPU.
func (s *Maps) PerCPU(name string, index uint32) (values [][]byte, err error) {
	m, err := s.get(name)
	if err != nil {
		return nil, err
	}
	if err := m.Lookup(index, &values); err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	return values, nil
}

// ReadAt fills p with what lies at off in the value of an array map of one entry, which is mapped into memory.
func (s *Maps) ReadAt(name string, p []byte, off int) error {
	memory, err := s.memory(name, len(p), off)
	if err != nil {
		return err
	}
	if _, err := memory.ReadAt(p, int64(off)); err != nil {
		return fmt.Errorf("map %s: %w", name, err)
	}
	return nil
}

// WriteAt is the counterpart of ReadAt. What programs write to other places meanwhile is safe.
func (s *Maps) WriteAt(name string, p []byte, off int) error {
	memory, err := s.memory(name, len(p), off)
	if err != nil {
		return err
	}
	if _, err := memory.WriteAt(p, int64(off)); err != nil {
		return fmt.Errorf("map %s: %w", name, err)
	}
	return nil
}

// memory maps an array map of one value, in which size bytes lie at off.
func (s *Maps) memory(name string, size, off int) (*ebpf.Memory, error) {
	m, err := s.get(name)
	if err != nil {
		return nil, err
	}
	if off < 0 || size < 0 || off > int(m.ValueSize())-size {
		return nil, fmt.Errorf("map %s: its value has no %d bytes at %d", name, size, off)
	}
	memory, err := m.Memory()
	if err != nil {
		return nil, fmt.Errorf("mapping %v: %w", m, err)
	}
	return memory, nil
}
