package attach

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// perfReturns is the bit in an event's config by which a kprobe or uprobe is one for the return.
const perfReturns = 1

// openKprobe makes a perf event of a place in the kernel's code.
func openKprobe(p *prog.Probe, program *ebpf.Program) (perfProbe, error) {
	kind, err := kernel.PerfEventType("kprobe")
	if errors.Is(err, fs.ErrNotExist) {
		return perfProbe{}, adviceError("this kernel is built without kprobes (CONFIG_KPROBE_EVENTS); use a tracepoint, or fentry")
	}
	if err != nil {
		return perfProbe{}, err
	}
	attr := unix.PerfEventAttr{Type: kind}
	if p.Kind == prog.Kretprobe {
		attr.Config = perfReturns
	}
	if p.Name == "" {
		attr.Ext2 = p.Address + p.Offset
		probe, err := openKept(&attr, program, p.Cookie)
		return probe, kprobeError(p, err)
	}
	if p.Group == "" || p.Group == "vmlinux" {
		probe, err := openKprobeOn(attr, p.Name, p, program)
		return probe, kprobeError(p, err)
	}
	probe, err := openKprobeOn(attr, p.Group+":"+p.Name, p, program)
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return probe, kprobeError(p, err)
	}
	// Kernels from 6.6 on look for the whole text among the functions of all modules. What they take is an address.
	address, err := moduleSymbol(p.Group, p.Name)
	if err != nil {
		return perfProbe{}, err
	}
	attr.Ext2 = address + p.Offset
	probe, err = openKept(&attr, program, p.Cookie)
	return probe, kprobeError(p, err)
}

func openKprobeOn(attr unix.PerfEventAttr, symbol string, p *prog.Probe, program *ebpf.Program) (perfProbe, error) {
	name, err := cString(symbol)
	if err != nil {
		return perfProbe{}, err
	}
	var pin runtime.Pinner
	pin.Pin(name)
	defer pin.Unpin()
	attr.Ext1, attr.Ext2 = uint64(uintptr(unsafe.Pointer(name))), p.Offset
	return openKept(&attr, program, p.Cookie)
}

func kprobeError(p *prog.Probe, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return adviceError("this kernel has no such function")
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return adviceError("this kernel has several functions of that name; give the address of one (see /proc/kallsyms)")
	case errors.Is(err, unix.EILSEQ):
		return adviceError("no instruction begins at that offset")
	case errors.Is(err, unix.EINVAL):
		if p.Offset != 0 && p.Kind == prog.Kretprobe {
			return adviceError("a kretprobe is on a whole function, without an offset")
		}
		return adviceError("the kernel does not let this code be probed; choose a function that calls it or that it calls")
	}
	return err
}

// moduleSymbol finds the address of a function of a module.
func moduleSymbol(module, name string) (uint64, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), name) {
			continue
		}
		// "ffffffffc0123450 t xfs_trans_alloc	[xfs]"
		field := strings.Fields(lines.Text())
		if len(field) != 4 || field[2] != name || field[3] != "["+module+"]" {
			continue
		}
		address, err := strconv.ParseUint(field[0], 16, 64)
		if err == nil && address == 0 {
			return 0, adviceError("the kernel hides its addresses; run as root, with the sysctl kernel.kptr_restrict=0 or 1")
		}
		return address, err
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("/proc/kallsyms: %w", err)
	}
	return 0, adviceError("the module %s has no function %s, or is not loaded", module, name)
}
