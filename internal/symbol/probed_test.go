package symbol

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const nobody = 1<<22 + 1 // a process ID, more than the kernel gives

// From where one probe is follows where all of its file is, also of one that is position independent.
func TestAssume(t *testing.T) {
	dir := t.TempDir()
	moving := write(t, dir, "moving", string(testELF{textAddr: 0x2000, symtab: []testSymbol{{"m", fun, global, 1, 0x2020, 8}, {"n", fun, global, 1, 0x2030, 8}}}.bytes()))
	p := newProcesses(t)
	if err := p.AddProbe(moving, testTextOffset+0x20); err != nil {
		t.Fatal(err)
	}
	const at = 0x7f0000000000
	p.Assume(nobody, at+0x21, testTextOffset+0x20) // cannot be: pages are mapped as they are
	p.Assume(nobody, at+0x20, testTextOffset+0x99)
	if got := p.Lookup(nobody, at+0x32); got.Ok {
		t.Errorf("of nothing: %+v", got)
	}
	p.Assume(nobody, at+0x20, testTextOffset+0x20)
	p.Assume(nobody, at+0x20, testTextOffset+0x20)
	for addr, want := range map[uint64]string{at + 0x20: "m", at + 0x32: "n", at - 0x1000: "", at + 0x38: ""} {
		if got := p.Lookup(nobody, addr); got.Name != want || want != "" && got.Module != moving {
			t.Errorf("%#x: %+v, want %q", addr, got, want)
		}
	}
	if n := len(p.known[nobody].images); n != 1 {
		t.Errorf("%d images", n)
	}
	if got := p.ProbeAt(testTextOffset + 0x20); got.Name != "m" {
		t.Errorf("%+v", got)
	}
	if got := p.ProbeAt(testTextOffset + 0x30); got.Ok {
		t.Errorf("no probe: %+v", got)
	}
}

// What is told of a mapping names its addresses, if the file is still there and the very one.
func TestMapped(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "file", string(testELF{textAddr: 0x2000, symtab: []testSymbol{{"m", fun, global, 1, 0x2020, 8}}}.bytes()))
	var info unix.Stat_t
	if err := unix.Stat(file, &info); err != nil {
		t.Fatal(err)
	}
	device := unix.Major(info.Dev)<<20 | unix.Minor(info.Dev)
	p := newProcesses(t)
	const start = 0x7f0000000000
	m := Mapping{Start: start, End: start + 0x2000, Page: 0, Device: device, Inode: info.Ino, Path: pathOnDevice(t, device, file)}
	for name, bad := range map[string]Mapping{
		"another file":   {Start: start, End: start + 0x2000, Device: device, Inode: info.Ino + 1, Path: m.Path},
		"another device": {Start: start, End: start + 0x2000, Device: device + 77<<20, Inode: info.Ino, Path: m.Path},
		"no path":        {Start: start, End: start + 0x2000, Device: device, Inode: info.Ino},
		"another path":   {Start: start, End: start + 0x2000, Device: device, Inode: info.Ino, Path: "/no/such/path"},
		"no size":        {Start: start, End: start, Device: device, Inode: info.Ino, Path: m.Path},
	} {
		p.Mapped(nobody, bad)
		if got := p.Lookup(nobody, start+testTextOffset+0x22); got.Ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	p.Mapped(nobody, m)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := p.Lookup(nobody, start+testTextOffset+0x22); got.Name != "m" || got.Offset != 2 || got.Module != file {
		t.Errorf("%+v", got)
	}
}

// pathOnDevice is the path of a file in its file system.
func pathOnDevice(t *testing.T, device uint32, path string) string {
	t.Helper()
	var ms mounts
	for at := range len(path) {
		if path[at] == '/' && slices.Contains(ms.places(device, path[at:]), path) {
			return path[at:]
		}
	}
	t.Skip("the temporary folder is on a part of a file system that is mounted")
	return ""
}

func TestReadMounts(t *testing.T) {
	table := write(t, t.TempDir(), "mountinfo", "21 1 254:0 / / rw - ext4 /dev/vda rw\n"+
		"22 21 254:0 /sub\\040dir /mnt/x rw - ext4 /dev/vda rw\n23 21 0:5 / /proc rw - proc proc rw\nbad\n")
	ms := mounts{by: readMounts(table), read: time.Now()}
	for path, want := range map[string]string{"/sub dir/f": "[/sub dir/f /mnt/x/f]", "/other": "[/other]"} {
		if got := ms.places(254<<20, path); len(got) == 0 || want != fmt.Sprint(got) {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
	if got := readMounts("/no/such/table"); len(got) != 0 {
		t.Error(got)
	}
}
