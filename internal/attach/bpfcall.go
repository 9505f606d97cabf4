package attach

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structs below are the kernel's union bpf_attr (linux/bpf.h) as each command reads it. An older kernel takes a longer
// struct than it knows if the rest is zero.

type mapCreateAttr struct {
	mapType, keySize, valueSize, maxEntries, flags uint32
	_, numaNode                                    uint32
	name                                           [16]byte
	_                                              [5]uint32
	extra                                          uint64
}

type progLoadAttr struct {
	progType, insnCount                           uint32
	insns, license                                unsafe.Pointer
	logLevel, logSize                             uint32
	log                                           unsafe.Pointer
	kernVersion, flags                            uint32
	name                                          [16]byte
	_, expectedAttachType, btfFD, funcInfoRecSize uint32
	funcInfo                                      unsafe.Pointer
	funcInfoCount, _                              uint32 // and then line infos
	_                                             unsafe.Pointer
	_, attachBTFID, attachBTFFD, _                uint32
	_                                             [2]unsafe.Pointer
	_                                             [2]uint32
}

type btfLoadAttr struct {
	btf, _ unsafe.Pointer
	size   uint32
	_      [3]uint32
}

type testRunAttr struct {
	progFD, retval uint32
	_              [2]uint32
	_              [2]unsafe.Pointer
	_              [2]uint32
	ctxSizeIn, _   uint32
	ctxIn, _       unsafe.Pointer
	_              [4]uint32
}

type rawTracepointAttr struct {
	name   unsafe.Pointer // NULL for programs that know their tracepoint (tp_btf) or function
	progFD uint32
	_      uint32
	cookie uint64
}

// linkCreateAttr is followed by what the attach type wants; see the files of the kinds.
type linkCreateAttr struct {
	progFD, targetFD, attachType, _ uint32
}

type iterCreateAttr struct{ linkFD, _ uint32 }

type objPinAttr struct {
	path  unsafe.Pointer
	fd, _ uint32
	_     [2]uint32
}

// bpf calls bpf(2) with one of the structs above, or one that begins with it. A call that a signal broke off is made again:
// the verifier stops for one, and the runtime sends itself signals to preempt goroutines.
func bpf[T any](cmd int, attr *T) (int, error) {
	for tries := 0; ; tries++ {
		r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
		runtime.KeepAlive(attr)
		switch {
		case errno == 0:
			return int(r), nil
		case (errno == unix.EAGAIN || errno == unix.EINTR) && tries < 50:
		default:
			return -1, errno
		}
	}
}

// objectName makes a name as the kernel takes it for maps and programs: 15 bytes of letters, digits, '_' and '.'.
func objectName(name string) (out [16]byte) {
	n := 0
	for i := 0; i < len(name) && n < len(out)-1; i++ {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' {
			out[n] = c
			n++
		}
	}
	return out
}

// cString returns the text with a NUL behind it.
func cString(s string) (*byte, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, fmt.Errorf("%q: a name has no NUL in it", s)
	}
	return unix.BytePtrFromString(s)
}

// descriptor is a link or another object of the kernel that lives as long as it is held.
type descriptor int

func (d descriptor) Close() error { return unix.Close(int(d)) }

// outOfDescriptors explains EMFILE.
func outOfDescriptors(err error) error {
	if errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("%w; raise the limit with `ulimit -n`, or use fewer probes", err)
	}
	return err
}
