package attach

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// errNotTyped says that a collection has something in it that loadTyped leaves to the library.
var errNotTyped = errors.New("not a collection that is loaded here")

// wantsTyped says whether loadTyped is for these programs: where some of them attach by a type of the kernel the library
// would index all types, which takes longer and more memory than all else together.
func wantsTyped(spec *ebpf.CollectionSpec) bool {
	some := false
	for _, p := range spec.Programs {
		some = some || p.AttachTo != "" && (p.Type == ebpf.Tracing || p.Type == ebpf.LSM)
		for i := range p.Instructions {
			if p.Instructions[i].IsKfuncCall() {
				return false
			}
		}
	}
	for _, m := range spec.Maps {
		if m.Type == ebpf.ProgramArray && len(m.Contents) > 0 || m.Type == ebpf.StructOpsMap {
			return false
		}
	}
	return some
}

// loadTyped loads a collection whose programs are relocated against the reduced types of the kernel, and find what they
// attach to by our own reader of its types. Maps and variables are the library's work.
func loadTyped(spec *prog.Spec, pinned map[string]*ebpf.Map, reduced *btf.Spec, types func() (*kernel.BTFTypes, error)) (coll *ebpf.Collection, err error) {
	if reduced == nil || !wantsTyped(spec.Collection) {
		return nil, errNotTyped
	}
	only := spec.Collection.Copy()
	only.Programs = nil
	if coll, err = load(only, ebpf.CollectionOptions{MapReplacements: pinned}); err != nil {
		return nil, loadError(spec.Name, err)
	}
	defer func() {
		if err != nil {
			coll.Close()
		}
	}()
	names := slices.Sorted(maps.Keys(spec.Collection.Programs))
	programs, errs := make([]*ebpf.Program, len(names)), make([]error, len(names))
	relocated := make([]*ebpf.ProgramSpec, len(names))
	for i, name := range names {
		if relocated[i], err = relocate(spec.Collection.Programs[name], reduced); err != nil {
			return nil, fmt.Errorf("%s: program %s: %w", spec.Name, name, err)
		}
	}
	targets := attachTargets{modules: modulesOf(spec), types: types, described: true}
	defer targets.close()
	inParallel(len(names), runtime.GOMAXPROCS(0), func(i int) {
		programs[i], errs[i] = loadProgram(names[i], relocated[i], coll.Maps, &targets)
	})
	if coll.Programs == nil {
		coll.Programs = make(map[string]*ebpf.Program, len(names))
	}
	for i, name := range names {
		if programs[i] != nil {
			coll.Programs[name] = programs[i]
		}
		if err == nil && errs[i] != nil {
			err = fmt.Errorf("%s: %w", spec.Name, errs[i])
		}
	}
	return coll, err
}

// relocate returns a copy of a program that is complete, without its source lines.
func relocate(p *ebpf.ProgramSpec, reduced *btf.Spec) (*ebpf.ProgramSpec, error) {
	out := p.Copy()
	out.Instructions = slices.Clone(p.Instructions)
	var relocations []*btf.CORERelocation
	var at []int
	for i := range out.Instructions {
		out.Instructions[i] = out.Instructions[i].WithSource(nil)
		if r := btf.CORERelocationMetadata(&out.Instructions[i]); r != nil {
			relocations, at = append(relocations, r), append(at, i)
		}
	}
	var local btf.Builder
	fixups, err := btf.CORERelocate(relocations, []*btf.Spec{reduced}, p.ByteOrder, local.Add)
	if err != nil {
		return nil, fmt.Errorf("relocate it: %w", err)
	}
	for n, i := range at {
		if err := fixups[n].Apply(&out.Instructions[i]); err != nil {
			return nil, fmt.Errorf("relocate %s: %w", relocations[n], err)
		}
	}
	return out, nil
}

// describeTyped gives the kernel the types of a program's functions as they were compiled. It returns a handle that the
// program needs until it is loaded.
func describeTyped(insns asm.Instructions, attr *progLoadAttr) (*btf.Handle, error) {
	var types btf.Builder
	funcs, _, err := btf.MarshalExtInfos(insns, &types)
	if err != nil || len(funcs) == 0 {
		return nil, err
	}
	handle, err := btf.NewHandle(&types)
	if err != nil {
		return nil, fmt.Errorf("the types of its functions: %w", err)
	}
	attr.btfFD = uint32(handle.FD())
	attr.funcInfo, attr.funcInfoRecSize = unsafe.Pointer(unsafe.SliceData(funcs)), btf.FuncInfoSize
	attr.funcInfoCount = uint32(len(funcs)) / btf.FuncInfoSize
	return handle, nil
}
