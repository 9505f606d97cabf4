package attach

import (
	"maps"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// startRing makes the ring of records while somebody else reads the kernel's types: the kernel fills it with zeros, page
// after page, which takes about as long.
//
// What it returns waits for the ring and adds it to the maps that take the place of those of the Spec. There is none where
// it could not be made: then the library tries, and says what is wrong.
func startRing(spec *prog.Spec, pinned map[string]*ebpf.Map) func() (map[string]*ebpf.Map, *ebpf.Map) {
	ring := spec.Collection.Maps[spec.Ring]
	if ring == nil || ring.Type != ebpf.RingBuf || pinned[spec.Ring] != nil || spec.Foreign {
		return func() (map[string]*ebpf.Map, *ebpf.Map) { return pinned, nil }
	}
	made := make(chan *ebpf.Map, 1)
	go func() {
		m, err := makeMap(spec.Ring, ring)
		if err != nil {
			m = nil
		}
		made <- m
	}()
	return func() (map[string]*ebpf.Map, *ebpf.Map) {
		m := <-made
		if m == nil {
			return pinned, nil
		}
		all := maps.Clone(pinned)
		if all == nil {
			all = make(map[string]*ebpf.Map, 1)
		}
		all[spec.Ring] = m
		return all, m
	}
}

// allocatorType is a struct that kernels have which have an allocator for BPF (kernel/bpf/memalloc.c).
const allocatorType = "bpf_mem_alloc"

// allocateLate has the elements of fleeting maps made when they come, if the kernel has an allocator for that: filling a map
// of thousands takes a good part of the start, and an event that puts an element in and deletes it again costs less so.
func allocateLate(spec *prog.Spec, types *btf.Spec) {
	if types == nil {
		return
	}
	if found, err := types.AnyTypesByName(allocatorType); err != nil || len(found) == 0 {
		return
	}
	for _, name := range spec.Fleeting {
		if m := spec.Collection.Maps[name]; m != nil && m.Type == ebpf.Hash {
			m.Flags |= unix.BPF_F_NO_PREALLOC
		}
	}
}
