package attach

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/cilium/ebpf"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// loadLean loads a Spec whose instructions are for this kernel and no other. It asks the kernel for nothing but the maps
// and the programs: the library would first try what the kernel can do, and read all of its types for programs that attach
// to one. Pinned maps take the place of those of their names.
//
// unloaded says why programs are missing whose attach points this kernel does not have; Attach then does as the probe says.
func loadLean(spec *prog.Spec, pinned map[string]*ebpf.Map, types func() (*kernel.BTFTypes, error)) (coll *ebpf.Collection, unloaded map[string]error, err error) {
	coll = &ebpf.Collection{
		Programs:  make(map[string]*ebpf.Program, len(spec.Collection.Programs)),
		Maps:      make(map[string]*ebpf.Map, len(spec.Collection.Maps)),
		Variables: map[string]*ebpf.Variable{},
	}
	defer func() {
		if err != nil {
			coll.Close()
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(spec.Collection.Maps)) {
		var m *ebpf.Map
		if pin := pinned[name]; pin != nil {
			m, err = pin.Clone()
		} else {
			m, err = makeMap(name, spec.Collection.Maps[name])
		}
		if err != nil {
			return coll, nil, fmt.Errorf("%s: map %s: %w", spec.Name, name, outOfDescriptors(refusal(err)))
		}
		coll.Maps[name] = m
	}

	names := slices.Sorted(maps.Keys(spec.Collection.Programs))
	programs, errs := make([]*ebpf.Program, len(names)), make([]error, len(names))
	targets := attachTargets{modules: modulesOf(spec), types: types}
	defer targets.close()
	inParallel(len(names), runtime.GOMAXPROCS(0), func(i int) {
		programs[i], errs[i] = loadProgram(names[i], spec.Collection.Programs[names[i]], coll.Maps, &targets)
	})
	unloaded = make(map[string]error)
	for i, name := range names {
		var target *noTarget
		switch {
		case errs[i] == nil:
			coll.Programs[name] = programs[i]
		case errors.As(errs[i], &target):
			unloaded[name] = target.err
		case err == nil:
			err = fmt.Errorf("%s: %w", spec.Name, errs[i])
		}
	}
	return coll, unloaded, err
}

// modulesOf says, by program, in which kernel module the function is that the program attaches to.
func modulesOf(spec *prog.Spec) map[string]string {
	modules := make(map[string]string)
	for _, p := range spec.Probes {
		if (p.Kind == prog.Fentry || p.Kind == prog.Fexit || p.Kind == prog.TypedTracepoint) && p.Group != "" {
			modules[p.Program] = p.Group
		}
	}
	return modules
}
