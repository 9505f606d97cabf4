package attach

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Keys lists the keys of a map of the running Session, as they lie there. Keys that come and go meanwhile may be missed.
func (s *Session) Keys(name string) (keys [][]byte, err error) {
	m, err := s.mapOf(name)
	if err != nil {
		return nil, err
	}
	var key, value []byte
	it := m.Iterate()
	for it.Next(&key, &value) {
		keys = append(keys, append([]byte(nil), key...))
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return keys, fmt.Errorf("%s: map %s: %w", s.spec.Name, name, err)
	}
	return keys, nil
}
