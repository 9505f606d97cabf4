package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// vmlinuxBTF is where a kernel built with CONFIG_DEBUG_INFO_BTF (5.4 and later) shows its own types.
const vmlinuxBTF = "/sys/kernel/btf/vmlinux"

// ErrNotReduced says that TypesFor cannot give a reduced copy of the kernel's types that would do, although a full load of
// them may: leave ebpf.ProgramOptions.KernelTypes nil and pay for it.
var ErrNotReduced = errors.New("the kernel's types cannot be reduced")

// TypesFor reads the running kernel's types and returns only what the CO-RE relocations of objects ask about, for
// ebpf.ProgramOptions.KernelTypes. It replaces btf.LoadKernelSpec, which indexes every type, where start-up time and memory
// count. Relocating against the result and against the full types gives the same instructions.
//
// The structs in the result have the kernel's size, but only the members that a relocation names; what pointers point to is
// left out; type IDs are not the kernel's. Use it for relocating these objects and for nothing else.
//
// Types that only a kernel module has are treated as absent; leave KernelTypes nil for objects that look into modules.
//
// The error wraps ErrNotReduced when a full load may still succeed: the kernel shows no BTF (it then wraps fs.ErrNotExist
// too), uses BTF kinds newer than ENUM64 (kind 19) or another byte order, or a relocation needs more than a reduction can
// give (a kernel type's ID, or a comparison of whole types). Any other error means that the BTF is damaged.
//
// Needs no privileges.
func TypesFor(objects ...*ebpf.CollectionSpec) (*btf.Spec, error) { return TypesAnd(nil, objects...) }

// TypesAnd is TypesFor with what the kernel has of some other names too, without members: for who asks whether there is such a type.
func TypesAnd(names []string, objects ...*ebpf.CollectionSpec) (*btf.Spec, error) {
	wanted, err := wantedBy(objects)
	if err != nil {
		return nil, err
	}
	if len(wanted.roots) == 0 {
		return emptySpec()
	}
	for _, name := range names {
		wanted.addRoot(name, nil, false)
	}
	file, err := os.Open(vmlinuxBTF)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotReduced, err)
	}
	if err != nil {
		return nil, fmt.Errorf("kernel types: %w", err)
	}
	defer file.Close()
	src, err := openBTF(file)
	if err != nil {
		return nil, fmt.Errorf("kernel types: %w", err)
	}
	defer src.close()
	spec, err := reducedSpec(src, wanted)
	if err != nil {
		return nil, fmt.Errorf("kernel types in %s: %w", vmlinuxBTF, err)
	}
	return spec, nil
}

func reducedSpec(src *btfSource, wanted *wants) (*btf.Spec, error) {
	raw, err := reduce(src, wanted)
	if err != nil {
		return nil, err
	}
	return loadRaw(raw)
}

func emptySpec() (*btf.Spec, error) { return loadRaw(newEncoder().blob()) }

// loadRaw takes the split loader, with no base, because the plain one first tries to read raw BTF as an ELF file.
func loadRaw(raw []byte) (*btf.Spec, error) {
	return btf.LoadSplitSpecFromReader(bytes.NewReader(raw), nil)
}
