package attach

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// makeMap makes a map with its first contents, in as few calls as it takes. A map that programs may only read is frozen:
// the verifier then knows its values as constants.
func makeMap(name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	if spec.Type == ebpf.TaskStorage && spec.Key == nil {
		spec = withLocalStorageTypes(spec)
	}
	if spec.InnerMap != nil || spec.Pinning != ebpf.PinNone || spec.Key != nil || spec.Value != nil || spec.MaxEntries == 0 {
		return ebpf.NewMap(spec)
	}
	fd, err := bpf(unix.BPF_MAP_CREATE, &mapCreateAttr{
		mapType: uint32(spec.Type), keySize: spec.KeySize, valueSize: spec.ValueSize, maxEntries: spec.MaxEntries,
		flags: spec.Flags, numaNode: spec.NumaNode, name: objectName(name), extra: spec.MapExtra,
	})
	if err != nil {
		return nil, mapError(spec, err)
	}
	m, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		return nil, err // it has closed the descriptor
	}
	for _, kv := range spec.Contents {
		if err := m.Put(kv.Key, kv.Value); err != nil {
			m.Close()
			return nil, fmt.Errorf("write its first contents: %w", err)
		}
	}
	if spec.Flags&unix.BPF_F_RDONLY_PROG != 0 {
		if err := m.Freeze(); err != nil {
			m.Close()
			return nil, fmt.Errorf("freeze it: %w", err)
		}
	}
	return m, nil
}

// mapError says what the errors mean that depend on what a user chose: how large and how many.
func mapError(spec *ebpf.MapSpec, err error) error {
	switch {
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.E2BIG):
		return fmt.Errorf("a %s of %d entries of %d bytes is too large for this kernel: %w", spec.Type, spec.MaxEntries, spec.KeySize+spec.ValueSize, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("this kernel does not make a %s of %d entries with keys of %d and values of %d bytes (flags %#x): %w",
			spec.Type, spec.MaxEntries, spec.KeySize, spec.ValueSize, spec.Flags, err)
	}
	return fmt.Errorf("make it: %w", err)
}

// withLocalStorageTypes gives types to a map of task storage, which the kernel takes only with them: any that have the
// sizes will do.
func withLocalStorageTypes(spec *ebpf.MapSpec) *ebpf.MapSpec {
	spec = spec.Copy()
	spec.Key = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	byteType := &btf.Int{Name: "unsigned char", Size: 1}
	spec.Value = &btf.Struct{Name: "value", Size: spec.ValueSize, Members: []btf.Member{
		{Name: "bytes", Type: &btf.Array{Index: spec.Key, Type: byteType, Nelems: spec.ValueSize}},
	}}
	return spec
}
