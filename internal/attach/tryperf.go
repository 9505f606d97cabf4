package attach

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// openPerf makes an event as the package's own openPerf does, and keeps it for the rig.
func (r *rig) openPerf(attr *unix.PerfEventAttr, pid, cpu int, prog *ebpf.Program) error {
	event, err := openPerf(attr, pid, cpu, prog)
	if err != nil {
		return err
	}
	r.keep(event)
	return nil
}

func (r *rig) perfTracepoint(id uint64, prog *ebpf.Program) error {
	event, err := openTracepoint(id, prog)
	if err != nil {
		return err
	}
	r.keep(event)
	return nil
}

// perfKprobe attaches to the entry of a kernel function.
func (r *rig) perfKprobe(symbol string, prog *ebpf.Program) error {
	kind, err := kernel.PerfEventType("kprobe")
	if err != nil {
		return atStep("look for kprobe events", err)
	}
	name, err := unix.BytePtrFromString(symbol)
	if err != nil {
		return err
	}
	var pin runtime.Pinner
	pin.Pin(name)
	defer pin.Unpin()
	return r.openPerf(&unix.PerfEventAttr{Type: kind, Ext1: uint64(uintptr(unsafe.Pointer(name)))}, -1, 0, prog)
}

// perfUprobe attaches to an offset in this process's executable, for this process only.
func (r *rig) perfUprobe(offset uint64, prog *ebpf.Program) error {
	kind, err := kernel.PerfEventType("uprobe")
	if err != nil {
		return atStep("look for uprobe events", err)
	}
	path, err := unix.BytePtrFromString(selfExe)
	if err != nil {
		return err
	}
	var pin runtime.Pinner
	pin.Pin(path)
	defer pin.Unpin()
	return r.openPerf(&unix.PerfEventAttr{Type: kind, Ext1: uint64(uintptr(unsafe.Pointer(path))), Ext2: offset}, os.Getpid(), -1, prog)
}

const selfExe = "/proc/self/exe"

// probed is the function of this process that the uprobe tries are put on.
//
//go:noinline
func probed() error {
	probedCalls.Add(1)
	return nil
}

var probedCalls atomic.Int32 // gives probed a body of more than a return

// probedOffset returns where in the executable file the code of probed begins. It is read off the memory map, which is
// right for fixed and for position-independent executables alike.
func probedOffset() (uint64, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, atStep("look for this program's code", err)
	}
	offset, ok := fileOffset(string(maps), uint64(reflect.ValueOf(probed).Pointer()))
	if !ok {
		return 0, atStep("look for this program's code", errors.New("it is not in a mapped file"))
	}
	return offset, nil
}

// fileOffset turns an address into an offset of the file mapped there, by a /proc/PID/maps text.
func fileOffset(maps string, addr uint64) (uint64, bool) {
	for line := range strings.SplitSeq(maps, "\n") {
		var from, to, offset, inode uint64
		var perms, dev string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x %s %d", &from, &to, &perms, &offset, &dev, &inode); n != 6 {
			continue
		}
		if from <= addr && addr < to {
			return addr - from + offset, inode != 0
		}
	}
	return 0, false
}
