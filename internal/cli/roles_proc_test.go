package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Processes that begin and end.
func init() {
	roles["reaped"] = roleReaped
	roles["end"] = roleEnd
}

// reaped is what wait4(2) told of a process.
type reaped struct {
	PID, Status, Signal int
	Core                bool
	CPU                 int64 // nanoseconds
	MaxRSS, MinFlt      int64
}

// roleReaped runs PATH with its arguments and writes to FILE what wait4(2) tells of it: reaped FILE PATH ARG...
func roleReaped(args []string) int {
	pid, err := spawn(args[1], args[1:])
	if err != nil {
		return fail(err)
	}
	var ws syscall.WaitStatus
	var ru syscall.Rusage
	for {
		if _, err = syscall.Wait4(pid, &ws, 0, &ru); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return fail(err)
	}
	r := reaped{PID: pid, Status: ws.ExitStatus(), Core: ws.CoreDump(), CPU: ru.Utime.Nano() + ru.Stime.Nano(), MaxRSS: ru.Maxrss << 10, MinFlt: ru.Minflt}
	if ws.Signaled() {
		r.Signal = int(ws.Signal())
	}
	b, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(args[0], b, 0o600)
	}
	if err != nil {
		return fail(err)
	}
	return 0
}

// roleEnd ends in a way that it is told: end status N, end signal N, end leader, end threads N, end nap MS,
// end burn MS.
func roleEnd(args []string) int {
	n := 0
	if len(args) > 1 {
		var err error
		if n, err = strconv.Atoi(args[1]); err != nil {
			return fail(err)
		}
	}
	switch args[0] {
	case "status":
		return n
	case "signal":
		unix.Kill(unix.Getpid(), unix.Signal(n))
		time.Sleep(time.Minute) // the signal takes another thread, perhaps later
	case "leader":
		// The thread that the process began with goes first, and means nothing by its status.
		leader := unix.Getpid()
		go func() {
			runtime.LockOSThread()
			for !ended(leader) {
				time.Sleep(time.Millisecond)
			}
			os.Exit(7)
		}()
		runtime.LockOSThread()
		unix.Syscall(unix.SYS_EXIT, 5, 0, 0)
	case "threads":
		// All end at once: each may take itself for the last.
		var there sync.WaitGroup
		there.Add(n)
		for range n {
			go func() {
				runtime.LockOSThread()
				there.Done()
				roleSleep(nil)
			}()
		}
		there.Wait()
		return 3
	case "nap":
		time.Sleep(time.Duration(n) * time.Millisecond)
		return 0
	case "burn":
		runtime.LockOSThread()
		for {
			var ts unix.Timespec
			unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
			if ts.Nano() >= int64(n)*1e6 {
				return 0
			}
		}
	}
	return fail(fmt.Errorf("no way to end: %q", args))
}

// ended says whether a thread is a zombie: the leader of this process is one once it has ended.
func ended(tid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", tid))
	if err != nil {
		return false
	}
	return strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " Z")
}
