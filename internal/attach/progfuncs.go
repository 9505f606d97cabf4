package attach

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// A program with callbacks is taken by the kernel only with a description of its functions (func_info), of which it wants
// to know the names and that they are static. The types of the parameters do not matter for those, so they get none. Global
// functions, which the verifier looks at by themselves, take numbers of 32 bits here.

// function is one function of a program, offset counted in the kernel's 8-byte instructions.
type function struct {
	name   string
	offset uint32
	global bool
	params int // of global ones
}

// functionsIn returns the program's functions, the main one first, or nil if that is the only one.
func functionsIn(insns asm.Instructions) []function {
	called := make(map[string]bool)
	for i := range insns {
		if ins := &insns[i]; ins.IsFunctionReference() && ins.Reference() != "" {
			called[ins.Reference()] = true
		}
	}
	if len(called) == 0 {
		return nil
	}
	funcs := []function{{name: "main"}}
	for it := insns.Iterate(); it.Next(); {
		name := it.Ins.Symbol()
		if name == "" || it.Offset == 0 || !called[name] {
			continue
		}
		fn := function{name: name, offset: uint32(it.Offset)}
		if described := btf.FuncMetadata(it.Ins); described != nil && described.Linkage == btf.GlobalFunc {
			fn.global = true
			if proto, ok := described.Type.(*btf.FuncProto); ok {
				fn.params = len(proto.Params)
			}
		}
		funcs = append(funcs, fn)
	}
	return funcs
}

const (
	funcInfoSize = 8 // struct bpf_func_info: offset, type

	btfMagic      = 0xeb9f
	btfHeaderSize = 24
	btfKindInt    = 1
	btfKindFunc   = 12
	btfKindProto  = 13
	// IDs of the types that all functions share.
	btfIntID, btfProtoID = 1, 2
)

// describeFunctions loads BTF with the functions, and returns it as a descriptor with the func_info that refers to it.
func describeFunctions(funcs []function) (fd int, info []byte, err error) {
	raw, info := functionTypes(funcs)
	fd, err = bpf(unix.BPF_BTF_LOAD, &btfLoadAttr{btf: unsafe.Pointer(unsafe.SliceData(raw)), size: uint32(len(raw))})
	runtime.KeepAlive(raw)
	if err != nil {
		return -1, nil, fmt.Errorf("describe its functions: %w", refusal(err))
	}
	return fd, info, nil
}

func functionTypes(funcs []function) (raw, info []byte) {
	le := binary.NativeEndian
	text := []byte("\x00int\x00")
	var types []byte
	add := func(words ...uint32) {
		for _, w := range words {
			types = le.AppendUint32(types, w)
		}
	}
	add(1, btfKindInt<<24, 4, 1<<24|32) // int: signed, 32 bits
	add(0, btfKindProto<<24, btfIntID)  // int ()
	id := uint32(btfProtoID)
	for _, f := range funcs {
		proto, linkage := uint32(btfProtoID), uint32(0) // static
		if f.global {
			add(0, btfKindProto<<24|uint32(f.params), btfIntID)
			for range f.params {
				add(uint32(len(text)), btfIntID)
			}
			text = append(text, 'n', 0) // each parameter must have a name, and may have the same
			id++
			proto, linkage = id, 1
		}
		add(uint32(len(text)), btfKindFunc<<24|linkage, proto)
		id++
		text = append(append(text, identifier(f.name)...), 0)
		info = le.AppendUint32(info, f.offset)
		info = le.AppendUint32(info, id)
	}
	raw = le.AppendUint16(raw, btfMagic)
	raw = append(raw, 1, 0) // version, flags
	for _, w := range []uint32{btfHeaderSize, 0, uint32(len(types)), uint32(len(types)), uint32(len(text))} {
		raw = le.AppendUint32(raw, w)
	}
	return append(append(raw, types...), text...), info
}

// identifier makes a name one that the kernel takes for a function: a C identifier.
func identifier(name string) string {
	out := []byte(name)
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', i > 0 && c >= '0' && c <= '9':
		default:
			out[i] = '_'
		}
	}
	return string(out[:min(len(out), 127)])
}
