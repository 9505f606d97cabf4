package kernel

import (
	"strings"
	"sync"
)

// Subvolume says where btrfs keeps what stat(2) tells as the device of a file: each subvolume has one, with inode numbers of its own.
// The zero value: there is no btrfs, or it shows no types.
type Subvolume struct {
	Root int32  // from an inode to the address of what its subvolume is
	Dev  uint32 // in that, the device
}

// RunningSubvolume finds it for the kernel that runs.
var RunningSubvolume = sync.OnceValue(func() Subvolume {
	types, err := RunningTypes()
	if err != nil {
		return Subvolume{}
	}
	return SubvolumeOf(types)
})

// SubvolumeOf finds it in the types of the kernel, or of its module btrfs.
func SubvolumeOf(types *BTFTypes) Subvolume {
	for _, in := range []func() *BTFTypes{
		func() *BTFTypes { m, _ := types.Module("btrfs"); return m },
		func() *BTFTypes { return types },
	} {
		t := in()
		inode, root := t.member("btrfs_inode", "vfs_inode"), t.member("btrfs_inode", "root")
		dev := t.member("btrfs_root", "anon_dev")
		if inode >= 0 && root >= 0 && dev > 0 {
			return Subvolume{int32(root - inode), uint32(dev)}
		}
	}
	return Subvolume{}
}

// member is where a member of a struct is, in bytes; -1 where there is none.
func (b *BTFTypes) member(of, name string) int {
	if b == nil {
		return -1
	}
	id, ok := b.Find(BTFStruct, of)
	if !ok {
		return -1
	}
	m, ok := b.Field(id, name)
	if !ok || m.BitOffset%8 != 0 {
		return -1
	}
	return int(m.BitOffset / 8)
}

// Mounted says whether a file system of that type is in the text of /proc/PID/mountinfo.
func Mounted(table, fstype string) bool {
	if !strings.Contains(table, fstype) {
		return false
	}
	for range MountsOf(table, fstype) {
		return true
	}
	return false
}
