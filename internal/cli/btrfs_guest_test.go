//go:build guest

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest"
)

// btrfsVolume is struct btrfs_ioctl_vol_args of linux/btrfs.h.
type btrfsVolume struct {
	fd   int64
	name [4088]byte
}

const (
	btrfsSnapshot  = 0x50009401 // BTRFS_IOC_SNAP_CREATE
	btrfsSubvolume = 0x5000940e // BTRFS_IOC_SUBVOL_CREATE
)

// subvolumeAt makes a subvolume, as a snapshot of another one where that is given.
func subvolumeAt(t *testing.T, path, of string) {
	t.Helper()
	var args btrfsVolume
	copy(args.name[:], filepath.Base(path))
	command := uintptr(btrfsSubvolume)
	if of != "" {
		from, err := os.Open(of)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		args.fd, command = int64(from.Fd()), btrfsSnapshot
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), command, uintptr(unsafe.Pointer(&args))); errno != 0 {
		t.Fatalf("subvolume %s: %v", path, errno)
	}
}

// On btrfs the subvolumes of one file system have the same inode numbers, and devices of their own. Where the kernel shows the types of
// its modules, records have the device of stat(2), and a rule is about the files of one subvolume.
func TestGuestEndsBtrfs(t *testing.T) {
	at := vmtest.Btrfs(t)
	told := subvolume().Dev != 0
	if _, err := os.Stat("/sys/kernel/btf/btrfs"); err == nil && !told {
		t.Error("this kernel has the types of btrfs, and they are not known")
	}
	a, b, c := filepath.Join(at, "a"), filepath.Join(at, "b"), filepath.Join(at, "c")
	deep := filepath.Join(c, "deep")
	for _, dir := range []string{a, b, c, deep} {
		subvolumeAt(t, dir, "")
		for _, name := range []string{"secret", "kept"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	snapshot := filepath.Join(at, "snapshot")
	subvolumeAt(t, snapshot, a)
	link := filepath.Join(a, "link")
	if err := os.Link(filepath.Join(a, "secret"), link); err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(a, "secret"), filepath.Join(b, "secret"), filepath.Join(snapshot, "secret"), filepath.Join(deep, "secret")}
	var stats []unix.Stat_t
	for _, file := range files {
		var st unix.Stat_t
		if err := unix.Stat(file, &st); err != nil {
			t.Fatal(err)
		}
		if len(stats) > 0 && (st.Ino != stats[0].Ino || st.Dev == stats[0].Dev) {
			t.Fatalf("%s is %d:%d, %s %d:%d: not what this test is about", file, st.Dev, st.Ino, files[0], stats[0].Dev, stats[0].Ino)
		}
		stats = append(stats, st)
	}

	t.Run("open", func(t *testing.T) {
		got := openJSON(t, append([]string{"--path", at + "/**", "--", "/bin/cat"}, files...)...)
		if len(got.records) != len(files) {
			t.Fatalf("%+v", got)
		}
		for i, r := range got.records {
			if r.Ino == nil || r.Dev == nil || *r.Ino != stats[i].Ino || (*r.Dev == stats[i].Dev) != told || text(r.File) != files[i] {
				t.Errorf("%v: dev %v, ino %v, want %d, %d", &r, r.Dev, r.Ino, stats[i].Dev, stats[i].Ino)
			}
		}
	})

	t.Run("guard", func(t *testing.T) {
		rules := "rules:\n  - {name: file, action: deny, files: " + files[0] + "}\n"
		if told {
			rules += "  - {name: tree, action: deny, files: " + c + "/}\n"
		} else if got := guardToEnd(t, "deny", c+"/"); got.status == 0 || !strings.Contains(got.stderr, "is the top of a subvolume") {
			t.Errorf("a tree that cannot be told from others: %+v", got)
		}
		p := guarding(t, "-f", ruleFile(t, rules))
		const note = "is on a file system with subvolumes"
		if strings.Contains(p.stderr(t), note) == told {
			t.Errorf("types of btrfs %v, stderr: %s", told, p.stderr(t))
		}
		if !told {
			wantDo(t, "read", files[0], eacces)
			return
		}
		// Those that have the same number first: the rule is not to take one of them for its file.
		for _, file := range []string{files[1], files[2], filepath.Join(a, "kept"), filepath.Join(b, "kept")} {
			wantDo(t, "read", file, 0)
		}
		for _, file := range []string{files[0], link, filepath.Join(c, "secret"), filepath.Join(c, "kept"), files[3], filepath.Join(deep, "kept")} {
			wantDo(t, "read", file, eacces)
		}
		// A hook that is told no mount: the path is put together all the same.
		wantDo(t, "chmod", files[3], eacces)
		wantDo(t, "create", filepath.Join(deep, "new"), eacces)
		wantDo(t, "delete", filepath.Join(b, "kept"), 0)
		p.signal(t, os.Interrupt)
		p.wait(t)
		out := strings.Join(p.rest(t), "\n") + "\n"
		for _, file := range []string{files[0], link, files[3], filepath.Join(deep, "new")} {
			wantSays(t, out, " "+file+"\n")
		}
	})
}
