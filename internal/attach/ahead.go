package attach

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// startRing makes the ring of records while somebody else reads the kernel's types: the kernel fills it with zeros, page
// after page, which takes about as long.
//
// The channel gives the ring when it is there, or nil: where it could not be made, the library tries, and says what is wrong.
func startRing(spec *prog.Spec, pinned map[string]*ebpf.Map) <-chan *ebpf.Map {
	made := make(chan *ebpf.Map, 1)
	ring := spec.Collection.Maps[spec.Ring]
	if ring == nil || ring.Type != ebpf.RingBuf || pinned[spec.Ring] != nil || spec.Foreign {
		made <- nil
		return made
	}
	go func() {
		m, err := makeMap(spec.Ring, ring)
		if err != nil {
			m = nil
		}
		made <- m
	}()
	return made
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
