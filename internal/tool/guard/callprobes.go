package guard

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// callFill is what the programs on system calls know of them; jump is for those that lead to one program.
func callFill(jump bool) (fill []prog.MapFill) {
	for _, e := range hereEntries() {
		for _, number := range e.numbers {
			fill = append(fill, prog.MapFill{Map: bpfMapGuardCalls, Key: uint32(number), Value: e.call.entry()})
		}
	}
	if jump {
		fill = append(fill, prog.MapFill{Map: bpfMapGuardJump, Key: uint32(0), Value: prog.ProgramName(bpfProgGuardCall)})
	}
	return fill
}

// callProbes puts a program on the entry function of every system call that takes paths: by kprobes one and the same; else one for
// each that leads to it.
func callProbes(coll *ebpf.CollectionSpec, opt Options) (probes []prog.Probe, err error) {
	decide, lead := coll.Programs[bpfProgGuardCall], coll.Programs[bpfProgGuardToCall]
	delete(coll.Programs, bpfProgGuardToCall)
	// Of a call that the kernel is built without there is a function too, which only says so. No program may change what it returns,
	// and none has to.
	stubs, err := kernel.WeakFunctions()
	if err != nil {
		return nil, fmt.Errorf("guard: the kernel's functions: %w", err)
	}
	seen := make(map[string]bool)
	var proto uint32 // of the functions that programs lead from
	for _, e := range hereEntries() {
		if _, there := parameters(opt.Types, e.function); !there || stubs[e.function] || seen[e.function] {
			continue
		}
		seen[e.function] = true
		if opt.kprobes() {
			probes = append(probes, prog.Probe{Program: bpfProgGuardCall, Kind: prog.Kprobe, Name: e.function})
			continue
		}
		if !opt.Modifies(e.function) {
			continue
		}
		id, _ := opt.Types.Find(kernel.BTFFunc, e.function)
		fn := opt.Types.Type(id)
		if len(probes) == 0 {
			proto = fn.Elem
		}
		p := lead.Copy()
		if fn.Elem != proto {
			// A program leads only to one that is for a function of the same type. Some kernels are described by the stubs of calls
			// that they do have, and those have another type.
			p = decide.Copy()
		}
		p.Type, p.AttachType, p.AttachTo = ebpf.Tracing, ebpf.AttachModifyReturn, e.function
		name := bpfProgGuardToCall + "_" + e.call.name
		if e.compat {
			name += "_32"
		}
		p.Name = name
		coll.Programs[name] = p
		probes = append(probes, prog.Probe{Program: name, Kind: prog.FmodRet, Name: e.function})
	}
	switch {
	case len(probes) == 0:
		return nil, errors.New("guard: this kernel has none of the functions that system calls begin with among its types, so no call can be guarded by override")
	case opt.kprobes():
		decide.Type, decide.AttachType, decide.AttachTo = ebpf.Kprobe, ebpf.AttachNone, ""
	default:
		decide.Type, decide.AttachType, decide.AttachTo = ebpf.Tracing, ebpf.AttachModifyReturn, probes[0].Name
	}
	return probes, nil
}
