package stream

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Entries calls each for what a map holds: a key and its value, or one value for each possible CPU where the map has that. It
// stops at most entries; more says that there would have been others. While programs write it is no picture of one moment.
// What it gives to each is gone when that returns.
func Entries(m *ebpf.Map, most int, each func(key []byte, values [][]byte) error) (more bool, err error) {
	var key, value []byte
	var values [][]byte
	var into any = &value
	switch m.Type() {
	case ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.PerCPUArray:
		into = &values
	}
	it := m.Iterate()
	for n := 0; it.Next(&key, into); n++ {
		if n == most {
			return true, nil
		}
		if into == any(&value) {
			values = append(values[:0], value)
		}
		if err := each(key, values); err != nil {
			return false, err
		}
	}
	// Keys that went away under the walk led it astray too often: what was found is what there is.
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return false, fmt.Errorf("reading %v: %w", m, err)
	}
	return false, nil
}
