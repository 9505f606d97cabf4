package attach

import (
	"errors"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// load loads a collection without what only a human reader of the loaded programs has use for: source lines, and the
// types of map keys and values. They cost a tenth of the CPU that loading takes. If the verifier refuses a program it is
// asked again with the source lines, for its log to show them.
func load(spec *ebpf.CollectionSpec, opts ebpf.CollectionOptions) (*ebpf.Collection, error) {
	for _, m := range spec.Maps {
		if _, data := m.Value.(*btf.Datasec); !data && m.Type != ebpf.StructOpsMap && m.Type != ebpf.TaskStorage {
			m.Key, m.Value = nil, nil
		}
	}
	sourced := make(map[string]asm.Instructions, len(spec.Programs))
	for name, p := range spec.Programs {
		sourced[name] = p.Instructions
		p.Instructions = slices.Clone(p.Instructions)
		for i, ins := range p.Instructions {
			p.Instructions[i] = ins.WithSource(nil)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, opts)
	for name, ins := range sourced {
		spec.Programs[name].Instructions = ins
	}
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		return ebpf.NewCollectionWithOptions(spec, opts)
	}
	return coll, err
}
