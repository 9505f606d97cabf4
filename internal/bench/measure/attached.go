package measure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Attachments counts the places to which a process has BPF programs attached now: perf events with a program, and links
// of every other kind. It is 0 for a tool that is still compiling.
func Attachments(pid int) (int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return 0, fmt.Errorf("%s: want numbers, got %q", dir, entry.Name())
		}
		attached, err := attaches(pid, fd)
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return 0, err
		}
		if attached {
			sum++
		}
	}
	return sum, nil
}

// attaches says whether a descriptor holds a program at its place. A perf event with a link has two descriptors: the
// event is the one that counts, since not every tool makes links.
func attaches(pid, fd int) (bool, error) {
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	if err != nil {
		return false, err
	}
	switch {
	case file == "anon_inode:[perf_event]":
		return hasProgram(pid, fd), nil
	case strings.HasPrefix(file, "anon_inode:bpf_link"), file == "anon_inode:bpf-raw-tracepoint":
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd))
		return err == nil && linkKind(info) != "perf", err
	}
	return false, nil
}

// linkKind returns the kind of link that a /proc/PID/fdinfo/FD speaks of, or nothing.
func linkKind(info []byte) string {
	for line := range bytes.Lines(info) {
		if kind, ok := bytes.CutPrefix(line, []byte("link_type:")); ok {
			return string(bytes.TrimSpace(kind))
		}
	}
	return ""
}

// hasProgram asks the kernel for the program behind a perf event of a process.
func hasProgram(pid, fd int) bool {
	query := struct { // of union bpf_attr: task_fd_query
		pid, fd, flags, nameLen uint32
		name                    uint64
		program, kind           uint32
		offset, address         uint64
	}{pid: uint32(pid), fd: uint32(fd)}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_TASK_FD_QUERY, uintptr(unsafe.Pointer(&query)), unsafe.Sizeof(query))
	return errno == 0 && query.program != 0
}
