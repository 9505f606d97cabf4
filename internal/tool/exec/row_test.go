package exec

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/print"
	"sonde/internal/prog"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// golden compares got with testdata/NAME.golden.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update rewrites it:\n%s", path, diff)
	}
}

// shown is an exec of the goldens: its record, and those with more of its arguments.
type shown struct {
	start uint64
	made  made
	more  []chunk
}

func (s shown) records(seq uint64) []prog.Record {
	records := []prog.Record{step{seq: seq, time: s.start, exec: &s.made}.record()}
	for _, c := range s.more {
		c.seq = seq
		records = append(records, step{seq: seq, args: &c}.record())
	}
	return records
}

var shownEvents = []shown{
	{start: 1_000_000, made: sample},
	{start: 2_000_000, made: made{ // a script
		flags: flagIDs | flagScript, pid: 4713, tid: 4713, ppid: 4711, uid: 1000, euid: 1000, gid: 100, end: 2_345_678,
		comm: "script.sh", pcomm: "ls", filename: "./script.sh\x00", exe: words("dash", "bin", "usr"), cwd: words("me", "home"),
		dev: 254<<20 | 3, ino: 42, mntns: 4026531841, pidns: 4026531836, cgroup: 1,
		args: words("/bin/sh", "-e", "./script.sh", "one", ""),
	}},
	{start: 3_000_000, made: made{ // failed, some of it not in memory
		flags: flagIDs | flagMore, ret: -2, pid: 4714, tid: 4714, ppid: 4711, uid: 1000, euid: 1000, gid: 100, end: 3_009_000,
		comm: "sh", pcomm: "sh", filename: "/nonexistent\x00", exe: words("dash", "bin", "usr"), cwd: "",
		dev: 254<<20 | 3, ino: 42, mntns: 1, pidns: 2, sid: 3, cgroup: 4,
	}, more: []chunk{{data: words("nonexistent", "") + "ta"}, {data: "il\x00", unreadable: 2, flags: flagArgsFault, last: true}}},
	{start: 4_000_000, made: made{ // a memfd, given by descriptor, on the terminal's nerves
		flags: flagNoLink | flagDetached, pid: 4715, tid: 4716, ppid: 1, end: 5_000_000,
		comm: "\x1b[2J\xff", filename: "/dev/fd/7\x00", exe: words("memfd:payload"), cwd: words("a\nb"), ino: math.MaxUint64,
		dev: math.MaxUint32, args: words("true", "a\nb\r\x1b[31m", "\u202e\xff", `"\`),
	}},
	{start: 5_000_000, made: made{ // deleted, untimed, 32 bits wide, and deep
		flags: flagNoLink | flagUntimed | flagCompat | flagExeCut | flagArgsCut | flagIDs, pid: math.MaxUint32, ppid: 0, end: 6_000_000,
		comm: "sixteen bytes in", filename: "old\x00", exe: words("old", "d"), cwd: words("deep"), args: "old\x00cut he",
	}},
	{start: 6_000_000, made: made{ // nothing but the fixed part: no paths, no ids, no name, no arguments
		flags: flagNoFilename, pid: 9, ret: -14, end: 6_000_000,
	}},
	{start: 7_000_000, made: made{filename: "/bin/true\x00", pid: 10, end: 7_100_000}},                                // argc 0
	{start: 8_000_000, made: made{filename: "/bin/true\x00", pid: 11, end: 8_100_000, args: words(""), exe: "t\x00"}}, // argv[0] empty
}

func show(t *testing.T, show Show, events []shown) {
	t.Helper()
	tr := NewTracer(show)
	for i, e := range events {
		for _, r := range e.records(uint64(i + 1)) {
			if err := tr.Record(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tr.Finish(); err != nil {
		t.Fatal(err)
	}
	if notes := tr.Notes(); len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
}

func TestGoldens(t *testing.T) {
	epoch := time.Date(2026, 11, 20, 9, 8, 7, 0, time.UTC).UnixNano()
	for _, c := range []struct {
		name    string
		classic bool
		sink    func(*bytes.Buffer) print.Sink
	}{
		{"text", false, func(b *bytes.Buffer) print.Sink {
			return print.NewColumns(b, RowType, RowType.Columns, print.ColumnOptions{})
		}},
		{"classic", true, func(b *bytes.Buffer) print.Sink {
			return print.NewColumns(b, RowType, RowType.Columns, print.ColumnOptions{Exact: true})
		}},
		{"json", false, func(b *bytes.Buffer) print.Sink { return print.NewJSON(b, RowType, nil) }},
		{"json-all", false, func(b *bytes.Buffer) print.Sink { return print.NewJSON(b, RowType, allFields()) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			sink := c.sink(&out)
			show(t, Show{Sink: sink, Mono2Wall: epoch, Classic: c.classic}, shownEvents)
			if err := sink.Flush(); err != nil {
				t.Fatal(err)
			}
			golden(t, c.name, out.Bytes())
		})
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		name    string
		made    made
		classic bool
		want    []string
	}{
		{"the file, not argv[0]", made{filename: "/bin/ls\x00", args: words("ls", "-l")}, false, []string{"/bin/ls", "-l"}},
		{"argv[0] alone", made{filename: "/bin/ls\x00", args: words("ls")}, false, []string{"/bin/ls"}},
		{"no argv", made{filename: "/bin/ls\x00"}, false, []string{"/bin/ls"}},
		{"no file", made{flags: flagNoFilename, args: words("ls", "-l")}, false, []string{"ls", "-l"}},
		{"neither", made{flags: flagNoFilename}, false, nil},
		{"an empty file name", made{ret: -2, filename: "\x00", args: words("ls", "-l")}, false, []string{"", "-l"}},
		{
			"a script as it is", made{flags: flagScript, filename: "./s\x00", args: words("/bin/sh", "-e", "./s", "x")}, false,
			[]string{"/bin/sh", "-e", "./s", "x"},
		},
		{
			"a script as the caller wrote it", made{flags: flagScript, filename: "./s\x00", args: words("/bin/sh", "./s", "x")}, true,
			[]string{"./s", "x"},
		},
		{
			"... with an argument of its interpreter", made{flags: flagScript, filename: "./s\x00", args: words("/bin/sh", "-e", "./s", "x")}, true,
			[]string{"./s", "x"},
		},
		{
			"... by descriptor, so that its name is not among the words",
			made{flags: flagScript, filename: "./s\x00", args: words("/bin/sh", "/dev/fd/3", "x")}, true,
			[]string{"./s", "/dev/fd/3", "x"},
		},
		{
			"... with an argument like its name", made{flags: flagScript, filename: "./s\x00", args: words("/bin/sh", "./s", "./s")}, true,
			[]string{"./s", "./s"},
		},
		{
			"a script whose interpreter is missing", made{flags: flagScript, ret: -2, filename: "./s\x00", args: words("s", "x")}, true,
			[]string{"./s", "x"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e event
			if err := e.decodeExec(c.made.body()); err != nil {
				t.Fatal(err)
			}
			m := newRowMaker(0, c.classic)
			m.make(&e)
			var got []string
			for _, w := range m.row.Values[fArgs].List {
				got = append(got, string(w))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The row's own view of the words and the command line made of them must not share storage that one of them changes.
func TestCommandLineLeavesArgvAlone(t *testing.T) {
	var e event
	m := newRowMaker(0, false)
	for range 2 {
		if err := e.decodeExec(made{filename: "/bin/ls\x00", args: words("ls", "-l")}.body()); err != nil {
			t.Fatal(err)
		}
		row := m.make(&e)
		if diff := cmp.Diff([][]byte{[]byte("ls"), []byte("-l")}, row.Values[fArgv].List); diff != "" {
			t.Errorf("argv (-want +got):\n%s", diff)
		}
	}
}

func TestNulls(t *testing.T) {
	paths := []string{"exe", "dev", "ino", "cwd"}
	ids := []string{"cgroup_id", "cgroup", "container", "mntns", "pidns", "tty", "sid"}
	for _, c := range []struct {
		name string
		made made
		null []string
	}{
		{"nothing gathered", made{filename: "f\x00"}, append(paths, ids...)},
		{"paths", made{filename: "f\x00", exe: words("f")}, ids},
		{"ids, no terminal", made{filename: "f\x00", flags: flagIDs}, append(paths, "cgroup", "container", "tty")},
		{"untimed, no name", made{flags: flagUntimed | flagNoFilename}, append(append([]string{"filename", "exectime_ns"}, paths...), ids...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e event
			if err := e.decodeExec(c.made.body()); err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{}
			for _, key := range c.null {
				want[key] = true
			}
			row := newRowMaker(0, false).make(&e)
			for i, f := range RowType.Fields {
				if row.Values[i].Null != want[f.Key] {
					t.Errorf("%s: null is %v, want %v", f.Key, row.Values[i].Null, want[f.Key])
				}
			}
		})
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		flags uint16
		exe   string
		want  []string
	}{
		{0, words("f"), nil},
		{flagScript | flagCompat, words("f"), []string{"script", "compat"}},
		{flagNoLink, words("f"), []string{"deleted"}},
		{flagNoLink | flagDetached, words("memfd:x"), []string{"memfd"}},
		{flagNoLink, words("memfd:x", "tmp"), []string{"deleted"}}, // a removed file of that name
		{flagDetached, words("memfd:x"), nil},                      // it has a link
		{flagNoLink | flagDetached, words("x"), []string{"deleted"}},
		{flagUntimed | flagExeCut, words("f"), []string{"untimed", "path_cut"}},
		{flagCwdCut, words("f"), []string{"path_cut"}},
		{flagMore | flagArgsCut | flagArgsFault | flagNoFilename | flagIDs, words("f"), nil}, // told by other fields
	} {
		var e event
		if err := e.decodeExec(made{flags: c.flags, exe: c.exe}.body()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range appendFlags(nil, &e) {
			got = append(got, string(s))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%#x of %q (-want +got):\n%s", c.flags, c.exe, diff)
		}
	}
}

// The kernel's device numbers are 12 and 20 bits; stat(2)'s are as unix.Mkdev packs them.
func TestStatDev(t *testing.T) {
	for _, major := range []uint32{0, 1, 8, 254, 255, 256, 259, 0xfff} {
		for _, minor := range []uint32{0, 1, 0xff, 0x100, 0x1ff, 0xfff, 0x1000, 0xfffff} {
			got, want := statDev(major<<20|minor), unix.Mkdev(major, minor)
			if got != want || unix.Major(got) != major || unix.Minor(got) != minor {
				t.Errorf("%d:%d: %#x, want %#x", major, minor, got, want)
			}
		}
	}
}
