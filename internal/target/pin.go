package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// pinned returns an error unless path is a file on a bpffs. Whether it is a hash map with 8-byte keys is found when it is
// opened, at load.
func (h host) pinned(flag, path string) error {
	disk := h.path(path)
	st, err := os.Stat(disk)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: no such file; pin the map first (bpftool map create %s type hash key 8 value 8 entries 1024 name set)", flag, path, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: permission denied; run as root", flag, path)
	case err != nil:
		return fmt.Errorf("%s %s: %w", flag, path, errors.Unwrap(err))
	case st.IsDir():
		return fmt.Errorf("%s %s: a folder; give the path of a pinned map in it", flag, path)
	}
	magic, err := h.fsType(disk)
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, path, err)
	}
	if magic != bpffsMagic {
		return fmt.Errorf("%s %s: not on a BPF file system, so not a pinned map; such files are below /sys/fs/bpf", flag, path)
	}
	return nil
}
