package attach

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// An iterator is a link without an event: its program runs, once for each object of the kernel, while somebody reads the
// text that it writes.
type iterator struct{ descriptor }

type iterLinkAttr struct {
	linkCreateAttr
	_ unsafe.Pointer // what to go through, where that needs to be said; nothing that scripts have
	_ [2]uint32
}

// openIter makes the link and, where the probe has a path, pins it there; whoever reads that file runs the program, also
// after this process has ended.
func openIter(p *prog.Probe, program *ebpf.Program) (iterator, error) {
	fd, err := bpf(unix.BPF_LINK_CREATE, &iterLinkAttr{linkCreateAttr: linkCreateAttr{
		progFD: uint32(program.FD()), attachType: uint32(ebpf.AttachTraceIter),
	}})
	if err != nil {
		return iterator{}, err
	}
	it := iterator{descriptor(fd)}
	if p.Path == "" {
		return it, nil
	}
	path, err := cString(p.Path)
	if err == nil {
		_, err = bpf(unix.BPF_OBJ_PIN, &objPinAttr{path: unsafe.Pointer(path), fd: uint32(fd)})
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		err = fmt.Errorf("%s is there already; remove it, or choose another path", p.Path)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOENT):
		err = fmt.Errorf("pin it as %s: %w; the path must be in a bpf file system (/sys/fs/bpf)", p.Path, err)
	}
	if err != nil {
		it.Close()
		return iterator{}, err
	}
	return it, nil
}

// IterText runs the iterator program and returns the text that it writes. The probe must be attached. The kernel goes on
// with the iterator as the text is read, and an iterator that was started can be read to its end after Detach.
func (s *Session) IterText(program string) (io.ReadCloser, error) {
	it, ok := s.iters[program]
	if !ok {
		return nil, fmt.Errorf("%s: the program %q is not an iterator that is attached", s.spec.Name, program)
	}
	fd, err := bpf(unix.BPF_ITER_CREATE, &iterCreateAttr{linkFD: uint32(it.descriptor)})
	if err != nil {
		return nil, fmt.Errorf("%s: start the iterator: %w", s.spec.Name, refusal(err))
	}
	return os.NewFile(uintptr(fd), "iterator"), nil
}
