package attach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// A rig is what one try has made: a counter, programs that add to it, and what they are attached by. close undoes it all.
type rig struct {
	hits    *ebpf.Map
	closers []io.Closer
}

// The licence of the programs below, as the kernel wants it for LSM programs and bpf_override_return.
const tryLicense = "Dual BSD/GPL"

func newRig() (*rig, error) {
	// Two words: the counter, and a switch that nobody ever turns on (see overrideNobody).
	hits, err := ebpf.NewMap(&ebpf.MapSpec{Name: "sonde_try", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})
	if err != nil {
		return nil, atStep("make a map", err)
	}
	return &rig{hits: hits, closers: []io.Closer{hits}}, nil
}

// close undoes the rig, the last made first.
func (r *rig) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i].Close()
	}
}

func (r *rig) keep(c io.Closer) { r.closers = append(r.closers, c) }

// load loads a program of the given kind; spec comes without name and licence.
func (r *rig) load(spec ebpf.ProgramSpec) (*ebpf.Program, error) {
	spec.Name, spec.License = "sonde_try", tryLicense
	spec.KernelVersion = 1 // else the library looks it up; no kernel since 5.0 reads it
	prog, err := ebpf.NewProgramWithOptions(&spec, ebpf.ProgramOptions{LogDisabled: true})
	if err != nil {
		return nil, atStep("load the program", err)
	}
	r.keep(prog)
	return prog, nil
}

// ran does what should make the attached program run, and says whether it did.
func (r *rig) ran(act func() error) error {
	// The first time proves it; the others are for probes that take effect a moment after the attach returned.
	for range 3 {
		if err := act(); err != nil {
			return atStep("trigger the probe", err)
		}
		var value [2]uint64
		if err := r.hits.Lookup(uint32(0), &value); err != nil {
			return atStep("read the counter", err)
		}
		if value[0] > 0 {
			return nil
		}
	}
	return errNeverRan
}

// errNeverRan is the outcome of an attach that succeeded and had no effect.
var errNeverRan = errors.New("the program attached without an error but never ran")

// stageError says at which step of a try something failed.
type stageError struct {
	step string
	err  error
}

// atStep returns err with the step in front, and nil for nil.
func atStep(step string, err error) error {
	if err == nil {
		return nil
	}
	return &stageError{step, err}
}

func (e *stageError) Error() string { return fmt.Sprintf("%s: %v", e.step, e.err) }
func (e *stageError) Unwrap() error { return e.err }

// needsError adds to a refusal a capability that the step needed and the rest of the try does not.
type needsError struct {
	capability kernel.Capability
	err        error
}

// needing returns err with the capability, and nil for nil.
func needing(c kernel.Capability, err error) error {
	if err == nil {
		return nil
	}
	return &needsError{c, err}
}

func (e *needsError) Error() string { return e.err.Error() }
func (e *needsError) Unwrap() error { return e.err }

// countSelf returns a program that adds one to hits when the running process is this one, and returns 0 in any case: for a
// tracing program that means nothing, for fmod_ret and LSM it means "go on".
func (r *rig) countSelf() asm.Instructions { return r.countSelfThen(nil) }

// countSelfThen puts more behind the counting, for this process only.
func (r *rig) countSelfThen(more asm.Instructions) asm.Instructions {
	insns := append(asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1), // the context, for more
	}, ifSelf("out")...)
	insns = append(insns,
		asm.LoadMapValue(asm.R1, r.hits.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
	)
	insns = append(insns, more...)
	return append(insns,
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
}

// ifSelf jumps to the label unless this process runs. The process is told by its number in its own pid namespace
// (bpf_get_ns_current_pid_tgid, kernel 5.7), because in a container that is the only number it knows.
func ifSelf(otherwise string) asm.Instructions {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		return asm.Instructions{
			asm.FnGetCurrentPidTgid.Call(),
			asm.RSh.Imm(asm.R0, 32),
			asm.JNE.Imm(asm.R0, int32(os.Getpid()), otherwise),
		}
	}
	// The helper wants the device as the kernel keeps it, 12 bits of major and 20 of minor, not as stat returns it.
	dev := int64(unix.Major(ns.Dev))<<20 | int64(unix.Minor(ns.Dev))
	return asm.Instructions{
		asm.LoadImm(asm.R1, dev, asm.DWord),
		asm.LoadImm(asm.R2, int64(ns.Ino), asm.DWord),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -8), // struct bpf_pidns_info { u32 pid, tgid; }
		asm.Mov.Imm(asm.R4, 8),
		asm.FnGetNsCurrentPidTgid.Call(),
		asm.JNE.Imm(asm.R0, 0, otherwise),
		asm.LoadMem(asm.R1, asm.RFP, -4, asm.Word),
		asm.JNE.Imm(asm.R1, int32(os.Getpid()), otherwise),
	}
}

// overrideNobody returns what makes a kprobe program one that overrides return values, without doing so: the call stands
// behind a switch in the map that is always 0 and that the verifier cannot foresee.
func (r *rig) overrideNobody() asm.Instructions {
	return asm.Instructions{
		asm.LoadMapValue(asm.R1, r.hits.FD(), 8),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "out"),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnOverrideReturn.Call(),
	}
}

// The acts by which a try makes its own probe run. None has an effect on anything but this process.

// askGroup calls getpgid(2), the function that the kernel-function probes are put on.
func askGroup() error {
	_, err := unix.Getpgid(0)
	return err
}

// openDecoy opens a file that has no name and that nobody else has: a memfd, opened anew through /proc.
func openDecoy() error {
	fd, err := unix.MemfdCreate("sonde-decoy", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(again)
}

// renameSelf gives a thread the name it has: that runs the tracepoint task:task_rename and changes nothing.
func renameSelf() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const comm = "/proc/thread-self/comm"
	name, err := os.ReadFile(comm)
	if err != nil {
		return err
	}
	return os.WriteFile(comm, bytes.TrimSuffix(name, []byte("\n")), 0)
}
