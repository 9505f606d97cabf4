package target

import (
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// kernfsHandle is the type of file handles that hold the number of a kernfs node alone: FILEID_KERNFS, which name_to_handle_at(2) gives on cgroup2.
const kernfsHandle = 0xfe

// cgroupByID returns the path of the cgroup v2 with that id, as /proc/PID/cgroup has it after "0::"; empty where there is
// none any more, or it is not seen from here. It needs CAP_DAC_READ_SEARCH, and handles of kernfs nodes (5.5).
func (m cgroupMount) cgroupByID(id uint64) string {
	if m.dir == "" || id == 0 {
		return ""
	}
	mount, err := unix.Open(m.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(mount)
	handle := unix.NewFileHandle(kernfsHandle, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(mount, handle, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	found, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil || !beneath(found, m.dir) || strings.HasSuffix(found, " (deleted)") {
		return ""
	}
	return path.Join("/", m.top, strings.TrimPrefix(found, m.dir))
}
