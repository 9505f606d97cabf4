package attach

import (
	"errors"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// The programs of Trials, as the kernel takes them: struct bpf_insn (linux/bpf.h) in 64 bits of a little-endian machine. The library's
// assembler does not know all of these instructions.

func instruction(opcode uint8, dst, src asm.Register, offset int16, constant int32) uint64 {
	return uint64(opcode) | uint64(dst)<<8 | uint64(src)<<12 | uint64(uint16(offset))<<16 | uint64(uint32(constant))<<32
}

const (
	opAdd      = 0x07 // BPF_ALU64 | BPF_ADD | BPF_K
	opMov      = 0xb7 // BPF_ALU64 | BPF_MOV | BPF_K
	opMovReg   = 0xbf // BPF_ALU64 | BPF_MOV | BPF_X
	opLoadWord = 0x61 // BPF_LDX | BPF_MEM | BPF_W
	opCall     = 0x85 // BPF_JMP | BPF_CALL
	opStore    = 0x7a // BPF_ST | BPF_MEM | BPF_DW
	opAtomic   = 0xdb // BPF_STX | BPF_ATOMIC | BPF_DW
	fetchAdd   = 0x01 // BPF_ADD | BPF_FETCH, as the constant of an atomic operation
	opExit     = 0x95 // BPF_JMP | BPF_EXIT
	opMayGoto  = 0xe5 // BPF_JMP | BPF_JCOND
	callKfunc  = 2    // BPF_PSEUDO_KFUNC_CALL, as the source register of a call
)

var (
	exit         = instruction(opExit, 0, 0, 0, 0)
	returnZero   = instruction(opMov, asm.R0, 0, 0, 0)
	emptyProgram = []uint64{returnZero, exit}
	fetchProgram = []uint64{
		returnZero, instruction(opStore, asm.R10, 0, -8, 0), instruction(opAtomic, asm.R10, asm.R0, -8, fetchAdd), exit,
	}
	mayGotoProgram = []uint64{returnZero, instruction(opMayGoto, 0, 0, 1, 0), instruction(opAdd, asm.R0, 0, 0, 1), exit}
)

func callHelper(helper uint32) uint64 { return instruction(opCall, 0, 0, 0, int32(helper)) }

func callFunction(id uint32) uint64 { return instruction(opCall, 0, callKfunc, 0, int32(id)) }

// trialProgram is a program that is loaded to see whether the kernel takes it.
type trialProgram struct {
	kind   ebpf.ProgramType
	attach ebpf.AttachType
	target uint32 // BTF ID of what it attaches to
	flags  uint32 // of BPF_PROG_LOAD
	code   []uint64
}

// open loads the program; the verifier writes into log, if there is one.
func (p *trialProgram) open(log []byte) (descriptor, error) {
	license := []byte(tryLicense + "\x00")
	attr := progLoadAttr{
		progType: uint32(p.kind), expectedAttachType: uint32(p.attach), attachBTFID: p.target, flags: p.flags, name: objectName("sonde_try"), kernVersion: 1,
		insns: unsafe.Pointer(unsafe.SliceData(p.code)), insnCount: uint32(len(p.code)), license: unsafe.Pointer(unsafe.SliceData(license)),
	}
	if len(log) > 0 {
		attr.logLevel, attr.log, attr.logSize = 1, unsafe.Pointer(unsafe.SliceData(log)), uint32(len(log))
	}
	fd, err := bpf(unix.BPF_PROG_LOAD, &attr)
	runtime.KeepAlive(p.code)
	return descriptor(fd), err
}

func (p *trialProgram) load(log []byte) error {
	fd, err := p.open(log)
	if err != nil {
		return err
	}
	return fd.Close()
}

// takes says whether the kernel takes a program.
func takes(kind ebpf.ProgramType, code []uint64) bool {
	p := trialProgram{kind: kind, code: code}
	return p.load(nil) == nil
}

// takesMulti says whether the kernel makes links of that kind, by asking for one with a list at an address where nothing is: it has
// to look there to refuse it. The structs begin alike for kprobes and uprobes in what matters: two pointers and a count.
func takesMulti(attach ebpf.AttachType) bool {
	p := trialProgram{kind: ebpf.Kprobe, attach: attach, code: emptyProgram}
	program, err := p.open(nil)
	if err != nil {
		return false
	}
	defer program.Close()
	const nowhere = 1
	create := linkCreateAttr{progFD: uint32(program), attachType: uint32(attach)}
	if attach == ebpf.AttachTraceUprobeMulti {
		_, err = bpf(unix.BPF_LINK_CREATE, &struct {
			linkCreateAttr
			path, offsets, refCounters, cookies uint64
			count, flags, pid, _                uint32
		}{linkCreateAttr: create, path: nowhere, offsets: nowhere, count: 1})
	} else {
		_, err = bpf(unix.BPF_LINK_CREATE, &struct {
			linkCreateAttr
			flags, count                uint32
			symbols, addresses, cookies uint64
		}{linkCreateAttr: create, count: 1, addresses: nowhere})
	}
	return errors.Is(err, unix.EFAULT)
}

// quietFunction is there in kernels for BPF programs to be tried on; nothing else calls it.
const quietFunction = "bpf_fentry_test1"

// takesFentry attaches a program to a function, because some kernels load such programs and attach none.
func takesFentry() bool {
	// Type 1 is no function: a kernel that forbids such programs says so all the same, and its types need not be searched.
	const noFunction = 1
	p := trialProgram{kind: ebpf.Tracing, attach: ebpf.AttachTraceFEntry, target: noFunction, code: emptyProgram}
	if err := p.load(nil); errors.Is(err, unix.EPERM) {
		return false
	}
	types, err := kernel.RunningTypes()
	if err != nil {
		return false
	}
	id, ok := types.Find(kernel.BTFFunc, quietFunction)
	if !ok {
		if id, ok = types.Find(kernel.BTFFunc, kernelFunction(probedCall)); !ok {
			return false
		}
	}
	p.target = id
	program, err := p.open(nil)
	if err != nil {
		return false
	}
	defer program.Close()
	link, err := bpf(unix.BPF_RAW_TRACEPOINT_OPEN, &rawTracepointAttr{progFD: uint32(program)})
	if err != nil {
		return false
	}
	go descriptor(link).Close() // waits until no task is in the function's entry: nobody is to wait for that
	return true
}

// takesIterNum loads a program that makes an iterator over numbers, asks it for one, and ends it.
func takesIterNum() bool {
	ids, ok := kfuncs("bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy")
	if !ok {
		return false
	}
	const iterator = -8 // on the stack, where struct bpf_iter_num has eight bytes
	at := []uint64{instruction(opMovReg, asm.R1, asm.R10, 0, 0), instruction(opAdd, asm.R1, 0, 0, iterator)}
	code := append([]uint64{}, at...)
	code = append(code, instruction(opMov, asm.R2, 0, 0, 0), instruction(opMov, asm.R3, 0, 0, 1), callFunction(ids[0]))
	code = append(append(code, at...), callFunction(ids[1]))
	code = append(append(code, at...), callFunction(ids[2]))
	return takes(ebpf.Kprobe, append(code, returnZero, exit))
}

func takesRdonlyCast() bool {
	ids, ok := kfuncs("bpf_rdonly_cast")
	if !ok {
		return false
	}
	task, pid, ok := taskField("pid")
	return ok && takes(ebpf.Kprobe, []uint64{
		instruction(opMov, asm.R1, 0, 0, 0),
		instruction(opMov, asm.R2, 0, 0, int32(task)),
		callFunction(ids[0]),
		instruction(opLoadWord, asm.R0, asm.R0, pid, 0),
		returnZero,
		exit,
	})
}

// syscallTracepoint is the BTF ID of the tracepoint that all system calls pass.
func syscallTracepoint() (id uint32, ok bool) {
	types, err := kernel.RunningTypes()
	if err != nil {
		return 0, false
	}
	return types.Find(kernel.BTFTypedef, "btf_trace_sys_enter")
}

// takesTyped loads a program for a typed tracepoint.
func takesTyped(target uint32, code []uint64) bool {
	p := trialProgram{kind: ebpf.Tracing, attach: ebpf.AttachTraceRawTp, target: target, code: code}
	return len(code) > 0 && p.load(nil) == nil
}

// usualProgram does what programs for system calls mostly do: it reads the running task and a clock, and counts. It is nil
// where the kernel's types lack the task.
func usualProgram() []uint64 {
	_, pid, ok := taskField("pid")
	if !ok {
		return nil
	}
	code := []uint64{
		callHelper(uint32(asm.FnGetCurrentTaskBtf)), instruction(opLoadWord, asm.R0, asm.R0, pid, 0),
		callHelper(uint32(asm.FnKtimeGetBootNs)),
	}
	return append(code, fetchProgram...)
}

// takesTaskBTF loads a program that reads a field of the running task without a helper that copies.
func takesTaskBTF() bool {
	_, pid, ok := taskField("pid")
	return ok && takes(ebpf.Kprobe, []uint64{
		callHelper(uint32(asm.FnGetCurrentTaskBtf)),
		instruction(opLoadWord, asm.R0, asm.R0, pid, 0),
		returnZero,
		exit,
	})
}

// taskField returns the ID of struct task_struct and the offset of one of its members.
func taskField(name string) (id uint32, offset int16, ok bool) {
	types, err := kernel.RunningTypes()
	if err != nil {
		return 0, 0, false
	}
	id, ok = types.Find(kernel.BTFStruct, "task_struct")
	if !ok {
		return 0, 0, false
	}
	m, ok := types.Field(id, name)
	return id, int16(m.BitOffset / 8), ok && m.BitOffset/8 < 1<<15
}

func kfuncs(names ...string) (ids []uint32, ok bool) {
	types, err := kernel.RunningTypes()
	if err != nil {
		return nil, false
	}
	for _, name := range names {
		id, ok := types.Find(kernel.BTFFunc, name)
		if !ok {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// ModifiesReturn says whether the kernel takes programs that modify what a function returns.
func ModifiesReturn(function string) bool {
	types, err := kernel.RunningTypes()
	if err != nil {
		return false
	}
	id, ok := types.Find(kernel.BTFFunc, function)
	if !ok {
		return false
	}
	p := trialProgram{kind: ebpf.Tracing, attach: ebpf.AttachModifyReturn, target: id, code: emptyProgram}
	return p.load(nil) == nil
}
