package target

import (
	"io"
	"os"
	"strconv"
)

// maxArguments bounds what is read of the arguments of one process.
const maxArguments = 128 << 10

// Arguments returns the argument vector that a process has in its memory now, each argument ended by NUL; cut says that there is more of
// it. Of one that has ended, and of the kernel's own, nothing is known.
func Arguments(pid uint32) (args []byte, cut, ok bool) {
	return live.arguments(strconv.FormatUint(uint64(pid), 10))
}

// EachArguments calls f with the argument vector of each process that runs now.
func EachArguments(f func(pid uint32, args []byte, cut bool)) error {
	names, err := live.processList()
	if err != nil {
		return err
	}
	for _, name := range names {
		pid, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			continue
		}
		if args, cut, ok := live.arguments(name); ok {
			f(uint32(pid), args, cut)
		}
	}
	return nil
}

func (h host) arguments(pid string) (args []byte, cut, ok bool) {
	f, err := os.Open(h.path("/proc/" + pid + "/cmdline"))
	if err != nil {
		return nil, false, false
	}
	defer f.Close()
	args, err = io.ReadAll(io.LimitReader(f, maxArguments+1))
	if err != nil || len(args) == 0 {
		return nil, false, false
	}
	cut = len(args) > maxArguments
	return args[:min(len(args), maxArguments)], cut, true
}
