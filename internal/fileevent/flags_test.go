package fileevent

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAppendFlags(t *testing.T) {
	for _, c := range []struct {
		given uint64
		want  string
	}{
		{0, "O_RDONLY"},
		{unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, "O_WRONLY O_CREAT O_TRUNC"},
		{unix.O_RDWR | unix.O_SYNC, "O_RDWR O_SYNC"},
		{unix.O_RDWR | unix.O_DSYNC, "O_RDWR O_DSYNC"},
		{unix.O_ACCMODE, "O_ACCMODE"},
		{unix.O_TMPFILE | unix.O_RDWR, "O_RDWR O_TMPFILE"},
		{unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NONBLOCK, "O_RDONLY O_NONBLOCK O_DIRECTORY O_CLOEXEC"},
		{unix.O_PATH | unix.O_NOFOLLOW | largeFile, "O_RDONLY O_LARGEFILE O_NOFOLLOW O_PATH"},
		{execOnly | largeFile, "O_RDONLY O_LARGEFILE __FMODE_EXEC"},
		{unix.O_EXCL | unix.O_NOCTTY | unix.O_APPEND | unix.O_ASYNC | unix.O_DIRECT | unix.O_NOATIME,
			"O_RDONLY O_EXCL O_NOCTTY O_APPEND O_ASYNC O_DIRECT O_NOATIME"},
		{1 << 40, "O_RDONLY 0x10000000000"},
	} {
		var got []string
		for _, name := range AppendFlags(nil, c.given) {
			got = append(got, string(name))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%#x is %s, want %s", c.given, s, c.want)
		}
	}
}

func TestFlagNamed(t *testing.T) {
	for name, want := range map[string]Flag{
		"O_RDONLY": {"O_RDONLY", 3, 0}, "wronly": {"O_WRONLY", 3, 1}, "O_CREAT": {"O_CREAT", unix.O_CREAT, unix.O_CREAT},
		"O_TMPFILE": {"O_TMPFILE", unix.O_TMPFILE, unix.O_TMPFILE}, "O_NDELAY": {"O_NONBLOCK", unix.O_NONBLOCK, unix.O_NONBLOCK},
	} {
		if got, ok := FlagNamed(name); !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "O_", "O_NOPE", "64"} {
		if f, ok := FlagNamed(name); ok {
			t.Errorf("%q is %v", name, f)
		}
	}
	for _, name := range FlagNames() {
		if f, ok := FlagNamed(name); !ok || f.Name != name {
			t.Errorf("%s is listed, and is %v", name, f)
		}
	}
}
