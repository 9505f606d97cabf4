package target

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var plainHost = map[string]string{
	"etc/passwd":                         "root:x:0:0:root:/root:/bin/sh\n# remark\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\nodd:x:many:1::/:/bin/sh\n",
	"proc/self/mountinfo":                mountinfoV2,
	"proc/self/ns/pid":                   "-> pid:[4026531836]",
	"proc/7/status":                      "Name:\tsh\nState:\tS (sleeping)\nTgid:\t7\n",
	"proc/8/status":                      "Name:\tsh\nState:\tR (running)\nTgid:\t7\n",
	"proc/9/status":                      "Name:\tsh\nState:\tZ (zombie)\nTgid:\t9\n",
	"proc/12/status":                     "Name:\tsh\nTgid:\t12\n",
	"sys/fs/cgroup/a.slice/b/procs":      "",
	"sys/fs/cgroup/c.slice":              "dir",
	"sys/fs/bpf/map":                     "",
	"sys/fs/bpf/folder/map":              "",
	"tmp/file":                           "",
	"sys/fs/cgroup/a.slice/cgroup.procs": "",
}

func TestResolve(t *testing.T) {
	h := fixture(t, plainHost)
	for _, tc := range []struct {
		name string
		in   Options
		want Target
	}{
		{"nothing", Options{}, Target{}},
		{"user by number", Options{User: "4294967294"}, Target{mode: modeUID, uid: 4294967294}},
		{"user 0", Options{User: "0"}, Target{mode: modeUID}},
		{"user root", Options{User: "root"}, Target{mode: modeUID}},
		{"user by name", Options{User: "ann"}, Target{mode: modeUID, uid: 1000}},
		{"a user need not be known by number", Options{User: "4711"}, Target{mode: modeUID, uid: 4711}},
		{"pid list", Options{PIDs: []string{"7, 12", "7"}}, Target{mode: modePID, pids: []uint32{7, 12}}},
		{"tree", Options{Trees: []string{"12", "7"}}, Target{mode: modeTree | modeTreeEnds, roots: []uint32{12, 7}}},
		{"pid and tree", Options{PIDs: []string{"7"}, Trees: []string{"12"}},
			Target{mode: modePID | modeTree, pids: []uint32{7}, roots: []uint32{12}}},
		{"parent", Options{PPID: "7"}, Target{mode: modePPID, ppid: 7}},
		{"parent 0", Options{PPID: "0"}, Target{mode: modePPID}},
		{"cgroups", Options{Cgroups: []string{"/sys/fs/cgroup/a.slice", "c.slice"}},
			Target{mode: modeCgroup, cgroups: []string{"/sys/fs/cgroup/a.slice", "/sys/fs/cgroup/c.slice"}}},
		{"pins", Options{CgroupMap: "/sys/fs/bpf/map", MntnsMap: "/sys/fs/bpf/folder/map"},
			Target{mode: modeCgroupMap | modeMntnsMap, pins: map[string]string{
				"cgroupmap": "/sys/fs/bpf/map", "mntnsmap": "/sys/fs/bpf/folder/map"}}},
		{"command", Options{Command: []string{"/bin/sh", "-c", "x"}},
			Target{mode: modeTree | modeTreeEnds, command: []string{"/bin/sh", "-c", "x"}, commandPath: "/bin/sh"}},
		{"command and pid", Options{Command: []string{"/bin/sh"}, PIDs: []string{"7"}},
			Target{mode: modePID | modeTree | modeTreeEnds, pids: []uint32{7}, command: []string{"/bin/sh"}, commandPath: "/bin/sh"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := h.resolve(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.mode |= modeNotSelf
			got.host = host{}
			if diff := cmp.Diff(tc.want, *got, cmp.AllowUnexported(Target{}, host{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	h := fixture(t, plainHost)
	for _, tc := range []struct {
		in   Options
		want string // the beginning of the error
	}{
		{Options{User: "nobody-here"}, `unknown user "nobody-here" (-u): it is not in /etc/passwd; give`},
		{Options{User: "12x"}, `unknown user "12x"`},
		{Options{User: "odd"}, `-u odd: /etc/passwd has no number for that user`},
		{Options{User: "-1"}, `-u -1: out of range; a user id is from 0 to 4294967294`},
		{Options{User: "4294967295"}, `-u 4294967295: out of range`},
		{Options{User: "99999999999999999999"}, `-u 99999999999999999999: out of range`},
		{Options{PIDs: []string{"12345"}}, `-p 12345: no process 12345`},
		{Options{PIDs: []string{"7,x"}}, `-p "x": not a process id; give a number from 1 to 4194304`},
		{Options{PIDs: []string{"7,"}}, `-p "": not a process id`},
		{Options{PIDs: []string{"-7"}}, `-p -7: out of range; a process id is from 1`},
		{Options{PIDs: []string{"0"}}, `-p 0: out of range`},
		{Options{PIDs: []string{"4194305"}}, `-p 4194305: out of range`},
		{Options{PIDs: []string{"8"}}, `-p 8: 8 is a thread of process 7; give that number`},
		{Options{PIDs: []string{"9"}}, `-p 9: process 9 has already ended`},
		{Options{Trees: []string{"12345"}}, `--tree 12345: no process 12345`},
		{Options{PPID: "x"}, `-P "x": not a process id`},
		{Options{PPID: "-1"}, `-P -1: out of range`},
		{Options{PPID: "12345"}, `-P 12345: no process 12345`},
		{Options{Comm: "a(b"}, `-n "a(b": missing closing ) at position 2`},
		{Options{Cgroups: []string{""}}, `--cgroup: empty`},
		{Options{Cgroups: []string{"nosuch"}}, `--cgroup nosuch: no such cgroup (/sys/fs/cgroup/nosuch)`},
		{Options{Cgroups: []string{"a.slice/cgroup.procs"}}, `--cgroup a.slice/cgroup.procs: a file of a cgroup; give the folder, /sys/fs/cgroup/a.slice`},
		{Options{Cgroups: strings.Split(strings.Repeat("c.slice ", 9), " ")[:9]}, `--cgroup: 9 cgroups, and 8 are possible`},
		{Options{Container: "nosuch"}, `--container nosuch: no running container has that name or id`},
		{Options{CgroupMap: "/sys/fs/bpf/none"}, `--cgroupmap /sys/fs/bpf/none: no such file; pin the map first`},
		{Options{CgroupMap: "/sys/fs/bpf/folder"}, `--cgroupmap /sys/fs/bpf/folder: a folder`},
		{Options{MntnsMap: "/tmp/file"}, `--mntnsmap /tmp/file: not on a BPF file system`},
		{Options{Command: []string{"no-such-program-here"}}, `COMMAND "no-such-program-here": not found in PATH`},
	} {
		_, err := h.resolve(tc.in)
		if err == nil {
			t.Errorf("%+v: no error, want %s", tc.in, tc.want)
			continue
		}
		if !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%+v:\n got %s\nwant %s...", tc.in, err, tc.want)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: not one line: %q", tc.in, err)
		}
	}
}

// Where this process sees other process ids than the kernel's programs do, they must not be taken for the same.
func TestResolveForeignPIDs(t *testing.T) {
	files := map[string]string{"proc/self/ns/pid": "-> pid:[4026532999]", "proc/7/status": "Tgid:\t7\n"}
	h := fixture(t, files)
	for _, o := range []Options{
		{PIDs: []string{"7"}}, {Trees: []string{"7"}}, {PPID: "7"}, {Command: []string{"/bin/sh"}},
	} {
		if _, err := h.resolve(o); err == nil || !strings.Contains(err.Error(), "--pid=host") {
			t.Errorf("%+v: %v, want a refusal with a way out", o, err)
		}
	}
	got, err := h.resolve(Options{User: "0"})
	if err != nil {
		t.Fatal(err)
	}
	if got.mode != modeUID {
		t.Errorf("mode %d: the own process id means another process to the kernel", got.mode)
	}
}

func TestResolveLive(t *testing.T) {
	if !live.ownPIDs() {
		t.Skip("this process runs in a pid namespace of its own")
	}
	self := strconv.Itoa(os.Getpid())
	got, err := Options{User: "root", PIDs: []string{self}, Trees: []string{self}, Comm: "^go", Command: []string{"sh"}}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if want := []uint32{uint32(os.Getpid())}; !cmp.Equal(got.PIDs(), want) || !got.FollowsTree() || !got.EndsWithTree() || !got.HasCommand() {
		t.Errorf("%+v", got)
	}
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	_, err = Options{PIDs: []string{strconv.Itoa(child.Process.Pid)}}.Resolve()
	if err == nil || !strings.Contains(err.Error(), "no process") {
		t.Errorf("an ended process: %v", err)
	}
	var command *CommandError
	if _, err := (Options{Command: []string{"/etc"}}).Resolve(); !errors.As(err, &command) || command.Status != 126 {
		t.Errorf("a folder: %v", err)
	}
	if _, err := (Options{MntnsMap: "/etc/passwd"}).Resolve(); err == nil || !strings.Contains(err.Error(), "BPF file system") {
		t.Errorf("a file that is no pin: %v", err)
	}
}

func TestRegexpFault(t *testing.T) {
	for _, tc := range []struct{ expr, want string }{
		{`a(b`, "missing closing ) at position 2"},
		{`(a)(b(c)`, "missing closing ) at position 4"},
		{`a)b`, "unexpected ) at position 2"},
		{`[a]b[c`, "missing closing ] at position 5"},
		{`[z-a]`, "invalid character class range at position 2"},
		{`*a`, "missing argument to repetition operator at position 1"},
		{`[**]**`, "invalid nested repetition operator at position 5"},
		{`ab\`, `trailing backslash at end of expression at position 3`},
		{`a\qb`, `invalid escape sequence at position 2`},
		{`ab{2000}`, `invalid repeat count at position 3`},
		{`x(?<=a)`, "invalid named capture at position 2"},
		{`(?=a)b`, "invalid or unsupported Perl syntax at position 1"},
		{strings.Repeat("a", 1024) + "(", "missing closing )"},
	} {
		_, err := Regexp("-l", tc.expr)
		if err == nil {
			t.Errorf("%s: no error", tc.expr)
			continue
		}
		if !strings.HasPrefix(err.Error(), "-l ") || !strings.HasSuffix(err.Error(), tc.want) {
			t.Errorf("%s: %s, want %s", tc.expr, err, tc.want)
		}
	}
	re, err := Regexp("-l", "b+")
	if err != nil || !re.MatchString("abbc") {
		t.Errorf("%v %v", re, err)
	}
}

func FuzzRegexp(f *testing.F) {
	for _, s := range []string{`a(b`, `[**]**`, `(?P<n`, `\`, "\xff", `a{2000}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		_, err := Regexp("-n", expr)
		if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("not one plain line: %q", err)
		}
	})
}
