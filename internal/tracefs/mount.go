package tracefs

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// own begins the path of a mount that only a descriptor of this process holds.
const own = "/proc/self/fd/"

// root is a tracefs that can be written to. held is the descriptor of a mount of our own, nil where it is mounted for all.
type root struct {
	dir  string
	held *os.File
}

// findRoot finds tracefs, or mounts it where nobody but this process sees it.
func findRoot() (root, error) {
	dir, err := kernel.TracefsDir()
	if err != nil {
		return root{}, err
	}
	if !strings.HasPrefix(dir, own) {
		return root{dir: dir}, nil
	}
	// The one that kernel has mounted can only be read.
	ctx, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return root{}, fmt.Errorf("tracefs is not mounted, and cannot be: %w", err)
	}
	defer unix.Close(ctx)
	if err := unix.FsconfigCreate(ctx); err != nil {
		return root{}, fmt.Errorf("tracefs is not mounted, and cannot be: %w", err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return root{}, fmt.Errorf("tracefs is not mounted, and cannot be: %w", err)
	}
	return root{own + strconv.Itoa(fd), os.NewFile(uintptr(fd), "tracefs")}, nil
}

func (r root) close() {
	if r.held != nil {
		r.held.Close()
	}
}
