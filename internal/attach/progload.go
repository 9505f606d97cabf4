package attach

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

const (
	firstLogSize = 64 << 10
	maxLogSize   = 64 << 20
)

// loadProgram gives one program to the kernel. The instructions must be complete; references to maps are resolved here,
// those to functions by the library. Where the verifier refuses it is asked again for its log. The error is a *Refused
// then, or a *noTarget where what the program attaches to is not there.
func loadProgram(name string, spec *ebpf.ProgramSpec, maps map[string]*ebpf.Map, targets *attachTargets) (*ebpf.Program, error) {
	insns, err := resolved(spec.Instructions, maps)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", name, err)
	}
	attr := progLoadAttr{
		progType: uint32(spec.Type), expectedAttachType: uint32(spec.AttachType), flags: spec.Flags,
		name: objectName(spec.Name), kernVersion: spec.KernelVersion,
	}
	if spec.Name == "" {
		attr.name = objectName(name)
	}
	if spec.Type == ebpf.Tracing || spec.Type == ebpf.LSM {
		target, err := targets.find(name, spec)
		if err != nil {
			return nil, &noTarget{err}
		}
		attr.attachBTFID, attr.attachBTFFD = target.id, target.moduleFD
	}
	funcs := functionsIn(insns)
	if targets.described {
		handle, err := describeTyped(insns, &attr)
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", name, err)
		}
		if handle != nil {
			defer handle.Close()
		}
	} else if len(funcs) > 0 {
		fd, info, err := describeFunctions(funcs)
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", name, err)
		}
		defer unix.Close(fd)
		attr.btfFD = uint32(fd)
		attr.funcInfo, attr.funcInfoCount, attr.funcInfoRecSize = unsafe.Pointer(unsafe.SliceData(info)), uint32(len(funcs)), funcInfoSize
	}
	var code bytes.Buffer
	code.Grow(int(insns.Size()))
	if err := insns.Marshal(&code, binary.LittleEndian); err != nil {
		return nil, fmt.Errorf("program %s: %w", name, err)
	}
	license, err := unix.BytePtrFromString(spec.License)
	if err != nil {
		return nil, fmt.Errorf("program %s: licence: %w", name, err)
	}
	attr.insns, attr.insnCount = unsafe.Pointer(unsafe.SliceData(code.Bytes())), uint32(code.Len()/asm.InstructionSize)
	attr.license = unsafe.Pointer(license)
	fd, err := bpf(unix.BPF_PROG_LOAD, &attr)
	runtime.KeepAlive(maps)
	if err == nil {
		return ebpf.NewProgramFromFD(fd)
	}
	return nil, loadRefusal(name, spec, &attr, err)
}

// loadRefusal finds out why the kernel did not take the program.
func loadRefusal(name string, spec *ebpf.ProgramSpec, attr *progLoadAttr, err error) error {
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("program %s: %w", name, outOfDescriptors(err))
	}
	log := verifierLog(*attr)
	if len(log) == 0 {
		switch {
		case errors.Is(err, unix.E2BIG):
			return fmt.Errorf("program %s: this kernel does not take a program of %d instructions: %w", name, attr.insnCount, err)
		case errors.Is(err, unix.EINVAL):
			return fmt.Errorf("program %s: this kernel does not know programs of type %s for %s, or an instruction in it: %w", name, spec.Type, spec.AttachType, err)
		}
		return fmt.Errorf("program %s: %w", name, refusal(err))
	}
	refused := newRefused(name, spec.Instructions, log, err)
	if (spec.Type == ebpf.Tracing || spec.Type == ebpf.LSM) && refused.Insn < 0 {
		// It was refused before any instruction was looked at: for what it wants to attach to.
		return &noTarget{fmt.Errorf("the kernel does not let programs attach there (%s)", refused.Reason)}
	}
	return refused
}

// verifierLog loads the program again for what the verifier says, and returns that in lines. The log is empty if it is not
// the verifier that refuses.
func verifierLog(attr progLoadAttr) []string {
	for size := uint32(firstLogSize); ; size *= 4 {
		buf := make([]byte, size)
		attr.logLevel, attr.logSize, attr.log = 1, size, unsafe.Pointer(unsafe.SliceData(buf))
		fd, err := bpf(unix.BPF_PROG_LOAD, &attr)
		if err == nil { // it was refused for a reason that has passed
			unix.Close(fd)
			return nil
		}
		if errors.Is(err, unix.ENOSPC) && size < maxLogSize {
			continue
		}
		end := bytes.IndexByte(buf, 0)
		if end < 0 {
			end = len(buf)
		}
		return logLines(buf[:end])
	}
}

// resolved returns a copy of the instructions with the descriptors of the maps in them.
func resolved(insns asm.Instructions, maps map[string]*ebpf.Map) (asm.Instructions, error) {
	insns = slices.Clone(insns)
	for i := range insns {
		ins := &insns[i]
		if op := ins.OpCode.AtomicOp(); op != asm.InvalidAtomic {
			ins.Constant = int64(op >> 8) // cilium/ebpf v0.22 sets it too late: which atomic operation it is would get lost
			continue
		}
		if !ins.IsLoadFromMap() || ins.Reference() == "" {
			continue
		}
		m := maps[ins.Reference()]
		if m == nil {
			return nil, fmt.Errorf("instruction %d is for the map %q, which is not there: a bug of sonde", i, ins.Reference())
		}
		// The upper half is the offset in the value, for loads of its address.
		ins.Constant = ins.Constant&^0xffffffff | int64(uint32(m.FD()))
	}
	return insns, nil
}
