package attach

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"sonde/internal/kernel"
)

// attachTargets finds what programs of type tracing are loaded for: a type of the kernel, by its number. The library would
// index all of the kernel's types for it.
type attachTargets struct {
	modules map[string]string                // by program, where it is a function of a module
	types   func() (*kernel.BTFTypes, error) // the kernel's own; may be called by several goroutines
	mu      sync.Mutex
	handles map[string]*btf.Handle // of modules

	described bool // the programs' functions have their types with them
}

type attachTarget struct {
	id       uint32
	moduleFD uint32 // descriptor of the module's types, 0 for the kernel's own
}

// noTarget is the error of a program that was not loaded because there is nothing that it could attach to.
type noTarget struct{ err error }

func (e *noTarget) Error() string { return e.err.Error() }
func (e *noTarget) Unwrap() error { return e.err }

func (t *attachTargets) find(program string, spec *ebpf.ProgramSpec) (attachTarget, error) {
	types, err := t.types()
	if err != nil {
		return attachTarget{}, fmt.Errorf("it needs the kernel's types (BTF), which this kernel does not show; use one built with CONFIG_DEBUG_INFO_BTF: %w", err)
	}
	kind, name, what := kernel.BTFFunc, spec.AttachTo, "function"
	switch spec.AttachType {
	case ebpf.AttachTraceRawTp:
		kind, name, what = kernel.BTFTypedef, "btf_trace_"+spec.AttachTo, "tracepoint"
	case ebpf.AttachLSMMac:
		name, what = "bpf_lsm_"+spec.AttachTo, "LSM hook"
	case ebpf.AttachTraceIter:
		name, what = "bpf_iter_"+strings.TrimPrefix(spec.AttachTo, "bpf_iter_"), "iterator"
	}
	module := t.modules[program]
	if module == "" || module == "vmlinux" {
		if id, ok := types.Find(kind, name); ok {
			return attachTarget{id: id}, nil
		}
		if spec.AttachType != ebpf.AttachTraceRawTp || module != "" {
			return attachTarget{}, fmt.Errorf("this kernel has no %s %s among its types", what, spec.AttachTo)
		}
		for _, m := range types.Modules() {
			if target, err := t.inModule(types, m, kind, name); err == nil {
				return target, nil
			}
		}
		return attachTarget{}, fmt.Errorf("this kernel has no tracepoint %s, nor has a module that is loaded", spec.AttachTo)
	}
	target, err := t.inModule(types, module, kind, name)
	if err != nil {
		// What is in the kernel itself may be named by a module that is compiled into it.
		if id, ok := types.Find(kind, name); ok {
			return attachTarget{id: id}, nil
		}
		return attachTarget{}, fmt.Errorf("%s %s: %w", what, spec.AttachTo, err)
	}
	return target, nil
}

func (t *attachTargets) inModule(kernelTypes *kernel.BTFTypes, module string, kind kernel.BTFKind, name string) (attachTarget, error) {
	types, err := kernelTypes.Module(module)
	if err != nil {
		return attachTarget{}, fmt.Errorf("the module %s is not loaded, or shows no types: %w", module, err)
	}
	id, ok := types.Find(kind, name)
	if !ok {
		return attachTarget{}, fmt.Errorf("the module %s does not have it among its types", module)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	handle := t.handles[module]
	if handle == nil {
		handle, err = btf.FindHandle(func(info *btf.HandleInfo) bool { return info.IsModule() && info.Name == module })
		if err != nil {
			return attachTarget{}, fmt.Errorf("types of the module %s: %w", module, refusal(err))
		}
		if t.handles == nil {
			t.handles = make(map[string]*btf.Handle)
		}
		t.handles[module] = handle
	}
	return attachTarget{id: id, moduleFD: uint32(handle.FD())}, nil
}

func (t *attachTargets) close() {
	for _, h := range t.handles {
		h.Close()
	}
}
