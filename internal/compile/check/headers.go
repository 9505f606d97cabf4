package check

import "strings"

// Scripts include C headers for two things: types, which are the kernel's own here, and constants that are #defines and
// so in no type information. The headers are not read; the constants that scripts take from them are here. They are part
// of what the kernel promises to programs, or have not changed since before the oldest kernel that can run a script.

// ownHeaders begin the names of headers that have nothing to offer beyond that.
var ownHeaders = []string{"linux/", "uapi/linux/", "net/", "asm/", "asm-generic/", "sys/socket.h", "netinet/in.h"}

// headerConstants are known to a script that includes any header.
var headerConstants = map[string]int64{
	// Address families.
	"AF_UNSPEC": 0, "AF_UNIX": 1, "AF_LOCAL": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_PACKET": 17, "AF_VSOCK": 40, "AF_XDP": 44,
	// Kinds of sockets, and IP protocols.
	"SOCK_STREAM": 1, "SOCK_DGRAM": 2, "SOCK_RAW": 3, "SOCK_SEQPACKET": 5,
	"IPPROTO_ICMP": 1, "IPPROTO_TCP": 6, "IPPROTO_UDP": 17, "IPPROTO_ICMPV6": 58,
	// States of tasks.
	"TASK_RUNNING": 0, "TASK_INTERRUPTIBLE": 1, "TASK_UNINTERRUPTIBLE": 2,
	// Flags of tasks.
	"PF_EXITING": 0x4, "PF_KTHREAD": 0x200000,
	// Flags of clone.
	"CLONE_VM": 0x100, "CLONE_FS": 0x200, "CLONE_FILES": 0x400, "CLONE_SIGHAND": 0x800, "CLONE_VFORK": 0x4000, "CLONE_THREAD": 0x10000,
	"CLONE_NEWNS": 0x20000, "CLONE_NEWCGROUP": 0x2000000, "CLONE_NEWUTS": 0x4000000, "CLONE_NEWIPC": 0x8000000,
	"CLONE_NEWUSER": 0x10000000, "CLONE_NEWPID": 0x20000000, "CLONE_NEWNET": 0x40000000,
	// What files are opened for, how, and what they are.
	"O_RDONLY": 0, "O_WRONLY": 1, "O_RDWR": 2, "O_CREAT": 0o100, "O_EXCL": 0o200, "O_TRUNC": 0o1000, "O_APPEND": 0o2000, "O_NONBLOCK": 0o4000,
	"O_CLOEXEC": 0o2000000, "AT_FDCWD": -100,
	"FMODE_READ": 1, "FMODE_WRITE": 2, "FMODE_EXEC": 0x20,
	"S_IFMT": 0o170000, "S_IFSOCK": 0o140000, "S_IFLNK": 0o120000, "S_IFREG": 0o100000, "S_IFBLK": 0o60000, "S_IFDIR": 0o40000, "S_IFCHR": 0o20000,
	"S_IFIFO": 0o10000,
	// Protections of memory.
	"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4,
}

// ownHeader says whether a header is one whose types are the kernel's own.
func ownHeader(path string) bool {
	for _, h := range ownHeaders {
		if strings.HasPrefix(path, h) {
			return true
		}
	}
	return false
}
