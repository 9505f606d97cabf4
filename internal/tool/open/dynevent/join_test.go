package dynevent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// format is an event's format with one path, as kernels write it.
const format = `name: enter_1
ID: 2000
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:unsigned long __probe_ip;	offset:8;	size:8;	signed:0;
	field:s32 dfd;	offset:16;	size:4;	signed:1;
	field:u64 flags;	offset:20;	size:8;	signed:0;
	field:u64 mode;	offset:28;	size:8;	signed:0;
	field:__data_loc char[] comm;	offset:36;	size:4;	signed:1;
	field:__data_loc char[] path;	offset:40;	size:4;	signed:1;

print fmt: "(%lx) dfd=%d", REC->__probe_ip, REC->dfd
`

func testLayout(t *testing.T) *layout {
	t.Helper()
	f, err := kernel.ParseFormat("g", format)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lay(f, layout{part: partEnter, how: uint16(fileevent.ByHook)}, byCall)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// raw is an event of that format.
func raw(tid uint32, dfd int32, flags, mode uint64, comm, path string) []byte {
	b := make([]byte, 44)
	le := binary.NativeEndian
	le.PutUint32(b[4:], tid)
	le.PutUint32(b[16:], uint32(dfd))
	le.PutUint64(b[20:], flags)
	le.PutUint64(b[28:], mode)
	le.PutUint32(b[36:], uint32(len(b))|uint32(len(comm))<<16)
	b = append(b, comm...)
	le.PutUint32(b[40:], uint32(len(b))|uint32(len(path))<<16)
	return append(b, path...)
}

func TestDecode(t *testing.T) {
	l := testLayout(t)
	for _, c := range []struct {
		name, path, want string
		known            bool
	}{
		{"usual", "/etc/passwd\x00", "/etc/passwd", true},
		{"empty", "\x00", "", true},
		{"not in memory, before 5.11", "", "", false},
		{"not in memory", "(fault)\x00", "", false},
		{"only like it", "(fault)s\x00", "(fault)s", true},
		{"no end", "abc", "abc", true},
	} {
		var e event
		if err := l.decode(&e, raw(7, -100, 0o101, 0o644, "cat\x00", c.path)); err != nil {
			t.Error(c.name, err)
		}
		if string(e.path) != c.want || e.known != c.known {
			t.Errorf("%s: %q, %v", c.name, e.path, e.known)
		}
		if e.task != 7 || e.dirfd != -100 || e.flags != 0o101 || e.mode != 0o644 || string(cString(e.comm[:])) != "cat" {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
	whole := raw(7, -100, 0o101, 0o644, "cat\x00", "/etc/passwd\x00")
	for n := range whole {
		var e event
		if err := l.decode(&e, whole[:n]); err == nil {
			t.Errorf("%d bytes of %d are enough", n, len(whole))
		}
	}
}

func TestLay(t *testing.T) {
	f, err := kernel.ParseFormat("g", format)
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range []fieldNames{{ret: "ret"}, {path: "dfd"}, {path: "nothing"}, {flags: "nothing"}} {
		if l, err := lay(f, layout{}, names); err == nil {
			t.Errorf("%+v: %+v", names, l)
		}
	}
	odd := strings.Replace(format, "field:u64 flags;	offset:20;	size:8", "field:u64 flags;	offset:20;	size:3", 1)
	if f, err = kernel.ParseFormat("g", odd); err != nil {
		t.Fatal(err)
	}
	if _, err := lay(f, layout{}, byCall); err == nil {
		t.Error("a number of 3 bytes")
	}
}

func TestJoin(t *testing.T) {
	enter := &layout{part: partEnter, how: uint16(fileevent.ByHook), dirfd: field{size: 4}, mode: field{size: 2}}
	handle := &layout{part: partEnter, how: uint16(fileevent.ByHandle), path: -1}
	exit := &layout{part: partExit, how: uint16(fileevent.ByHook)}
	look := &layout{part: partName, dirfd: field{size: 4}, mode: field{size: 2}}
	opened := &layout{part: partOpened}
	life := &layout{part: partNewTask}
	at := func(time uint64, tid uint32, l *layout, path string, ret int64) event {
		return event{part: l.part, source: l, time: time, task: tid, dirfd: -100, path: []byte(path), known: path != "", ret: ret}
	}
	flagged := func(e event, flags uint64) event { e.flags = flags; return e }
	task := func(p part, time uint64, tid, other uint32, flags uint64) event {
		return event{part: p, source: life, time: time, task: tid, other: other, flags: flags}
	}
	for _, c := range []struct {
		name   string
		events []event
		want   []string // START DURATION PID/TID PATH RET HOW MARKS
		lost   string   // endless startless unread strangers
	}{
		{"the user's name alone", []event{at(10, 5, enter, "a", 0), at(13, 5, exit, "", 3)}, []string{`10 3 5/5 "a" 3 hook [no_file]`}, "0 0 0 0"},
		{"the kernel's name wins", []event{at(10, 5, enter, "harmless", 0), at(11, 5, look, "real", 0), at(12, 5, opened, "", -1), at(13, 5, exit, "", 3)},
			[]string{`10 3 5/5 "real" 3 hook [no_file]`}, "0 0 0 0"},
		{"not in memory at first", []event{at(10, 5, enter, "", 0), at(11, 5, look, "real", 0), at(13, 5, exit, "", -2)},
			[]string{`10 3 5/5 "real" -2 hook [no_file]`}, "0 0 0 0"},
		{"not in memory at all", []event{at(10, 5, enter, "", 0), at(13, 5, exit, "", -14)},
			[]string{`10 3 5/5 "" -14 hook [no_path no_file]`}, "0 0 1 0"},
		{"empty, before 5.11", []event{at(10, 5, enter, "", 0), at(13, 5, exit, "", -2)},
			[]string{`10 3 5/5 "" -2 hook [no_file]`}, "0 0 0 0"},
		{"an exec's", []event{flagged(at(10, 5, look, "/bin/sh", 0), fmodeExec), at(14, 5, opened, "", -0x7f00_0000_0000)},
			[]string{`10 4 5/5 "/bin/sh" 0 exec [no_file]`}, "0 0 0 0"},
		{"a failed one of the kernel's own", []event{at(10, 5, look, "x", 0), at(14, 5, opened, "", -2)},
			[]string{`10 4 5/5 "x" -2 hook [no_file]`}, "0 0 0 0"},
		{"a handle", []event{at(10, 5, handle, "", 0), at(13, 5, exit, "", 3)},
			[]string{`10 3 5/5 "" 3 open_by_handle_at [no_path no_file]`}, "0 0 0 0"},
		{"two threads at once", []event{at(10, 5, enter, "a", 0), at(11, 6, enter, "b", 0), at(12, 5, exit, "", 3), at(13, 6, exit, "", 4)},
			[]string{`10 2 5/5 "a" 3 hook [no_file]`, `11 2 5/6 "b" 4 hook [no_file]`}, "0 0 0 0"},
		{"an end without a start", []event{at(13, 5, exit, "", 3)}, []string{`13 0 5/5 "" 3 hook [untimed no_path no_file]`}, "0 1 0 0"},
		{"a start without an end", []event{at(10, 5, enter, "a", 0), at(12, 5, enter, "b", 0), at(13, 5, exit, "", 3)},
			[]string{`12 1 5/5 "b" 3 hook [no_file]`}, "1 0 0 0"},
		{"it ended in the middle", []event{at(10, 5, enter, "a", 0), task(partEnded, 11, 5, 0, 0)}, nil, "1 0 0 0"},
		{"a new thread", []event{task(partNewTask, 1, 5, 9, cloneThread), at(10, 9, enter, "a", 0), at(13, 9, exit, "", 3)},
			[]string{`10 3 5/9 "a" 3 hook [no_file]`}, "0 0 0 0"},
		{"a new process", []event{task(partNewTask, 1, 6, 9, 0), at(10, 9, enter, "a", 0), at(13, 9, exit, "", 3)},
			[]string{`10 3 9/9 "a" 3 hook [no_file]`}, "0 0 0 0"},
		{"a thread that executes", []event{task(partExec, 1, 5, 6, 0), at(10, 5, enter, "a", 0), at(13, 5, exit, "", 3)},
			[]string{`10 3 5/5 "a" 3 hook [no_file]`}, "0 0 0 0"},
		{"nobody knows who", []event{at(10, 77, enter, "a", 0), at(13, 77, exit, "", 3)}, nil, "0 0 0 1"},
		{"sonde itself", []event{at(10, 1, enter, "a", 0), at(13, 1, exit, "", 3)}, nil, "0 0 0 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			who := newTasks(1, nil, false)
			who.proc = t.TempDir()
			who.process = map[uint32]uint32{1: 1, 5: 5, 6: 5}
			j := &joiner{tasks: who, looks: true, opens: make(map[uint32]*call), record: func(r prog.Record) error {
				var e fileevent.Event
				if _, err := e.Decode(r.Body, 0); err != nil {
					return err
				}
				var marks []string
				for _, m := range e.Marks.AppendNames(nil) {
					marks = append(marks, string(m))
				}
				got = append(got, fmt.Sprintf("%d %d %d/%d %q %d %s %v", r.Time, e.Duration, e.PID, e.TID, e.Path(), e.Ret, e.How, marks))
				return nil
			}}
			for _, e := range c.events {
				if err := j.see(&e); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error("records (-want +got):\n", diff)
			}
			if lost := fmt.Sprint(j.endless, j.startless, j.unread, j.strangers); lost != c.lost {
				t.Errorf("lost %s, want %s", lost, c.lost)
			}
		})
	}
	// What the reader of records says comes back.
	stop := errors.New("stop")
	who := newTasks(1, nil, false)
	who.process[5] = 5
	j := &joiner{tasks: who, opens: make(map[uint32]*call), record: func(prog.Record) error { return stop }}
	e := at(13, 5, exit, "", 3)
	if err := j.see(&e); err != stop {
		t.Error(err)
	}
}

func TestTasksTree(t *testing.T) {
	proc := t.TempDir()
	for _, dir := range []string{"10/task/10", "10/task/11", "20/task/20"} {
		if err := os.MkdirAll(filepath.Join(proc, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	who := newTasks(1, []uint32{20}, true)
	who.proc = proc
	for _, pid := range []uint32{10, 20} {
		want := []uint32{10, 11}
		if pid == 20 {
			want = []uint32{20}
		}
		missing, err := who.enter(pid, pid == 10)
		slices.Sort(missing)
		if err != nil || !slices.Equal(missing, want) {
			t.Errorf("%d: %v, %v", pid, missing, err)
		}
		if missing, _ = who.enter(pid, pid == 10); len(missing) > 0 {
			t.Errorf("%d again: %v", pid, missing)
		}
	}
	for _, s := range []struct {
		part       part
		task, what uint32
		flags      uint64
		ended      bool
	}{
		{partNewTask, 11, 12, cloneThread, false}, // 10/12
		{partNewTask, 12, 30, 0, false},           // a child of it
		{partNewTask, 12, 30, 0, false},           // told twice
		{partNewTask, 20, 40, 0, false},           // of the other one: not in the tree
		{partEnded, 10, 0, 0, false},
		{partEnded, 11, 0, 0, false},
		{partExec, 10, 12, 0, false}, // the last thread becomes the leader
		{partEnded, 10, 0, 0, false},
		{partEnded, 40, 0, 0, false},
		{partEnded, 30, 0, 0, true},
	} {
		who.see(&event{part: s.part, task: s.task, other: s.what, flags: s.flags})
		if who.ended != s.ended {
			t.Errorf("%+v: ended %v; %v", s, who.ended, who.tree)
		}
		if s.part == partNewTask {
			if pid, ok := who.of(s.what); ok != (s.what != 40) || pid != map[uint32]uint32{12: 10, 30: 30, 40: 40}[s.what] {
				t.Errorf("%d: %d, %v", s.what, pid, ok)
			}
		}
	}
	if len(who.tree) != 0 || len(who.process) != 1 {
		t.Errorf("left: %v, %v", who.tree, who.process)
	}
	if pid, ok := who.of(20); pid != 20 || !ok {
		t.Errorf("20: %d, %v", pid, ok)
	}
}

func TestTasksLook(t *testing.T) {
	proc := t.TempDir()
	for tid, text := range map[string]string{"7": "Name:\tx\nTgid:\t5\nPid:\t7\n", "8": "Tgid:\tx\n", "9": ""} {
		if err := os.MkdirAll(filepath.Join(proc, tid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, tid, "status"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	who := newTasks(1, nil, false)
	who.proc = proc
	for tid, want := range map[uint32]uint32{7: 5, 8: 0, 9: 0, 10: 0} {
		if pid, _ := who.of(tid); pid != want {
			t.Errorf("%d: %d, want %d", tid, pid, want)
		}
	}
}
