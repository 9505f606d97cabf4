package vmtest

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/wire"
)

// What mkfs.btrfs writes is a hundred pages, most of them zeros, so no guest has to run it. testdata/btrfs.sh makes it.
//
//go:embed testdata/btrfs.img.gz
var btrfsImage []byte

// Btrfs mounts an empty btrfs on the guest's disk, for the length of a test, and returns where.
func Btrfs(t testing.TB) string {
	t.Helper()
	if Guest() == "" {
		t.Fatal("the machine's own disks are nothing to make file systems on")
	}
	image, err := gzip.NewReader(bytes.NewReader(btrfsImage))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.OpenFile(wire.Disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(disk, image)
	if err := errors.Join(err, disk.Close()); err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	err = unix.Mount(wire.Disk, at, "btrfs", 0, "")
	if errors.Is(err, unix.ENODEV) && Guest() == fetch.OwnImage {
		t.Skip("kernel lacks btrfs")
	}
	if err != nil {
		t.Fatalf("mounting btrfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Errorf("unmounting btrfs: %v", err)
		}
	})
	return at
}
