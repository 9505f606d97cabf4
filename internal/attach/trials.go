package attach

import (
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// Trials returns what only trying tells of the running kernel, for kernel.Live. Nothing is tried before it is asked for, and
// nothing twice in a process. Where Try makes a probe run, these are content with what the kernel accepts, since a program
// that is compiled waits for the answer; a try takes some ten microseconds, and of a program that is attached a
// millisecond.
func Trials() kernel.Trials { return &running }

var running = kernelTrials{features: make(map[kernel.Feature]bool), helpers: make(map[helperQuestion]bool)}

type kernelTrials struct {
	mu       sync.Mutex
	features map[kernel.Feature]bool
	helpers  map[helperQuestion]bool
}

type helperQuestion struct{ progType, helper uint32 }

func (t *kernelTrials) Has(f kernel.Feature) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	has, known := t.features[f]
	if !known {
		has = t.try(f)
		t.features[f] = has
	}
	return has
}

func (t *kernelTrials) Helper(progType, helper uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.helper(progType, helper)
}

// helper is Helper with the lock held.
func (t *kernelTrials) helper(progType, helper uint32) bool {
	question := helperQuestion{progType, helper}
	may, known := t.helpers[question]
	if !known {
		may = tryHelper(ebpf.ProgramType(progType), helper)
		t.helpers[question] = may
	}
	return may
}

// featureHelpers are features that a program of type kprobe has if it may call a helper.
var featureHelpers = map[kernel.Feature]asm.BuiltinFunc{
	kernel.AttachCookie:   asm.FnGetAttachCookie,
	kernel.GetFuncIP:      asm.FnGetFuncIp,
	kernel.BpfLoop:        asm.FnLoop,
	kernel.ForEachMapElem: asm.FnForEachMapElem,
	kernel.KtimeTAI:       asm.FnKtimeGetTaiNs,
	kernel.BootNS:         asm.FnKtimeGetBootNs,
	kernel.GetNsPidTgid:   asm.FnGetNsCurrentPidTgid,
	kernel.ReadKernel:     asm.FnProbeReadKernel,
}

func (t *kernelTrials) try(f kernel.Feature) bool {
	_ = RaiseMemlock() // where that fails, so does what follows
	if helper, ok := featureHelpers[f]; ok {
		return t.helper(uint32(ebpf.Kprobe), uint32(helper))
	}
	switch f {
	case kernel.Tracepoint:
		return kernel.CheckTracefs() == nil && takes(ebpf.TracePoint, emptyProgram)
	case kernel.RawTracepoint:
		return takes(ebpf.RawTracepoint, emptyProgram)
	case kernel.Kprobe:
		return hasPerfEvents("kprobe") && takes(ebpf.Kprobe, emptyProgram)
	case kernel.Uprobe:
		return hasPerfEvents("uprobe") && takes(ebpf.Kprobe, emptyProgram)
	case kernel.KprobeMulti:
		return takesMulti(ebpf.AttachTraceKprobeMulti)
	case kernel.KprobeSession:
		return takesMulti(ebpf.AttachTraceKprobeSession)
	case kernel.UprobeMulti:
		return takesMulti(ebpf.AttachTraceUprobeMulti)
	case kernel.Fentry:
		return takesFentry()
	case kernel.IterNum:
		return takesIterNum()
	case kernel.RdonlyCast:
		return takesRdonlyCast()
	case kernel.TaskBTF:
		return takesTaskBTF()
	case kernel.TypedTracepoint:
		return t.tryTyped()
	case kernel.FetchAtomics:
		return takes(ebpf.RawTracepoint, fetchProgram)
	case kernel.MayGoto:
		return takes(ebpf.Kprobe, mayGotoProgram)
	case kernel.LargeKeys:
		return takesLargeKeys()
	case kernel.PreemptsRawTracepoints:
		return PreemptsRawTracepoints()
	}
	return Try(f).State == kernel.Present
}

// tryTyped tries typed tracepoints, and with them what else their programs are asked about: if the kernel takes all of it at
// once, that was one program instead of five.
func (t *kernelTrials) tryTyped() bool {
	target, ok := syscallTracepoint()
	if !ok {
		return false
	}
	if !takesTyped(target, usualProgram()) {
		return takesTyped(target, emptyProgram)
	}
	for _, f := range []kernel.Feature{kernel.TaskBTF, kernel.FetchAtomics, kernel.BootNS} {
		t.features[f] = true
	}
	t.helpers[helperQuestion{uint32(ebpf.Tracing), uint32(asm.FnGetCurrentTaskBtf)}] = true
	return true
}

// takesLargeKeys makes a map with keys that would not fit on a program's stack.
func takesLargeKeys() bool {
	const noPrealloc = 1
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 1024, ValueSize: 8, MaxEntries: 1, Flags: noPrealloc})
	if err != nil {
		return false
	}
	m.Close()
	return true
}

func hasPerfEvents(kind string) bool {
	_, err := kernel.PerfEventType(kind)
	return err == nil
}

// tryHelper loads a program that calls the helper with whatever is in the registers. The verifier looks first whether the program may
// call it at all, and says so in its own words; any other complaint is about the arguments.
func tryHelper(kind ebpf.ProgramType, helper uint32) bool {
	_ = RaiseMemlock()
	program := trialProgram{kind: kind, code: []uint64{callHelper(helper), returnZero, exit}}
	if kind != ebpf.Tracing {
		return mayCall(program)
	}
	// What tracing programs may call depends on what they attach to.
	types, err := kernel.RunningTypes()
	if err != nil {
		return false
	}
	for _, to := range []struct {
		attach ebpf.AttachType
		kind   kernel.BTFKind
		name   string
	}{
		{ebpf.AttachTraceRawTp, kernel.BTFTypedef, "btf_trace_task_rename"},
		{ebpf.AttachTraceIter, kernel.BTFFunc, "bpf_iter_task"},
		{ebpf.AttachTraceFEntry, kernel.BTFFunc, quietFunction},
	} {
		id, ok := types.Find(to.kind, to.name)
		if !ok {
			continue
		}
		program.attach, program.target = to.attach, id
		if mayCall(program) {
			return true
		}
	}
	return false
}

// refusedCalls are what verifiers have said of a helper that the program may not call, from 5.10 to 7.2.
var refusedCalls = []string{"unknown func", "invalid func", "cannot use helper", "is not allowed", "cannot call GPL", "might sleep", "sleepable"}

func mayCall(program trialProgram) bool {
	log := make([]byte, 16<<10)
	if program.load(log) == nil {
		return true
	}
	text := unix.ByteSliceToString(log)
	if text == "" {
		return false // the verifier was not asked
	}
	for _, refusal := range refusedCalls {
		if strings.Contains(text, refusal) {
			return false
		}
	}
	return true
}
