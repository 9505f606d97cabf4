package kernel

import (
	"fmt"
	"slices"
	"strings"
)

func errMatchKind(kind string) error {
	return fmt.Errorf("bug of ours: there is nothing to match of the kind %q", kind)
}

// vmlinux is the name of the module that the kernel itself is, where modules are named.
const vmlinux = "vmlinux"

// matchNames matches functions that are listed as "func", or "mod:func" for those of modules. A pattern without a module
// matches functions anywhere and is answered without modules.
func matchNames(kind string, list []string, text string) []string {
	module, function, named := strings.Cut(text, ":")
	if kind != "kprobe" || named && module != vmlinux {
		return matching(list, text)
	}
	if !named {
		function = text
	}
	var found []string
	p := newPattern(function)
	for _, name := range list {
		if _, inModule, ok := strings.Cut(name, ":"); ok {
			if named {
				continue
			}
			name = inModule
		}
		switch {
		case !p.match(name):
		case named:
			found = append(found, vmlinux+":"+name)
		default:
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// rawTypedef is what the kernel puts before a tracepoint's name in the name of the type of its functions.
const rawTypedef = "btf_trace_"

// matchModules matches types with a prefix to their names, in the kernel and its modules, and answers "mod:name". A name in full is
// looked for in modules only if the kernel itself does not have it.
func matchModules(b *BTFTypes, kind BTFKind, prefix, text string) []string {
	module, name, named := strings.Cut(text, ":")
	if !named {
		module, name = "*", text
	}
	if b == nil || name == "" {
		return nil
	}
	var found []string
	add := func(in string, types *BTFTypes) {
		for _, match := range types.Names(kind, prefix+name) {
			found = append(found, in+":"+match[len(prefix):])
		}
	}
	modules := newPattern(module)
	if modules.match(vmlinux) {
		add(vmlinux, b)
	}
	if module == vmlinux || len(found) > 0 && !hasStar(name) && !named {
		return found
	}
	for _, in := range b.Modules() {
		if !modules.match(in) {
			continue
		}
		if types, err := b.Module(in); err == nil { // one with damaged types has none
			add(in, types)
		}
	}
	slices.Sort(found)
	return found
}

// The names of an iterator's context and of the function that programs attach to.
const (
	iterContext  = "bpf_iter__"
	iterFunction = "bpf_iter_"
)

// matchIterators answers the iterators that have both.
func matchIterators(b *BTFTypes, text string) []string {
	var found []string
	functions := b.Names(BTFFunc, iterFunction+text)
	for _, match := range b.Names(BTFStruct, iterContext+text) {
		name := match[len(iterContext):]
		if _, ok := slices.BinarySearch(functions, iterFunction+name); ok {
			found = append(found, name)
		}
	}
	return found
}

// kfunc finds a kernel function that programs may call. Kernels that mark them (6.10) are asked for the mark.
func kfunc(b *BTFTypes, name string) (id uint32, ok bool) {
	if id, ok = b.Find(BTFFunc, name); !ok {
		return 0, false
	}
	marked := b.markedKfuncs()
	return id, len(marked) == 0 || marked[id]
}
