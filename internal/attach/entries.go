package attach

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Put writes an entry of a map of the running Session, whether it is there already or not.
func (s *Session) Put(name string, key, value any) error {
	m, err := s.mapOf(name)
	if err != nil {
		return err
	}
	return m.Put(key, value)
}

// Get reads an entry of a map of the running Session into value, a pointer. The error is ebpf.ErrKeyNotExist where there is
// none.
func (s *Session) Get(name string, key, value any) error {
	m, err := s.mapOf(name)
	if err != nil {
		return err
	}
	return m.Lookup(key, value)
}

// Delete takes a key out of a map of the running Session, if it is there.
func (s *Session) Delete(name string, key any) error {
	_, err := s.Remove(name, key)
	return err
}

func (s *Session) mapOf(name string) (*ebpf.Map, error) {
	if s.coll == nil {
		return nil, fmt.Errorf("%s: %w", s.spec.Name, errClosed)
	}
	m := s.coll.Maps[name]
	if m == nil {
		return nil, fmt.Errorf("%s: no map %q", s.spec.Name, name)
	}
	return m, nil
}

var errClosed = errors.New("the session is closed")
