package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lockedAs returns what the kernel itself says that a file is: /proc/locks has s_dev and i_ino of the inode of each lock.
func lockedAs(t *testing.T, name string) Object {
	t.Helper()
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Flock(fd, unix.LOCK_EX))
	locks, err := os.ReadFile("/proc/locks")
	must(t, err)
	var found []Object
	for line := range strings.Lines(string(locks)) {
		// "1: FLOCK  ADVISORY  WRITE 708 08:01:131 0 EOF"
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[4] != fmt.Sprint(os.Getpid()) {
			continue
		}
		var major, minor uint32
		var o Object
		if _, err := fmt.Sscanf(f[5], "%x:%x:%d", &major, &minor, &o.Ino); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		o.Dev = kernelDev(major, minor)
		found = append(found, o)
	}
	if len(found) != 1 {
		t.Fatalf("%s: %d locks of this process:\n%s", name, len(found), locks)
	}
	return found[0]
}

// sameObject compares what a file is armed as with what it is to the kernel.
func sameObject(t *testing.T, name string) {
	t.Helper()
	ids := &identities{proc: "/proc"}
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	got, err := ids.of(fd, "")
	must(t, err)
	if want := lockedAs(t, name); got.Object != want {
		t.Errorf("%s: taken for %v, is %v", name, got.Object, want)
	}
}

func TestKernelIdentity(t *testing.T) {
	root := grow(t, "a/b")
	for _, name := range []string{"", "a", "a/b"} {
		sameObject(t, filepath.Join(root, name))
	}
	shm, err := os.CreateTemp("/dev/shm", "sonde-test-")
	must(t, err)
	defer os.Remove(shm.Name())
	defer shm.Close()
	sameObject(t, shm.Name())
}

func TestMountTable(t *testing.T) {
	root := grow(t, "self/mountinfo")
	text := "21 1 8:1 / / rw - ext4 /dev/sda1 rw\nnonsense\n22 21 0:25 /x /y rw\n-1 2 0:1 / / rw\n23 21 5000:1 / / rw\n24 21 4095:1048575 / / rw\n25 21"
	must(t, os.WriteFile(root+"/self/mountinfo", []byte(text), 0o644))
	ids := &identities{proc: root}
	must(t, ids.readMounts())
	want := map[uint64]uint32{21: 8<<20 | 1, 22: 25, 24: 0xffffffff}
	if fmt.Sprint(ids.devices) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", ids.devices, want)
	}
}
