package print

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Error numbers that the kernel keeps to itself (include/linux/errno.h). A probe inside a system call sees them.
var kernelErrno = map[int64]string{
	512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 515: "ENOIOCTLCMD",
	516: "ERESTART_RESTARTBLOCK", 517: "EPROBE_DEFER", 518: "EOPENSTALE", 519: "ENOPARAM",
	521: "EBADHANDLE", 522: "ENOTSYNC", 523: "EBADCOOKIE", 524: "ENOTSUPP", 525: "ETOOSMALL",
	526: "ESERVERFAULT", 527: "EBADTYPE", 528: "EJUKEBOX", 529: "EIOCBQUEUED", 530: "ERECALLCONFLICT",
	531: "ENOGRACE",
}

// errnoNames are the names of the numbers that system calls return: unix.ErrnoName searches for each.
var errnoNames = sync.OnceValue(func() *[256]string {
	var names [256]string
	for n := range names {
		names[n] = unix.ErrnoName(unix.Errno(n))
	}
	return &names
})

func errnoName(n int64) string {
	if names := errnoNames(); n < int64(len(names)) {
		return names[n]
	}
	return unix.ErrnoName(unix.Errno(n))
}

// appendErrno appends the symbol of an error number. A number without one becomes "E" and the number: "E4095".
func appendErrno(dst []byte, n int64) []byte {
	if n > 0 && n < 4096 {
		if s := errnoName(n); s != "" {
			return append(dst, s...)
		}
		if s := kernelErrno[n]; s != "" {
			return append(dst, s...)
		}
	}
	return strconv.AppendInt(append(dst, 'E'), n, 10)
}
