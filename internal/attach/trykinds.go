package attach

import (
	"errors"
	"io/fs"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// probedCall is the system call that the kernel-function probes are put on: nothing that is often called.
const probedCall = "getpgid"

func tryBTF() error {
	err := kernel.CheckBTF()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return atStep("read "+kernel.VmlinuxBTF, err)
	}
	return err
}

func tryTracefs() error {
	return tracefsFailed("read tracefs", kernel.CheckTracefs())
}

// tracefsFailed says for which capability a refusal by tracefs asks: one to mount it, or one to read it.
func tracefsFailed(step string, err error) error {
	if errors.Is(err, kernel.ErrTracefsUnmounted) {
		return needing(kernel.CapSysAdmin, atStep("mount tracefs privately", err))
	}
	return needing(kernel.CapDACReadSearch, atStep(step, err))
}

// counting makes a rig and loads into it a program that counts this process.
func counting(spec ebpf.ProgramSpec) (*rig, *ebpf.Program, error) {
	r, err := newRig()
	if err != nil {
		return nil, nil, err
	}
	if spec.Instructions == nil {
		spec.Instructions = r.countSelf()
	}
	prog, err := r.load(spec)
	if err != nil {
		r.close()
		return nil, nil, err
	}
	return r, prog, nil
}

func tryTracepoint() error {
	id, err := kernel.TracepointID("task", "task_rename")
	if err != nil {
		return tracefsFailed("find the tracepoint in tracefs", err)
	}
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.TracePoint})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.perfTracepoint(id, prog); err != nil {
		return err
	}
	return r.ran(renameSelf)
}

func tryRawTracepoint() error {
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.RawTracepoint})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.linked(link.AttachRawTracepoint(link.RawTracepointOptions{Name: "task_rename", Program: prog})); err != nil {
		return err
	}
	return r.ran(renameSelf)
}

// linked keeps a link that was just made.
func (r *rig) linked(l link.Link, err error) error {
	if err != nil {
		return atStep("attach the program", err)
	}
	r.keep(l)
	return nil
}

func tryKprobe() error {
	// First, because this needs no privilege: where it is missing, that can be said to anybody.
	if _, err := kernel.PerfEventType("kprobe"); err != nil {
		return atStep("look for kprobe events", err)
	}
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.Kprobe})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.perfKprobe(kernelFunction(probedCall), prog); err != nil {
		return err
	}
	return r.ran(askGroup)
}

func tryKprobeMulti() error {
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceKprobeMulti})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.linked(link.KprobeMulti(prog, link.KprobeMultiOptions{Symbols: []string{kernelFunction(probedCall)}})); err != nil {
		return err
	}
	return r.ran(askGroup)
}

func tryFentry() error {
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFEntry, AttachTo: kernelFunction(probedCall)})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.linked(link.AttachTracing(link.TracingOptions{Program: prog, AttachType: ebpf.AttachTraceFEntry})); err != nil {
		return err
	}
	return r.ran(askGroup)
}

func tryFmodRet() error { return modifyReturn("security_file_open", openDecoy) }

// tryFmodRetSyscall: 7.2 takes such programs on the entry functions of system calls whether or not errors may be injected there.
func tryFmodRetSyscall() error { return modifyReturn(kernelFunction(probedCall), askGroup) }

func modifyReturn(function string, act func() error) error {
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachModifyReturn, AttachTo: function})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.linked(link.AttachTracing(link.TracingOptions{Program: prog, AttachType: ebpf.AttachModifyReturn})); err != nil {
		return err
	}
	return r.ran(act)
}

func tryLSM() error {
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "file_open"})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.linked(link.AttachLSM(link.LSMOptions{Program: prog})); err != nil {
		return err
	}
	err = r.ran(openDecoy)
	if errors.Is(err, errNeverRan) {
		return verdict{
			State:  kernel.Absent,
			Reason: "BPF LSM is built in but not in the list of active modules (lsm=): the program attached without an error and never ran",
			Remedy: "boot with " + lsmParameter() + " on the kernel's command line",
		}
	}
	return err
}

func tryUprobe() error {
	if _, err := kernel.PerfEventType("uprobe"); err != nil {
		return atStep("look for uprobe events", err)
	}
	offset, err := probedOffset()
	if err != nil {
		return err
	}
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.Kprobe})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.perfUprobe(offset, prog); err != nil {
		return err
	}
	return r.ran(probed)
}

func tryUprobeMulti() error {
	offset, err := probedOffset()
	if err != nil {
		return err
	}
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti})
	if err != nil {
		return err
	}
	defer r.close()
	exe, err := link.OpenExecutable(selfExe)
	if err != nil {
		return atStep("open this program's file", err)
	}
	// Not limited to this process by the link: kernels from 6.6 to 6.10 took that to mean one thread. The program looks itself.
	if err := r.linked(exe.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: []uint64{offset}})); err != nil {
		return err
	}
	return r.ran(probed)
}

func tryRingBuffer() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "sonde_try", Type: ebpf.RingBuf, MaxEntries: uint32(os.Getpagesize())})
	if err != nil {
		return atStep("make a ring buffer", err)
	}
	return m.Close()
}

// tryFetchAtomics loads a program with such an instruction; that it is accepted says all.
func tryFetchAtomics() error {
	r, err := newRig()
	if err != nil {
		return err
	}
	defer r.close()
	fetch := asm.FetchAdd.Mem(asm.RFP, asm.R1, asm.DWord, -8)
	fetch.Constant = 1 // BPF_FETCH: cilium/ebpf v0.22 leaves it out of instructions made by hand, which is a plain add then
	_, err = r.load(ebpf.ProgramSpec{Type: ebpf.RawTracepoint, Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
		fetch,
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}})
	return err
}

// tryReadKernel loads a program that would read kernel memory. Lockdown takes the helper away when a program is loaded, so
// the load tells; nothing is attached.
func tryReadKernel() error {
	r, err := newRig()
	if err != nil {
		return err
	}
	defer r.close()
	_, err = r.load(ebpf.ProgramSpec{Type: ebpf.RawTracepoint, Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.Mov.Reg(asm.R1, asm.RFP),
		asm.Add.Imm(asm.R1, -8),
		asm.Mov.Imm(asm.R2, 8),
		asm.FnProbeReadKernel.Call(),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}})
	if err != nil && kernel.Lockdown() == kernel.LockdownConfidentiality {
		return verdict{
			State:  kernel.Absent,
			Reason: "lockdown=confidentiality forbids BPF programs to read kernel memory",
			Remedy: lessLockdown,
		}
	}
	return err
}

func tryOverrideReturn() error {
	r, err := newRig()
	if err != nil {
		return err
	}
	defer r.close()
	prog, err := r.load(ebpf.ProgramSpec{Type: ebpf.Kprobe, Instructions: r.countSelfThen(r.overrideNobody())})
	if err != nil {
		return err
	}
	if err := r.perfKprobe(kernelFunction(probedCall), prog); err != nil {
		return err
	}
	return r.ran(askGroup)
}

// tryStats switches the counting of run times on, runs a program once and looks whether that was counted. The program is a
// filter on a socket of our own, so that it runs for nobody else.
func tryStats() error {
	on, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return atStep("switch BPF statistics on", err)
	}
	defer on.Close()
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, 0), // keeps no byte of the message
		asm.Return(),
	}})
	if err != nil {
		return err
	}
	defer r.close()
	if err := filterOneMessage(prog); err != nil {
		return atStep("trigger the program", err)
	}
	stats, err := prog.Stats()
	if err != nil {
		return atStep("read the program's statistics", err)
	}
	if stats.RunCount == 0 {
		return errors.New("they were switched on and counted nothing")
	}
	return nil
}

// filterOneMessage sends one message over a pair of sockets that prog filters.
func filterOneMessage(prog *ebpf.Program) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := unix.SetsockoptInt(pair[1], unix.SOL_SOCKET, unix.SO_ATTACH_BPF, prog.FD()); err != nil {
		return err
	}
	_, err = unix.Write(pair[0], []byte{0})
	if errors.Is(err, unix.EPERM) { // what a sender is told when the filter drops a message
		return nil
	}
	return err
}
