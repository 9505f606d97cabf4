package attach

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawTracepointArgs is how many words of context a raw tracepoint program can read (MAX_BPF_FUNC_ARGS).
const rawTracepointArgs = 12

// Run runs a program of type raw tracepoint once, now, in the calling thread, and returns what it returned. Its context
// is all zeros. It is for the programs of TestRun probes, and may be called before Attach and after Detach.
func (s *Session) Run(program string) (ret uint32, err error) {
	p := s.coll.Programs[program]
	if p == nil {
		return 0, fmt.Errorf("%s: no program %q to run", s.spec.Name, program)
	}
	var ctx [rawTracepointArgs]uint64
	attr := testRunAttr{progFD: uint32(p.FD()), ctxIn: unsafe.Pointer(&ctx), ctxSizeIn: uint32(unsafe.Sizeof(ctx))}
	_, err = bpf(unix.BPF_PROG_TEST_RUN, &attr)
	const notSupported = unix.Errno(524) // ENOTSUPP, which has no name in user space
	switch {
	case errors.Is(err, notSupported), errors.Is(err, unix.EINVAL):
		return 0, fmt.Errorf("%s: this kernel cannot run the program %q by itself; use Linux 5.10 or later: %w", s.spec.Name, program, err)
	case err != nil:
		return 0, fmt.Errorf("%s: run the program %q: %w", s.spec.Name, program, refusal(err))
	}
	return attr.retval, nil
}
