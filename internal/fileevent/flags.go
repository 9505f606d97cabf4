package fileevent

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Flag is one flag of open(2), by its name in C: flags have it if flags & Mask is Value.
type Flag struct {
	Name  string
	Mask  uint64
	Value uint64
}

// Bits that the headers of user space do not name as the kernel does (include/linux/fs.h, asm-generic/fcntl.h).
const (
	syncOnly    = unix.O_SYNC &^ unix.O_DSYNC
	tmpfileOnly = unix.O_TMPFILE &^ unix.O_DIRECTORY
	execOnly    = 0x20
	noNotify    = 0x4000000
)

// flags are those of this architecture. The access mode is first; a flag of two bits is before those that it contains.
var flags = []Flag{
	{"O_RDONLY", unix.O_ACCMODE, unix.O_RDONLY},
	{"O_WRONLY", unix.O_ACCMODE, unix.O_WRONLY},
	{"O_RDWR", unix.O_ACCMODE, unix.O_RDWR},
	{"O_ACCMODE", unix.O_ACCMODE, unix.O_ACCMODE}, // 3: neither to read nor to write, but for ioctl
	bit("O_CREAT", unix.O_CREAT),
	bit("O_EXCL", unix.O_EXCL),
	bit("O_NOCTTY", unix.O_NOCTTY),
	bit("O_TRUNC", unix.O_TRUNC),
	bit("O_APPEND", unix.O_APPEND),
	bit("O_NONBLOCK", unix.O_NONBLOCK),
	bit("O_SYNC", unix.O_SYNC),
	bit("O_DSYNC", unix.O_DSYNC),
	bit("O_ASYNC", unix.O_ASYNC),
	bit("O_DIRECT", unix.O_DIRECT),
	bit("O_LARGEFILE", largeFile),
	bit("O_TMPFILE", unix.O_TMPFILE),
	bit("O_DIRECTORY", unix.O_DIRECTORY),
	bit("O_NOFOLLOW", unix.O_NOFOLLOW),
	bit("O_NOATIME", unix.O_NOATIME),
	bit("O_CLOEXEC", unix.O_CLOEXEC),
	bit("O_PATH", unix.O_PATH),
	bit("__O_SYNC", syncOnly),
	bit("__O_TMPFILE", tmpfileOnly),
	bit("__FMODE_EXEC", execOnly),
	bit("__FMODE_NONOTIFY", noNotify),
}

func bit(name string, mask uint64) Flag { return Flag{name, mask, mask} }

// aliases are further names that C has for the same bits.
var aliases = map[string]string{"O_NDELAY": "O_NONBLOCK", "O_RSYNC": "O_SYNC", "FASYNC": "O_ASYNC"}

// FlagNamed returns the flag of that name, in upper or lower case, with or without "O_".
func FlagNamed(name string) (Flag, bool) {
	name = strings.ToUpper(name)
	for _, n := range []string{name, "O_" + name} {
		if to, ok := aliases[n]; ok {
			n = to
		}
		for _, f := range flags {
			if f.Name == n {
				return f, true
			}
		}
	}
	return Flag{}, false
}

// FlagNames lists the names that FlagNamed knows, without aliases and what is the kernel's own.
func FlagNames() (names []string) {
	for _, f := range flags {
		if strings.HasPrefix(f.Name, "O_") && f.Name != "O_ACCMODE" {
			names = append(names, f.Name)
		}
	}
	return names
}

var flagNames = func() (names [][]byte) {
	for _, f := range flags {
		names = append(names, []byte(f.Name))
	}
	return names
}()

// AppendFlags appends the names of flags to open a file with, the access mode first; bits without a name are one
// hexadecimal number at the end.
func AppendFlags(to [][]byte, given uint64) [][]byte {
	rest := given
	for i, f := range flags {
		switch {
		case f.Mask == unix.O_ACCMODE:
			if given&f.Mask == f.Value {
				to, rest = append(to, flagNames[i]), rest&^f.Mask
			}
		case f.Mask != 0 && rest&f.Mask == f.Value:
			to, rest = append(to, flagNames[i]), rest&^f.Mask
		}
	}
	if rest != 0 {
		to = append(to, strconv.AppendUint([]byte("0x"), rest, 16))
	}
	return to
}
