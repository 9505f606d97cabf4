package guard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// Types of file systems whose inode numbers are those of a subvolume.
const (
	btrfsMagic    = 0x9123683e
	bcachefsMagic = 0xca451a4e
	subvolumeRoot = 256 // the inode number of every btrfs subvolume's top directory
)

// identities tells which object a descriptor is to the kernel. That is the device of the file system (s_dev) and the inode
// number. What stat(2) says of the device is another one on overlayfs and its like; the table of mounts has the file system's
// own, by the number of the mount that the descriptor was reached through. On btrfs it is the subvolume's device, which stat(2)
// tells, where the programs find it (device.bpf.h).
type identities struct {
	proc    string
	devices map[uint64]uint32 // by number of the mount; asStat: what stat(2) tells
}

// asStat is no device.
const asStat = ^uint32(0)

// object is what a descriptor is.
type object struct {
	Object
	mode  uint16
	links uint32
	mount uint64
}

func (o *object) isDir() bool  { return o.mode&unix.S_IFMT == unix.S_IFDIR }
func (o *object) isLink() bool { return o.mode&unix.S_IFMT == unix.S_IFLNK }

// of identifies an open descriptor, or name in the directory fd, which is not followed if it is a link.
func (ids *identities) of(fd int, name string) (object, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_SYNC_AS_STAT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return ids.statx(fd, name, flags)
}

func (ids *identities) statx(fd int, name string, flags int) (object, error) {
	var st unix.Statx_t
	err := unix.Statx(fd, name, flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	if err != nil {
		return object{}, err
	}
	o := object{Object{kernelDev(st.Dev_major, st.Dev_minor), st.Ino}, st.Mode, st.Nlink, 0}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return o, nil // before 5.8
	}
	o.mount = st.Mnt_id
	dev, known := ids.devices[st.Mnt_id]
	if !known { // mounted since the table was read, or not in our namespace
		if err := ids.readMounts(); err != nil {
			return object{}, err
		}
		if dev, known = ids.devices[st.Mnt_id]; !known {
			dev = asStat
			ids.devices[st.Mnt_id] = dev
		}
	}
	if dev != asStat {
		o.Dev = dev
	}
	return o, nil
}

// kernelDev is the kernel's own encoding of a device number.
func kernelDev(major, minor uint32) uint32 { return major<<20 | minor&0xfffff }

// readMounts adds the mounts that are there now.
func (ids *identities) readMounts() error {
	if ids.devices == nil {
		ids.devices = make(map[uint64]uint32)
	}
	table, err := readCapped(ids.proc+"/self/mountinfo", 16<<20)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		// "36 35 98:0 /root /mount/point options... - type ...", proc_pid_mountinfo(5)
		f := strings.SplitN(line, " ", 4)
		if len(f) < 4 {
			continue
		}
		id, err := strconv.ParseUint(f[0], 10, 64)
		major, minor, ok := deviceOf(f[2])
		if err == nil && ok {
			ids.devices[id] = kernelDev(major, minor)
			if _, kind, ok := strings.Cut(f[3], " - "); ok && strings.HasPrefix(kind, "btrfs ") && kernel.RunningSubvolume().Dev != 0 {
				ids.devices[id] = asStat
			}
		}
	}
	return nil
}

// deviceOf reads "8:1".
func deviceOf(s string) (major, minor uint32, ok bool) {
	a, b, _ := strings.Cut(s, ":")
	x, err1 := strconv.ParseUint(a, 10, 12)
	y, err2 := strconv.ParseUint(b, 10, 20)
	return uint32(x), uint32(y), err1 == nil && err2 == nil
}

// readCapped returns the content of a file; more than limit bytes is an error. Files of /proc do not tell their size.
func readCapped(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, limit)
	}
	return data, nil
}

// subvolumes says whether inode numbers of the file system that fd lies on are told apart by more than what the programs see.
func subvolumes(fd int) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return false
	}
	return st.Type == btrfsMagic && kernel.RunningSubvolume().Dev == 0 || uint32(st.Type) == bcachefsMagic
}

// gone says whether an error means that a file is not there.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}
