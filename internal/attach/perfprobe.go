package attach

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// allTasks is the pid of a perf event that is for everybody.
const allTasks = -1

// inheritThread makes an event go on in new threads, not in new processes (PERF_ATTR inherit_thread, Linux 5.13).
const inheritThread = 1 << 35

// perfProbe is a perf event with a program on it. Where the program has a cookie there is a link between the two.
type perfProbe struct {
	event perfEvent
	link  descriptor // -1 for none
}

func (p perfProbe) Close() error {
	if p.link < 0 {
		return p.event.Close()
	}
	return errors.Join(p.link.Close(), p.event.Close())
}

type perfLinkAttr struct {
	linkCreateAttr
	cookie uint64
}

// openKept is openPerfProbe for everybody with a link, which can be pinned, also where there is no cookie; without one before Linux 5.15.
func openKept(attr *unix.PerfEventAttr, program *ebpf.Program, cookie uint64) (perfProbe, error) {
	return openLinked(attr, allTasks, 0, program, cookie, true)
}

// openPerfProbe is openPerf with a cookie, which needs Linux 5.15; 0 is none.
func openPerfProbe(attr *unix.PerfEventAttr, pid, cpu int, program *ebpf.Program, cookie uint64) (perfProbe, error) {
	return openLinked(attr, pid, cpu, program, cookie, cookie != 0)
}

// openLinked makes the event and puts the program on it, by a link if that is wanted. Where the kernel makes none and there is no
// cookie, it goes on without: to make the event again would double what thousands of probes take.
func openLinked(attr *unix.PerfEventAttr, pid, cpu int, program *ebpf.Program, cookie uint64, linked bool) (perfProbe, error) {
	none := perfProbe{-1, -1}
	attr.Size = uint32(unsafe.Sizeof(*attr))
	fd, err := unix.PerfEventOpen(attr, pid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return none, atStep("make the perf event", err)
	}
	p := perfProbe{perfEvent(fd), -1}
	if linked {
		link, err := bpf(unix.BPF_LINK_CREATE, &perfLinkAttr{
			linkCreateAttr: linkCreateAttr{progFD: uint32(program.FD()), targetFD: uint32(fd), attachType: uint32(ebpf.AttachPerfEvent)},
			cookie:         cookie,
		})
		switch {
		case err == nil:
			p.link = descriptor(link)
		case !errors.Is(err, unix.EINVAL):
			unix.Close(fd)
			return none, atStep("attach the program", err)
		case cookie != 0:
			unix.Close(fd)
			return none, adviceError("this kernel keeps no cookies for programs on perf events; use Linux 5.15 or later")
		}
	}
	if p.link < 0 {
		if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, program.FD()); err != nil {
			unix.Close(fd)
			return none, atStep("attach the program", err)
		}
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		if p.link >= 0 {
			unix.Close(int(p.link))
		}
		unix.Close(fd)
		return none, atStep("enable the perf event", err)
	}
	return p, nil
}

// openOnCPUs makes the event on each of the CPUs that are on.
func openOnCPUs(attr unix.PerfEventAttr, program *ebpf.Program, cookie uint64) ([]io.Closer, error) {
	cpus, err := onlineCPUs()
	if err != nil {
		return nil, err
	}
	var on []io.Closer
	for _, cpu := range cpus {
		event := attr
		p, err := openPerfProbe(&event, allTasks, cpu, program, cookie)
		if errors.Is(err, unix.ENODEV) { // it went off meanwhile
			continue
		}
		if err != nil {
			closeAll(on)
			return nil, err
		}
		on = append(on, p)
	}
	if len(on) == 0 {
		return nil, unix.ENODEV
	}
	return on, nil
}

// openOnProcess makes the event for every thread of the process, and for those that they will start.
func openOnProcess(attr unix.PerfEventAttr, pid int, program *ebpf.Program, cookie uint64) ([]io.Closer, error) {
	attr.Bits |= unix.PerfBitInherit | inheritThread
	on := make(map[int]io.Closer)
	fail := func(err error) ([]io.Closer, error) {
		closeAll(closersOf(on))
		return nil, err
	}
	// Twice, for threads that were started by one that had no event yet.
	for range 2 {
		threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		if errors.Is(err, fs.ErrNotExist) {
			return fail(adviceError("there is no process %d", pid))
		}
		if err != nil {
			return fail(err)
		}
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || on[tid] != nil {
				continue
			}
			event := attr
			p, err := openPerfProbe(&event, tid, -1, program, cookie)
			if errors.Is(err, unix.EINVAL) && attr.Bits&inheritThread != 0 {
				// Before 5.13 there is only inherit: events go on in processes that this one starts, too.
				attr.Bits &^= inheritThread
				event = attr
				p, err = openPerfProbe(&event, tid, -1, program, cookie)
			}
			if errors.Is(err, unix.ESRCH) { // it has ended
				continue
			}
			if err != nil {
				return fail(err)
			}
			on[tid] = p
		}
	}
	if len(on) == 0 {
		return nil, adviceError("there is no process %d", pid)
	}
	return closersOf(on), nil
}

func closersOf(m map[int]io.Closer) []io.Closer {
	list := make([]io.Closer, 0, len(m))
	for _, c := range m {
		list = append(list, c)
	}
	return list
}

func onlineCPUs() ([]int, error) {
	const path = "/sys/devices/system/cpu/online"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cpus, ok := parseCPUList(strings.TrimSpace(string(text)))
	if !ok {
		return nil, errors.New(path + ": not a list of CPUs: " + strconv.Quote(string(text)))
	}
	return cpus, nil
}

// parseCPUList reads "0-3,5".
func parseCPUList(text string) (cpus []int, ok bool) {
	const most = 1 << 16
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first || last >= most {
			return nil, false
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, true
}
