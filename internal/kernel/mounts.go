package kernel

import (
	"iter"
	"strconv"
	"strings"
)

// Mount is a line of a mount table: which folder of a file system is seen where.
type Mount struct{ Root, Point string }

// MountsOf goes through the mounts of one file system type in the text of /proc/PID/mountinfo, in its order.
func MountsOf(table, fstype string) iter.Seq[Mount] {
	return func(yield func(Mount) bool) {
		for line := range strings.Lines(table) {
			// "36 35 98:0 /root /mount/point options optional... - type source options", proc_pid_mountinfo(5)
			front, back, ok := strings.Cut(line, " - ")
			if !ok {
				continue
			}
			mount, kind := strings.Fields(front), strings.Fields(back)
			if len(mount) < 5 || len(kind) < 1 || kind[0] != fstype {
				continue
			}
			if !yield(Mount{Root: unescapeMount(mount[3]), Point: unescapeMount(mount[4])}) {
				return
			}
		}
	}
}

// unescapeMount undoes the three-digit octal escapes that the kernel writes for blanks and backslashes in mount tables.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
