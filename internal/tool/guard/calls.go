package guard

import (
	"runtime"
	"strings"

	"sonde/internal/kernel"
	"sonde/internal/tool/guard/rule"
)

// callPath is a path that a system call takes: the argument that is it, and the one that is the directory it starts from if it is
// relative; both counted from 1, and 0 where there is none. With a descriptor and without a path it is about the descriptor's file.
type callPath struct {
	access     rule.Access
	arg, dirfd uint8
}

// A call is a system call that takes paths.
type call struct {
	name   string
	first  callPath
	second callPath
	how    uint8  // file.h: BY_...
	number int    // of 32-bit programs on amd64; on arm64 it is the same, or armAt more. 0: none
	compat string // their function, where it is not sys_ and the name
}

// file.h
const (
	byOpen    = 1
	byOpenat  = 2
	byOpenat2 = 3
	byCreat   = 4
	byExec    = 7
	byHook    = 9
)

// replaced is what a name is that another one may be put upon: the file that had it is gone then. Whether there is one
// is not known at the entry.
const replaced = rule.Rename | rule.Create | rule.Delete

// calls are the system calls that override is about. What an open asks for depends on its flags.
var calls = []call{
	{"open", callPath{0, 1, 0}, callPath{}, byOpen, 5, "compat_sys_open"},
	{"creat", callPath{0, 1, 0}, callPath{}, byCreat, 8, ""},
	{"openat", callPath{0, 2, 1}, callPath{}, byOpenat, 295, "compat_sys_openat"},
	{"openat2", callPath{0, 2, 1}, callPath{}, byOpenat2, 437, ""},
	{"execve", callPath{rule.Exec, 1, 0}, callPath{}, byExec, 11, "compat_sys_execve"},
	{"execveat", callPath{rule.Exec, 2, 1}, callPath{}, byExec, 358, "compat_sys_execveat"},
	{"truncate", callPath{rule.Truncate, 1, 0}, callPath{}, byHook, 92, "compat_sys_truncate"},
	{"truncate64", callPath{rule.Truncate, 1, 0}, callPath{}, byHook, 193, "sys_ia32_truncate64"},
	{"unlink", callPath{rule.Delete, 1, 0}, callPath{}, byHook, 10, ""},
	{"unlinkat", callPath{rule.Delete, 2, 1}, callPath{}, byHook, 301, ""},
	{"rmdir", callPath{rule.Delete, 1, 0}, callPath{}, byHook, 40, ""},
	{"rename", callPath{rule.Rename, 1, 0}, callPath{replaced, 2, 0}, byHook, 38, ""},
	{"renameat", callPath{rule.Rename, 2, 1}, callPath{replaced, 4, 3}, byHook, 302, ""},
	{"renameat2", callPath{rule.Rename, 2, 1}, callPath{replaced, 4, 3}, byHook, 353, ""},
	{"link", callPath{rule.Link, 1, 0}, callPath{rule.Link | rule.Create, 2, 0}, byHook, 9, ""},
	{"linkat", callPath{rule.Link, 2, 1}, callPath{rule.Link | rule.Create, 4, 3}, byHook, 303, ""},
	{"symlink", callPath{rule.Create, 2, 0}, callPath{}, byHook, 83, ""},
	{"symlinkat", callPath{rule.Create, 3, 2}, callPath{}, byHook, 304, ""},
	{"mkdir", callPath{rule.Create, 1, 0}, callPath{}, byHook, 39, ""},
	{"mkdirat", callPath{rule.Create, 2, 1}, callPath{}, byHook, 296, ""},
	{"mknod", callPath{rule.Create, 1, 0}, callPath{}, byHook, 14, ""},
	{"mknodat", callPath{rule.Create, 2, 1}, callPath{}, byHook, 297, ""},
	{"chmod", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 15, ""},
	{"ftruncate", callPath{rule.Truncate, 0, 1}, callPath{}, byHook, 93, "compat_sys_ftruncate"},
	{"ftruncate64", callPath{rule.Truncate, 0, 1}, callPath{}, byHook, 194, "sys_ia32_ftruncate64"},
	{"fchmod", callPath{rule.Metadata, 0, 1}, callPath{}, byHook, 94, ""},
	{"fchown", callPath{rule.Metadata, 0, 1}, callPath{}, byHook, 207, ""},
	{"fchown16", callPath{rule.Metadata, 0, 1}, callPath{}, byHook, 95, ""},
	{"fsetxattr", callPath{rule.Metadata, 0, 1}, callPath{}, byHook, 228, ""},
	{"fremovexattr", callPath{rule.Metadata, 0, 1}, callPath{}, byHook, 237, ""},
	{"fchmodat", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 306, ""},
	{"fchmodat2", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 452, ""},
	{"chown", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 212, ""},
	{"lchown", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 198, ""},
	{"chown16", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 182, ""},
	{"lchown16", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 16, ""},
	{"fchownat", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 298, ""},
	{"utime", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 30, "sys_utime32"},
	{"utimes", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 271, "sys_utimes_time32"},
	{"futimesat", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 299, "sys_futimesat_time32"},
	{"utimensat", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 412, ""},
	{"utimensat_time32", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 320, ""},
	{"setxattr", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 226, ""},
	{"lsetxattr", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 227, ""},
	{"setxattrat", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 463, ""},
	{"removexattr", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 235, ""},
	{"lremovexattr", callPath{rule.Metadata, 1, 0}, callPath{}, byHook, 236, ""},
	{"removexattrat", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 466, ""},
	{"file_setattr", callPath{rule.Metadata, 2, 1}, callPath{}, byHook, 469, ""},
}

// armNumbers are those of 32-bit programs on arm64 that are not as on amd64.
var armNumbers = map[string]int{
	"openat": 322, "mkdirat": 323, "mknodat": 324, "fchownat": 325, "futimesat": 326, "unlinkat": 328, "renameat": 329, "linkat": 330,
	"symlinkat": 331, "fchmodat": 333, "utimensat_time32": 348, "renameat2": 382, "execveat": 387, "utimes": 269, "utime": 0,
}

// x32Numbers are those of calls that x32 programs on amd64 have another number for.
var x32Numbers = map[string]int{"execve": 520, "execveat": 545}

const callsMost = 1024 // guard.h: CALLS

// tableCall is struct guard_call.
type tableCall struct {
	Access    [2]uint16
	Arg, From [2]uint8
	How       uint8
	_         [3]uint8
}

func (c *call) entry() tableCall {
	return tableCall{
		Access: [2]uint16{uint16(c.first.access), uint16(c.second.access)},
		Arg:    [2]uint8{c.first.arg, c.second.arg}, From: [2]uint8{c.first.dirfd, c.second.dirfd}, How: c.how,
	}
}

// A callEntry is the function that a call begins with for one kind of program.
type callEntry struct {
	call     *call
	function string
	numbers  []int // where in the table of calls it is
	compat   bool  // of 32-bit programs
}

// callEntries are those that a machine may have.
func callEntries(machine string) (entries []callEntry) {
	native, foreign := "__x64_", "__ia32_"
	if machine == "arm64" {
		native, foreign = "__arm64_", "__arm64_"
	}
	for i := range calls {
		c := &calls[i]
		if nr, ok := kernel.SyscallNumberOn(machine, c.name); ok {
			e := callEntry{call: c, function: native + "sys_" + c.name, numbers: []int{nr}}
			if x32, ok := x32Numbers[c.name]; ok && machine == "amd64" {
				e.numbers = append(e.numbers, x32)
				entries = append(entries, callEntry{call: c, function: native + "compat_sys_" + c.name})
			}
			entries = append(entries, e)
		}
		number, function := c.number, c.compat
		if other, ok := armNumbers[c.name]; ok && machine == "arm64" {
			number = other
		}
		if number == 0 {
			continue
		}
		switch {
		case function == "":
			function = "sys_" + c.name
		case machine == "arm64":
			function = strings.Replace(function, "sys_ia32_", "compat_sys_aarch32_", 1)
		}
		entries = append(entries, callEntry{call: c, function: foreign + function, numbers: []int{callsMost + number}, compat: true})
	}
	return entries
}

// Openat32 is the function that openat begins with in 32-bit programs. What a kernel lets be done with it, it does with those of all
// their calls.
func Openat32() string {
	for _, e := range hereEntries() {
		if e.compat && e.call.name == "openat" {
			return e.function
		}
	}
	return ""
}

func hereEntries() []callEntry { return callEntries(runtime.GOARCH) }
