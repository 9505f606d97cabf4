package open

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/target"
	"sonde/internal/vmtest"
)

// need are the features without which no hook works.
func need(t *testing.T) {
	t.Helper()
	vmtest.Need(t, kernel.BTF, kernel.RawTracepoint, kernel.RingBuffer)
}

// eachHook runs a test with every hook that this kernel has.
func eachHook(t *testing.T, hooks []Hook, test func(t *testing.T, p Plan)) {
	need(t)
	k := facts(t)
	for _, hook := range hooks {
		t.Run(string(hook), func(t *testing.T) {
			switch hook {
			case HookTracepoint:
				vmtest.Need(t, kernel.Tracepoint)
			case HookKprobe:
				vmtest.Need(t, kernel.Kprobe)
			case HookFentry, HookLSM:
				vmtest.Need(t, kernel.Fentry)
			}
			p, err := Choose(hook, k)
			if err != nil {
				t.Fatal(err)
			}
			test(t, p)
		})
	}
}

// shows says whether a Plan shows a way.
func shows(p Plan, way Way) bool {
	for _, w := range p.CannotShow() {
		if w == way {
			return false
		}
	}
	return true
}

// seen is what a record is to say.
type seen struct {
	path, file string
	full       string // where file is empty
	how        fileevent.How
	way        Way
	flags      uint64
	mode       uint16
	fails      unix.Errno
	marks      fileevent.Mark // these are set
	not        fileevent.Mark // these are not
	dirfd      bool           // the descriptor that the child said
}

func TestKernelOpens(t *testing.T) {
	eachHook(t, Hooks(), func(t *testing.T, p Plan) {
		c := startChild(t)
		tr := startTrace(t, Options{Plan: p, Fields: allFields()}, target.Options{Trees: []string{pidOf(c)}})
		d := c.dir
		long := d + strings.Repeat("/", 4095-len(d)-4) + "file"
		cases := []struct {
			order string
			want  seen
		}{
			{"openat " + d + "/file", seen{path: d + "/file", file: d + "/file", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC, not: fileevent.Created}},
			{"openat file", seen{path: "file", file: d + "/file", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"openat link", seen{path: "link", file: d + "/sub/inner", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"openat ./sub/../sub//inner", seen{path: "./sub/../sub//inner", file: d + "/sub/inner", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"openat /", seen{path: "/", file: "/", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"openat " + long, seen{path: long, file: d + "/file", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC, not: fileevent.PathCut}},
			{"openat /" + long, seen{path: ("/" + long)[:4095], full: ("/" + long)[:4095] + "...", fails: unix.ENAMETOOLONG, how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC, marks: fileevent.PathCut}},
			{"create made", seen{path: "made", file: d + "/made", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, mode: 0o640, marks: fileevent.Created}},
			{"create file", seen{path: "file", file: d + "/file", how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, mode: 0o640, not: fileevent.Created}},
			{"openat2 sub/inner", seen{path: "sub/inner", file: d + "/sub/inner", how: fileevent.ByOpenat2, way: WayOpenat2, flags: unix.O_RDWR | unix.O_APPEND}},
			{"dirfd inner", seen{path: "inner", file: d + "/sub/inner", how: fileevent.ByOpenat, way: WayOpenat, dirfd: true}},
			{"dirfd nothing", seen{path: "nothing", full: d + "/sub/nothing", fails: unix.ENOENT, how: fileevent.ByOpenat, way: WayOpenat, dirfd: true}},
			{"openat nothing", seen{path: "nothing", full: d + "/nothing", fails: unix.ENOENT, how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"openat " + d + "/nothing", seen{path: d + "/nothing", full: d + "/nothing", fails: unix.ENOENT, how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"openat " + d + "/file/x", seen{path: d + "/file/x", full: d + "/file/x", fails: unix.ENOTDIR, how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"openat", seen{path: "", full: d, fails: unix.ENOENT, how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_CLOEXEC}},
			{"fault", seen{path: "", fails: unix.EFAULT, how: fileevent.ByOpenat, way: WayOpenat, marks: fileevent.NoPath}},
			{"tmpfile", seen{path: d, how: fileevent.ByOpenat, way: WayOpenat, flags: unix.O_TMPFILE | unix.O_RDWR, mode: 0o600, marks: fileevent.Created | fileevent.Deleted}},
			{"open file", seen{path: "file", file: d + "/file", how: fileevent.ByOpen, way: WayOpen, flags: unix.O_NOFOLLOW}},
			{"open link", seen{path: "link", full: d + "/link", fails: unix.ELOOP, how: fileevent.ByOpen, way: WayOpen, flags: unix.O_NOFOLLOW}},
			{"creat new", seen{path: "new", file: d + "/new", how: fileevent.ByCreat, way: WayCreat, flags: unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, mode: 0o604, marks: fileevent.Created | fileevent.NoDirFD}},
			{"handle handle", seen{path: "", file: d + "/handle", how: fileevent.ByHandle, way: WayHandle, marks: fileevent.NoDirFD}},
		}
		for _, e := range cases {
			if orders[strings.Fields(e.order)[0]] == nil {
				continue // not on this architecture
			}
			if e.want.fails != 0 && !shows(p, WayFailed) || !shows(p, e.want.way) {
				c.do(t, e.order)
				tr.events(t)
				continue
			}
			tr.events(t)
			said := strings.Fields(c.do(t, e.order))
			if said[len(said)-1] == "unsupported" {
				continue
			}
			events := tr.events(t)
			var found *fileevent.Event
			for _, got := range of(events, e.want.path) {
				if found == nil && (e.want.how == fileevent.ByHandle) == (got.How == fileevent.ByHandle) && (e.want.path != "" || e.want.file == "" || string(got.AppendFile(nil)) == e.want.file) {
					found = got
				}
			}
			if found == nil {
				show(t, events)
				t.Errorf("%.60s: no record", e.order)
				continue
			}
			check(t, p, e.order, &e.want, found, said[1:], c)
		}
	})
}

// check holds one record against what it is to say.
func check(t *testing.T, p Plan, order string, want *seen, got *fileevent.Event, said []string, c *child) {
	t.Helper()
	bad := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%.60s: %s", order, fmt.Sprintf(format, args...))
		show(t, []*fileevent.Event{got})
	}
	if file := string(got.AppendFile(nil)); want.fails == 0 && want.file != "" && (!got.HasFile() || file != want.file) {
		bad("file %q, want %q", file, want.file)
	}
	if full := string(got.AppendFull(nil)); want.full != "" && full != want.full {
		bad("full path %q, want %q", full, want.full)
	}
	var st unix.Stat_t
	if want.file != "" && unix.Stat(want.file, &st) == nil && (fileevent.StatDev(got.Dev) != st.Dev || got.Ino != st.Ino) {
		bad("device %#x and inode %d, want %#x and %d", fileevent.StatDev(got.Dev), got.Ino, st.Dev, st.Ino)
	}
	if got.Marks&want.marks != want.marks || got.Marks&want.not != 0 {
		bad("marks %s, want %s and not %s", markText(got.Marks), markText(want.marks), markText(want.not))
	}
	if int(got.PID) != c.cmd.Process.Pid || got.UID != 0 || string(got.Comm()) != "open.test" || got.PPID != uint32(os.Getpid()) {
		bad("not by the child")
	}
	if got.Marks&fileevent.NoMode == 0 != (want.mode != 0) || want.mode != 0 && got.Mode != want.mode {
		bad("mode %#o, want %#o", got.Mode, want.mode)
	}
	const added = unix.O_LARGEFILE | 0o100000 // by the kernel, behind the system call
	if got.Flags&^added != want.flags&^added {
		bad("flags %#x, want %#x", got.Flags, want.flags)
	}
	if p.Hook == HookLSM {
		return
	}
	if got.Marks&fileevent.Untimed != 0 || got.Duration == 0 || got.Time == 0 {
		bad("it has no time")
	}
	if ret := fmt.Sprint(got.Ret); ret != said[0] {
		bad("returned %s, the child was told %s", ret, said[0])
	}
	if want.dirfd && fmt.Sprint(got.DirFD) != said[1] {
		bad("directory %d, want %s", got.DirFD, said[1])
	}
	if got.How != want.how {
		bad("by %s, want %s", got.How, want.how)
	}
}

// A path of 4,095 bytes may have two thousand names. What is not cut is not marked, what is cut is.
func TestKernelDeepPaths(t *testing.T) {
	need(t)
	c := startChild(t)
	tr := startTrace(t, Options{Plan: Plan{Hook: HookRaw}, Fields: allFields()}, target.Options{PIDs: []string{pidOf(c)}})
	for _, size := range []int{200, 1000, 4095} {
		said := strings.Fields(c.do(t, fmt.Sprint("deep ", size)))
		events := tr.events(t)
		var levels int
		fmt.Sscan(said[2], &levels)
		want := c.dir + "/deep" + strings.Repeat("/d", levels) + "/f"
		last := events[len(events)-1]
		if got := string(last.AppendFile(nil)); got != want || len(last.Path()) != size || last.Marks&(fileevent.FileCut|fileevent.PathCut) != 0 {
			t.Errorf("%d levels: file of %d bytes, path of %d; want %d and %d; marks %s", levels, len(got), len(last.Path()), len(want), size, markText(last.Marks))
		}
	}
}

func TestKernelDetached(t *testing.T) {
	need(t)
	c := startChild(t)
	tr := startTrace(t, Options{Plan: Plan{Hook: HookRaw}, Fields: allFields()}, target.Options{PIDs: []string{pidOf(c)}})
	for order, want := range map[string]string{"memfd": "memfd:x", "deleted": c.dir + "/gone"} {
		c.do(t, order)
		events := tr.events(t)
		e := events[len(events)-1]
		if got := string(e.AppendFile(nil)); got != want || e.Marks&fileevent.Deleted == 0 || e.Marks&fileevent.Detached != 0 != (order == "memfd") {
			show(t, events)
			t.Errorf("%s: file %q with marks %s, want %q", order, got, markText(e.Marks), want)
		}
	}
}

// The file reached is told from the root of the mount namespace, past mounts and a chroot.
func TestKernelMounts(t *testing.T) {
	need(t)
	c := startChild(t)
	tr := startTrace(t, Options{Plan: Plan{Hook: HookRaw}, Fields: allFields()}, target.Options{PIDs: []string{pidOf(c)}})
	c.do(t, "mounts")
	var got []string
	for _, e := range tr.events(t) {
		if path := string(e.Path()); strings.HasPrefix(path, c.dir) || path == "/sub/inner" || strings.HasPrefix(path, "/proc/thread-self/fd/") {
			got = append(got, fmt.Sprintf("%s %v", e.AppendFile(nil), e.Marks&fileevent.Detached != 0))
		}
	}
	want := []string{
		c.dir + "/deep/of-tmpfs false", c.dir + "/handle false", c.dir + "/deep/of-tmpfs false", "of-tmpfs true",
		c.dir + "/sub/inner false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestKernelThread(t *testing.T) {
	need(t)
	c := startChild(t)
	tr := startTrace(t, Options{Plan: Plan{Hook: HookRaw}, Fields: allFields()}, target.Options{PIDs: []string{pidOf(c)}})
	said := strings.Fields(c.do(t, "thread file"))
	found := of(tr.events(t), "file")
	if len(found) != 1 || fmt.Sprint(found[0].TID) != said[1] || found[0].TID == found[0].PID {
		show(t, found)
		t.Errorf("want one open by thread %s", said[1])
	}
}

// A program of 32 bits has numbers of its own for system calls.
func TestKernelCompat(t *testing.T) {
	eachHook(t, Hooks(), func(t *testing.T, p Plan) {
		if orders["compat"] == nil {
			t.Skip("kernel lacks 32-bit programs on this architecture")
		}
		if !shows(p, WayCompat) {
			return
		}
		c := startChild(t)
		tr := startTrace(t, Options{Plan: p, Fields: allFields()}, target.Options{Trees: []string{pidOf(c)}})
		if err := os.Chmod(c.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat("/proc/sys/abi/syscall32"); err != nil && vmtest.Guest() == "" {
			if b, err := os.ReadFile("/proc/kallsyms"); err != nil || !strings.Contains(string(b), "ia32_sys_call") {
				t.Skip("kernel lacks ia32 emulation")
			}
		}
		c.do(t, "compat "+c.dir+"/sub/inner")
		events := tr.events(t)
		found := of(events, c.dir+"/sub/inner")
		if len(found) != 1 || found[0].Marks&fileevent.Compat == 0 || string(found[0].AppendFile(nil)) != c.dir+"/sub/inner" {
			show(t, events)
			t.Errorf("want one open by a 32-bit program")
		}
	})
}

// What no system call of the family opens.
func TestKernelInner(t *testing.T) {
	eachHook(t, []Hook{HookAuto, HookFentry, HookLSM}, inner)
	t.Run("kprobes", func(t *testing.T) {
		need(t)
		vmtest.Need(t, kernel.Kprobe)
		k := facts(t)
		k.Fentry = false
		p, err := Choose(HookAuto, k)
		if err != nil {
			t.Fatal(err)
		}
		inner(t, p)
	})
}

func inner(t *testing.T, p Plan) {
	t.Helper()
	c := startChild(t)
	tr := startTrace(t, Options{Plan: p, Fields: allFields()}, target.Options{Trees: []string{pidOf(c)}})
	if said := c.do(t, "io_uring "+c.dir+"/sub/inner"); said != "done unsupported" && shows(p, WayIOUring) {
		events := tr.events(t)
		n := 0
		for _, e := range events {
			if e.How == fileevent.ByIOUring && string(e.AppendFile(nil)) == c.dir+"/sub/inner" && (p.Hook == HookLSM || string(e.Path()) == c.dir+"/sub/inner") {
				n++
			}
		}
		if n != 1 {
			show(t, events)
			t.Errorf("%d opens by io_uring, want 1", n)
		}
	}
	c.do(t, "exec "+c.dir+"/script")
	events := tr.events(t)
	var script, shell bool
	for _, e := range events {
		if e.How == fileevent.ByExec {
			script = script || string(e.AppendFile(nil)) == c.dir+"/script"
			shell = shell || string(e.Path()) == "/bin/sh"
		}
	}
	if script != shows(p, WayScript) || !shell && p.Hook != HookLSM {
		show(t, events)
		t.Errorf("the script's open is shown: %v; its interpreter's: %v", script, shell)
	}
}

// What the tracing process itself opens is not told, also if it is asked for: showing a record may take opens.
func TestKernelSelf(t *testing.T) {
	need(t)
	tr := startTrace(t, Options{Plan: Plan{Hook: HookRaw}}, target.Options{PIDs: []string{fmt.Sprint(os.Getpid())}})
	if _, err := os.ReadFile("/proc/self/stat"); err != nil {
		t.Fatal(err)
	}
	if events := tr.events(t); len(events) > 0 {
		show(t, events)
		t.Error("opens by the tracing process are told")
	}
}

// What is not asked for is not told.
func TestKernelFilters(t *testing.T) {
	need(t)
	flag := func(name string) fileevent.Flag {
		f, ok := fileevent.FlagNamed(name)
		if !ok {
			t.Fatal(name)
		}
		return f
	}
	for _, test := range []struct {
		name string
		opt  Options
		want string
	}{
		{"all", Options{}, "file made made file nothing"},
		{"failed", Options{Failed: true}, "nothing"},
		{"write", Options{Write: true}, "made made file"},
		{"created", Options{Created: true}, "made"},
		{"another thread", Options{TID: 1}, ""},
		{"flag", Options{Flags: []fileevent.Flag{flag("O_CREAT")}}, "made made"},
		{"access mode", Options{Flags: []fileevent.Flag{flag("O_RDONLY")}}, "file nothing"},
		{"either", Options{Flags: []fileevent.Flag{flag("O_RDWR"), flag("O_CLOEXEC")}}, "file file nothing"},
		{"two bits", Options{Flags: []fileevent.Flag{flag("O_TMPFILE"), flag("O_SYNC")}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := startChild(t)
			test.opt.Plan = Plan{Hook: HookRaw}
			tr := startTrace(t, test.opt, target.Options{PIDs: []string{pidOf(c)}})
			for _, order := range []string{"openat file", "create made", "create made", "openat2 file", "openat nothing"} {
				c.do(t, order)
			}
			var got []string
			for _, e := range tr.events(t) {
				got = append(got, string(e.Path()))
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("told of %q, want %q", s, test.want)
			}
		})
	}
}

// The programs load on this kernel, whatever is asked of them.
func TestKernelLoads(t *testing.T) {
	eachHook(t, Hooks(), func(t *testing.T, p Plan) {
		for _, fields := range [][]string{nil, {"path"}, {"full"}, allFields()} {
			startTrace(t, Options{Plan: p, Fields: fields, Write: true, Created: true}, target.Options{User: "65534"})
		}
	})
}
