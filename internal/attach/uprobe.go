package attach

import (
	"errors"
	"io"
	"io/fs"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// refCounterShift is where in an event's config the offset of a reference counter begins.
const refCounterShift = 32

// openUprobes makes a perf event of each place in the file.
func openUprobes(p *prog.Probe, program *ebpf.Program) ([]io.Closer, error) {
	kind, err := kernel.PerfEventType("uprobe")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, adviceError("this kernel is built without uprobes (CONFIG_UPROBE_EVENTS)")
	}
	if err != nil {
		return nil, err
	}
	path, err := cString(p.Path)
	if err != nil {
		return nil, err
	}
	var pin runtime.Pinner
	pin.Pin(path)
	defer pin.Unpin()
	pid, cpu := allTasks, 0
	if p.PID != 0 {
		pid, cpu = p.PID, -1
	}
	var on []io.Closer
	for i, offset := range p.Addresses {
		attr := unix.PerfEventAttr{Type: kind, Ext1: uint64(uintptr(unsafe.Pointer(path))), Ext2: offset}
		if p.Kind == prog.Uretprobe {
			attr.Config = perfReturns
		}
		if i < len(p.RefCounters) {
			if p.RefCounters[i]>>32 != 0 {
				closeAll(on)
				return nil, adviceError("the reference counter at offset %#x is out of the kernel's reach", p.RefCounters[i])
			}
			attr.Config |= p.RefCounters[i] << refCounterShift
		}
		cookie := p.Cookie
		if i < len(p.Cookies) {
			cookie = p.Cookies[i]
		}
		one, err := openPerfProbe(&attr, pid, cpu, program, cookie)
		if err != nil {
			closeAll(on)
			return nil, uprobeError(p, offset, err)
		}
		on = append(on, one)
	}
	if len(on) == 0 {
		return nil, adviceError("no function matches")
	}
	return on, nil
}

func uprobeError(p *prog.Probe, offset uint64, err error) error {
	const notSupported = unix.Errno(524) // ENOTSUPP, which has no name in user space
	switch {
	case errors.Is(err, unix.ESRCH):
		return adviceError("there is no process %d", p.PID)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return adviceError("there is no file %s", p.Path)
	case errors.Is(err, unix.EINVAL), errors.Is(err, notSupported), errors.Is(err, unix.EIO):
		return adviceError("the kernel cannot put a probe at offset %#x of %s (%v): it must be an executable file, and an instruction must begin there that the kernel can step over",
			offset, p.Path, err)
	}
	return explained(err)
}
