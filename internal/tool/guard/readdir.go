package guard

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// dirEntry is a name in a directory, with what the directory itself says of its kind (DT_DIR, ..., DT_UNKNOWN). Package os
// would ask for an unknown kind by path, and the path may lead elsewhere by now.
type dirEntry struct {
	name string
	kind byte
}

func (e dirEntry) maybeDir() bool { return e.kind == unix.DT_DIR || e.kind == unix.DT_UNKNOWN }

// direntHead is what struct linux_dirent64 has before the name: ino, off, reclen, type.
const direntHead = 8 + 8 + 2 + 1

// readDir goes through the names in an open directory but . and .., until each says that it is enough.
func readDir(fd int, each func(e dirEntry) bool) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		for rest := buf[:n]; len(rest) > direntHead; {
			size := int(binary.NativeEndian.Uint16(rest[16:]))
			if size <= direntHead || size > len(rest) {
				break
			}
			name, _, _ := bytes.Cut(rest[direntHead:size], []byte{0})
			e := dirEntry{string(name), rest[18]}
			if e.name != "." && e.name != ".." && !each(e) {
				return nil
			}
			rest = rest[size:]
		}
	}
}
