package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Release returns the kernel's release and machine ("6.1.0-30-cloud-amd64", "x86_64"). They are for display only: what a
// kernel can do is found by trying, since distributions carry features back and leave them out.
func Release() (release, machine string) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown", "unknown"
	}
	return unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
}

// Sysctl returns an integer setting by its name below /proc/sys ("kernel/unprivileged_bpf_disabled").
// The error wraps fs.ErrNotExist where the kernel does not have it.
func Sysctl(name string) (int, error) { return sysctl("/", name) }

func sysctl(root, name string) (int, error) {
	path := filepath.Join(root, "proc/sys", name)
	text, err := readSmall(path, 64)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%s: not a number: %q", path, text)
	}
	return n, nil
}

// VmlinuxBTF is where the kernel shows its own type information.
const VmlinuxBTF = "/sys/kernel/btf/vmlinux"

// CheckBTF returns nil where the kernel shows its own type information and that begins as BTF does. The error wraps
// fs.ErrNotExist where there is none.
func CheckBTF() error { return checkBTF(VmlinuxBTF) }

func checkBTF(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	// struct btf_header of linux/btf.h begins with u16 magic, u8 version.
	var head [24]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return fmt.Errorf("%s: %w", path, errors.Join(errNotBTF, err))
	}
	if binary.NativeEndian.Uint16(head[:]) != 0xeB9F || head[2] != 1 {
		return fmt.Errorf("%s: %w", path, errNotBTF)
	}
	return nil
}

var errNotBTF = errors.New("is not BTF version 1")
