package kernel

import "testing"

func TestMounted(t *testing.T) {
	const table = "21 1 254:0 / / rw - ext4 /dev/vda rw\n22 21 0:40 /@ /mnt/btrfs\\040x rw shared:1 - btrfs /dev/vdb rw\n"
	for fstype, want := range map[string]bool{"ext4": true, "btrfs": true, "btr": false, "vda": false, "xfs": false} {
		if got := Mounted(table, fstype); got != want {
			t.Errorf("%s: %v", fstype, got)
		}
	}
	if Mounted("21 1 254:0 / /btrfs rw - ext4 btrfs rw\n", "btrfs") {
		t.Error("a folder of that name")
	}
}

// Types without btrfs, or with a part of it, say nothing.
func TestSubvolumeOf(t *testing.T) {
	if got := SubvolumeOf(nil); got != (Subvolume{}) {
		t.Errorf("of nothing: %+v", got)
	}
	if types, err := RunningTypes(); err == nil {
		got := SubvolumeOf(types)
		if (got.Dev == 0) != (got.Root == 0) || got.Root > 1<<16 || got.Root < -1<<16 || got.Dev > 1<<16 || got.Dev%4 != 0 || got.Root%8 != 0 {
			t.Errorf("%+v", got)
		}
	}
}
