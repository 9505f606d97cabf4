package attach

import (
	"os"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// UprobeMultiForProcess says whether a link on many places of a file can be for one process: it is tried with another thread than
// the first. Kernels from 6.6 to 6.10 took the process for one thread.
var UprobeMultiForProcess = sync.OnceValue(func() bool { return tryUprobeMultiProcess() == nil })

func tryUprobeMultiProcess() error {
	offset, err := probedOffset()
	if err != nil {
		return err
	}
	r, prog, err := counting(ebpf.ProgramSpec{Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti})
	if err != nil {
		return err
	}
	// Taking it off waits until no CPU can be in the program: some tens of milliseconds, which nobody has to wait for.
	defer func() { go r.close() }()
	exe, err := link.OpenExecutable(selfExe)
	if err != nil {
		return atStep("open this program's file", err)
	}
	if err := r.linked(exe.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: []uint64{offset}, PID: uint32(os.Getpid())})); err != nil {
		return err
	}
	return r.ran(func() error {
		inOtherThread(func() { _ = probed() })
		return nil
	})
}

// inOtherThread calls do in a thread that is not the process's first.
func inOtherThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if unix.Gettid() == os.Getpid() {
			inOtherThread(do) // this one is kept meanwhile
			return
		}
		do()
	}()
	<-done
}
