package attach

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// multiReturns is the flag of a multi link by which its programs run at the return.
const multiReturns = 1

type kprobeMultiAttr struct {
	linkCreateAttr
	flags, count        uint32
	symbols, _, cookies unsafe.Pointer
}

// openKprobeMulti puts a program on many functions by one link, which is also taken down at once. Where some of the
// functions cannot be probed, and the probe does not mind, the others are probed by several links.
func openKprobeMulti(p *prog.Probe, program *ebpf.Program) ([]io.Closer, error) {
	if len(p.Names) == 0 {
		return nil, adviceError("no function matches")
	}
	if p.Cookies != nil && len(p.Cookies) != len(p.Names) {
		return nil, fmt.Errorf("%d cookies for %d functions: a bug of sonde", len(p.Cookies), len(p.Names))
	}
	f := functionLinker{probe: p, program: program}
	if err := f.link(p.Names, p.Cookies); err != nil {
		closeAll(f.links)
		return nil, explained(err)
	}
	switch n := len(f.refused); {
	case n == 1 && len(p.Names) == 1:
		return nil, f.why
	case n == len(p.Names):
		return nil, &partialError{n, adviceError("none of the %d functions can be probed; the first is %w", n, f.why)}
	case n > 0:
		return f.links, &partialError{n, adviceError("%d of %d functions cannot be probed; the first is %w", n, len(p.Names), f.why)}
	}
	return f.links, nil
}

// functionLinker halves the functions that the kernel refuses until what it refuses is one.
type functionLinker struct {
	probe   *prog.Probe
	program *ebpf.Program
	links   []io.Closer
	refused []string
	why     error // of the first
}

func (f *functionLinker) link(names []string, cookies []uint64) error {
	link, err := linkKprobes(f.probe.Kind, f.program, names, cookies)
	if err == nil {
		f.links = append(f.links, link)
		return nil
	}
	unknown := errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EADDRNOTAVAIL)
	if !unknown && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if len(names) == 1 {
		why := adviceError("%s: the kernel does not let it be probed, or knows no links to many functions (CONFIG_FPROBE)", names[0])
		if unknown {
			why = adviceError("%s: this kernel has no function of that name that can be probed", names[0])
		}
		if f.why == nil {
			f.why = why
		}
		f.refused = append(f.refused, names[0])
		if f.probe.Missing == prog.MissingError && f.probe.Alternative == 0 {
			return why
		}
		return nil
	}
	half := len(names) / 2
	var first, last []uint64
	if cookies != nil {
		first, last = cookies[:half], cookies[half:]
	}
	if err := f.link(names[:half], first); err != nil {
		return err
	}
	return f.link(names[half:], last)
}

func linkKprobes(kind prog.ProbeKind, program *ebpf.Program, names []string, cookies []uint64) (descriptor, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	symbols := make([]unsafe.Pointer, len(names))
	for i, name := range names {
		text, err := cString(name)
		if err != nil {
			return -1, err
		}
		symbols[i] = unsafe.Pointer(text)
	}
	attr := kprobeMultiAttr{
		linkCreateAttr: linkCreateAttr{progFD: uint32(program.FD()), attachType: uint32(ebpf.AttachTraceKprobeMulti)},
		count:          uint32(len(names)),
		symbols:        unsafe.Pointer(unsafe.SliceData(symbols)),
		cookies:        unsafe.Pointer(unsafe.SliceData(cookies)),
	}
	switch kind {
	case prog.KretprobeMulti:
		attr.flags = multiReturns
	case prog.KprobeSession:
		attr.attachType = uint32(ebpf.AttachTraceKprobeSession)
	}
	fd, err := bpf(unix.BPF_LINK_CREATE, &attr)
	runtime.KeepAlive(symbols)
	runtime.KeepAlive(cookies)
	return descriptor(fd), err
}
