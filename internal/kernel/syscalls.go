package kernel

import "runtime"

//go:generate sh syscalls.sh

// SyscallName returns the name of a system call of this machine by its number; "" for a number that has none.
func SyscallName(nr int) string { return SyscallNameOn(runtime.GOARCH, nr) }

// SyscallNameOn is SyscallName for a machine by its GOARCH.
func SyscallNameOn(machine string, nr int) string {
	if table := syscallsOn(machine); nr >= 0 && nr < len(table) {
		return table[nr]
	}
	return ""
}

// SyscallNumberOn returns the number of a system call of a machine. It takes the kernel's name of the function too, where that is
// another one, for tracefs shows it: "newstat" is "stat".
func SyscallNumberOn(machine, name string) (nr int, ok bool) {
	if name == "" {
		return 0, false
	}
	table := syscallsOn(machine)
	for _, name := range []string{name, syscallFunctions[name]} {
		for nr, known := range table {
			if known == name && name != "" {
				return nr, true
			}
		}
	}
	return 0, false
}

func syscallsOn(machine string) []string {
	switch machine {
	case "amd64":
		return syscallsAMD64[:]
	case "arm64":
		return syscallsARM64[:]
	}
	return nil
}

// syscallFunctions are the system calls whose function in the kernel is named otherwise than they are.
var syscallFunctions = map[string]string{
	"newstat":    "stat",
	"newfstat":   "fstat",
	"newlstat":   "lstat",
	"newuname":   "uname",
	"umount":     "umount2",
	"sendfile64": "sendfile",
}
