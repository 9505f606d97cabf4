package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var mountTables = []struct {
	name, table string
	want        []string
}{
	{"usual", "24 1 0:22 / /sys rw - sysfs sysfs rw\n34 24 0:11 / /sys/kernel/tracing rw,nosuid shared:9 - tracefs tracefs rw\n", []string{"/sys/kernel/tracing"}},
	{"named otherwise", "34 24 0:11 / /tmp/t rw - tracefs none rw\n", []string{"/tmp/t"}},
	{"two", "34 24 0:11 / /a rw - tracefs none rw\n35 24 0:11 / /b rw - tracefs none rw\n", []string{"/a", "/b"}},
	{"a name that only looks like it", "34 24 0:11 / /sys/kernel/tracing rw - tmpfs tracefs rw\n", nil},
	{"a folder of it, bound elsewhere", "34 24 0:11 /events /mnt rw - tracefs none rw\n", nil},
	{"blank in the name", `34 24 0:11 / /a\040b\134c rw - tracefs none rw`, []string{`/a b\c`}},
	{"escape at the end", `34 24 0:11 / /a\04 rw - tracefs none rw`, []string{`/a\04`}},
	{"cut off", "34 24 0:11 / - tracefs", nil},
	{"no separator", "34 24 0:11 / /a rw tracefs none rw", nil},
	{"nothing behind the separator", "34 24 0:11 / /a rw - \n", nil},
	{"empty", "", nil},
}

func TestTracefsMounts(t *testing.T) {
	for _, tc := range mountTables {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tracefsMounts(tc.table)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzTracefsMounts(f *testing.F) {
	for _, tc := range mountTables {
		f.Add(tc.table)
	}
	f.Fuzz(func(t *testing.T, table string) {
		for _, dir := range tracefsMounts(table) {
			if len(dir) > len(table) {
				t.Errorf("%q is longer than the table it came from", dir)
			}
		}
	})
}

// TestFindTracefs checks in which order the places are looked at, and that names are not trusted.
func TestFindTracefs(t *testing.T) {
	old := isTracefs
	defer func() { isTracefs = old }()

	dir := root(t, map[string]string{
		"proc/self/mountinfo": "1 1 0:1 / /stale rw - tracefs a rw\n2 1 0:1 / /real rw - tracefs a rw\n",
	})
	usual := filepath.Join(dir, "sys/kernel/tracing")
	for name, tc := range map[string]struct {
		tracefs []string
		want    string
	}{
		"the usual place first":              {[]string{usual, "/real"}, usual},
		"a mount that another one lies on":   {[]string{"/real"}, "/real"},
		"nowhere, whatever the table says":   {nil, ""},
		"debugfs is not looked at by itself": {[]string{filepath.Join(dir, "sys/kernel/debug/tracing")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			isTracefs = func(path string) bool {
				for _, p := range tc.tracefs {
					if p == path {
						return true
					}
				}
				return false
			}
			if got := findTracefs(dir); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTracepointID(t *testing.T) {
	dir := root(t, map[string]string{
		"events/task/task_rename/id": "137\n",
		"events/task/odd/id":         "a\n",
		"events/task/huge/id":        "4294967296\n",
		"events/task/long/id":        strings.Repeat("1", 1000),
		"secret/id":                  "1\n",
	})
	if id, err := tracepointID(dir, "task", "task_rename"); id != 137 || err != nil {
		t.Errorf("got %d, %v; want 137", id, err)
	}
	if _, err := tracepointID(dir, "task", "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want fs.ErrNotExist", err)
	}
	for _, tc := range [][2]string{
		{"task", "odd"}, {"task", "huge"}, {"task", "long"},
		{"..", "secret"}, {"task", "../../secret"}, {"", "task"}, {"task", ""}, {"task", "a b"}, {"task", "a\x00"}, {".", "task"},
	} {
		id, err := tracepointID(dir, tc[0], tc[1])
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %d, %v; want an error of one line", tc, id, err)
		}
	}
}

const privateTracefsEnv = "SONDE_TEST_PRIVATE_TRACEFS"

// TestKernelPrivateTracefs runs itself in a mount namespace where tracefs is mounted nowhere, and looks whether it is
// reached all the same, without showing in the mount table.
func TestKernelPrivateTracefs(t *testing.T) {
	if os.Getenv(privateTracefsEnv) != "" {
		privateTracefsChild()
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKernelPrivateTracefs$")
	cmd.Env = append(os.Environ(), privateTracefsEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "private tracefs works") {
		t.Errorf("%v\n%s", err, out)
	}
}

// privateTracefsChild is the part in the mount namespace. It ends the process.
func privateTracefsChild() {
	fail := func(format string, args ...any) {
		fmt.Printf(format+"\n", args...)
		os.Exit(1)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fail("make mounts private: %v", err)
	}
	// The inner ones last: a tracefs on a debugfs goes with it.
	for range 10 {
		table, err := readSmall("/proc/self/mountinfo", 4<<20)
		if err != nil {
			fail("%v", err)
		}
		dirs := tracefsMounts(table)
		if len(dirs) == 0 {
			break
		}
		for _, dir := range dirs {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
				fail("unmount %s: %v", dir, err)
			}
		}
	}
	if dir := findTracefs("/"); dir != "" {
		fail("tracefs is still at %s", dir)
	}
	dir, err := TracefsDir()
	if err != nil {
		fail("%v", err)
	}
	if !strings.HasPrefix(dir, "/proc/self/fd/") {
		fail("it was found at %s", dir)
	}
	if err := CheckTracefs(); err != nil {
		fail("%v", err)
	}
	if id, err := TracepointID("task", "task_rename"); id == 0 || err != nil {
		fail("task:task_rename: %d, %v", id, err)
	}
	if again, err := TracefsDir(); again != dir || err != nil {
		fail("asked again: %s, %v", again, err)
	}
	table, err := readSmall("/proc/self/mountinfo", 4<<20)
	if err != nil {
		fail("%v", err)
	}
	if dirs := tracefsMounts(table); len(dirs) > 0 {
		fail("the mount shows in the mount table: %q", dirs)
	}
	if err := unix.Access(dir, unix.W_OK); !errors.Is(err, unix.EROFS) {
		fail("it can be written to: %v", err)
	}
	fmt.Println("private tracefs works")
	os.Exit(0)
}

// statusCapEff reads the CapEff line of a /proc/PID/status text.
func statusCapEff(t *testing.T, status string) Capabilities {
	t.Helper()
	for line := range strings.SplitSeq(status, "\n") {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return Capabilities(n)
		}
	}
	t.Fatal("no CapEff line")
	return 0
}
