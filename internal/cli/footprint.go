package cli

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// forget gives back the memory that holds pages of the program itself: what one phase of a run has executed, the next has
// little use for. They are in the page cache and come back, sixteen at a time, when they are wanted; until then they are
// not part of what this process keeps in memory.
func forget() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		// "00400000-00c4a000 r-xp 00000000 fe:00 1234 /path", proc_pid_maps(5)
		fields := bytes.Fields(line)
		if len(fields) < 6 || string(fields[5]) != exe || len(fields[1]) < 2 || fields[1][1] == 'w' {
			continue
		}
		from, to, _ := bytes.Cut(fields[0], []byte{'-'})
		start, err1 := strconv.ParseUint(string(from), 16, 64)
		end, err2 := strconv.ParseUint(string(to), 16, 64)
		if err1 != nil || err2 != nil || end <= start {
			continue
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
	}
}
