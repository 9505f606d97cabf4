package open

import (
	"encoding/binary"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// What arm64 does not have.
func init() {
	orders["open"] = func(_, path string) (string, error) {
		return raw(unix.SYS_OPEN, cstring(path), unix.O_RDONLY|unix.O_NOFOLLOW)
	}
	orders["creat"] = func(_, path string) (string, error) { return raw(unix.SYS_CREAT, cstring(path), 0o604) }
	orders["compat"] = func(dir, path string) (string, error) {
		name := dir + "/prog32"
		if err := os.WriteFile(name, program32(path), 0o700); err != nil {
			return "", err
		}
		return "", exec.Command(name).Run()
	}
}

// program32 is a 32-bit program that opens a file, written by hand: no 32-bit compiler is needed.
func program32(path string) []byte {
	const base, header, segment, data = 0x08048000, 52, 32, 0x100
	le := binary.LittleEndian
	b := []byte{0x7f, 'E', 'L', 'F', 1, 1, 1, 15: 0}
	b = le.AppendUint16(b, 2) // ET_EXEC
	b = le.AppendUint16(b, 3) // EM_386
	for _, v := range []uint32{1, base + header + segment, header, 0, 0} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range []uint16{header, segment, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	size := uint32(data + len(path) + 1)
	for _, v := range []uint32{1, 0, base, base, size, size, 7, 0x1000} {
		b = le.AppendUint32(b, v)
	}
	mov := func(register byte, v uint32) { b = le.AppendUint32(append(b, 0xb8+register), v) }
	call := func() { b = append(b, 0xcd, 0x80) } // int 0x80
	mov(0, 295)                                  // openat
	mov(3, 0xffffff9c)                           // ebx: AT_FDCWD
	mov(1, base+data)
	mov(2, unix.O_RDONLY)
	mov(6, 0)
	call()
	mov(0, 1) // exit
	mov(3, 0)
	call()
	b = append(b, make([]byte, data-len(b))...)
	return append(append(b, path...), 0)
}
