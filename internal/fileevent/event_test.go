package fileevent

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// made is a record that a test makes by hand.
type made struct {
	marks            Mark
	how              How
	ret, dirfd       int32
	flags, ino       uint64
	dev              uint32
	mode             uint16
	extra            string
	path, file, base string // file and base as the kernel sends them: names, the innermost first
}

func (m made) body() []byte {
	b := make([]byte, Fixed)
	le := binary.NativeEndian
	le.PutUint64(b[atDuration:], 1500)
	le.PutUint64(b[atCgroupID:], 77)
	le.PutUint64(b[atCSSSet:], 78)
	le.PutUint64(b[atIno:], m.ino)
	le.PutUint64(b[atFlags:], m.flags)
	for at, v := range map[int]uint32{
		atDev: m.dev, atPID: 4711, atTID: 4712, atPPID: 4700, atUID: 1000, atDirFD: uint32(m.dirfd), atRet: uint32(m.ret),
		atMarks: uint32(m.marks),
	} {
		le.PutUint32(b[at:], v)
	}
	for at, v := range map[int]int{atMode: int(m.mode), atHow: int(m.how), atPathLen: len(m.path), atFileLen: len(m.file), atBaseLen: len(m.base)} {
		le.PutUint16(b[at:], uint16(v))
	}
	copy(b[atComm:atComm+16], "cat")
	copy(b[atPComm:atPComm+16], "sixteen-bytes-oh")
	return append(b, m.extra+m.path+m.file+m.base...)
}

// names ends each name with NUL, as the programs send them.
func names(s ...string) string { return strings.Join(s, "\x00") + "\x00" }

func TestDecode(t *testing.T) {
	m := made{
		marks: Walked | Based, how: ByOpenat, ret: 3, dirfd: AtFDCWD, flags: unix.O_CLOEXEC, ino: 99, dev: 8<<20 | 1, mode: 0o644,
		extra: "12345678", path: "b/c", file: names("c", "b", "a"), base: names("a"),
	}
	body := m.body()
	var e Event
	extra, err := e.Decode(body, 8)
	if err != nil {
		t.Fatal(err)
	}
	if string(extra) != "12345678" {
		t.Errorf("the tool's own bytes are %q", extra)
	}
	for i := range body {
		body[i] = 0xaa // as the ring is
	}
	if got := string(e.AppendFile(nil)) + " " + string(e.AppendFull(nil)) + " " + string(e.Path()) + " " + string(e.Comm()) + " " + string(e.PComm()); got !=
		"/a/b/c /a/b/c b/c cat sixteen-bytes-oh" {
		t.Errorf("texts %q", got)
	}
	if e.PID != 4711 || e.TID != 4712 || e.PPID != 4700 || e.UID != 1000 || e.DirFD != AtFDCWD || e.Ret != 3 || e.Dev != 8<<20|1 ||
		e.Ino != 99 || e.Mode != 0o644 || e.How != ByOpenat || e.Duration != 1500 || e.CgroupID != 77 || e.CSSSet != 78 || e.Flags != unix.O_CLOEXEC {
		t.Errorf("numbers: %+v", e)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := made{path: "x"}.body()
	long := made{path: "x"}.body()
	binary.NativeEndian.PutUint16(long[atFileLen:], 0xffff)
	for name, c := range map[string]struct {
		body  []byte
		extra int
	}{
		"nothing":              {nil, 0},
		"short":                {good[:Fixed-1], 0},
		"too short for extra":  {good, 2},
		"extra takes the path": {good, 1},
		"negative extra":       {good, -1},
		"a part too long":      {long, 0},
		"bytes left over":      {append(bytes.Clone(good), 0), 0},
	} {
		var e Event
		if _, err := e.Decode(c.body, c.extra); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		name             string
		made             made
		file, path, full string
	}{
		{"root", made{marks: Walked, ino: 2, path: "/"}, "/", "/", "/"},
		{"deep", made{marks: Walked, ino: 2, file: names("c", "b", "a"), path: "c"}, "/a/b/c", "c", "/a/b/c"},
		{"cut", made{marks: Walked | FileCut, ino: 2, file: names("c", "b"), path: "c"}, ".../b/c", "c", ".../b/c"},
		{"a memfd", made{marks: Walked | Detached | Deleted, ino: 2, file: names("memfd:x"), path: "/proc/self/fd/3"}, "memfd:x", "/proc/self/fd/3", "memfd:x"},
		{"a tree not mounted any more", made{marks: Walked | Detached, ino: 2, file: names("b", "a"), path: "b"}, "/a/b", "b", "/a/b"},
		{"above a mount's root", made{marks: Walked, ino: 2, file: names("b", "a", "/"), path: "b"}, "/a/b", "b", "/a/b"},
		{"failed, relative", made{marks: Based, ret: -2, path: "../x", base: names("b", "a")}, "-", "../x", "/a/b/../x"},
		{"failed, in the root directory", made{marks: Based, ret: -2, path: "x"}, "-", "x", "/x"},
		{"failed, the base is cut", made{marks: Based | BaseCut, ret: -2, path: "x", base: names("b")}, "-", "x", ".../b/x"},
		{"failed, empty", made{marks: Based, ret: -2, base: names("b")}, "-", "", "/b"},
		{"failed, absolute", made{ret: -2, path: "/x"}, "-", "/x", "/x"},
		{"not asked for", made{ino: 2, path: "x"}, "-", "x", "x"},
		{"not read", made{marks: NoFile, path: "x"}, "-", "x", "x"},
		{"too long", made{marks: PathCut, ret: -36, path: "/aaa"}, "-", "/aaa...", "/aaa..."},
		{"not in memory", made{marks: NoPath, ret: -14}, "-", "null", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Event
			if _, err := e.Decode(c.made.body(), 0); err != nil {
				t.Fatal(err)
			}
			m := NewMaker(0, nil)
			values := make([]prog.Value, len(Fields))
			m.Fill(values, &e)
			shown := func(v prog.Value, null string) string {
				if v.Null {
					return null
				}
				return string(v.Bytes)
			}
			want := []string{c.file, c.path, c.full}
			got := []string{shown(values[fFile], "-"), shown(values[fPath], "null"), string(e.AppendFull(nil))}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("file, path and full path (-want +got):\n%s", diff)
			}
			if null := values[fDev].Null; null != (c.made.ino == 0) {
				t.Errorf("dev is null: %v", null)
			}
		})
	}
}

func TestFill(t *testing.T) {
	var e Event
	if _, err := e.Decode(made{marks: NoDirFD | NoMode | Untimed, ret: -int32(unix.ENOENT), path: "/x"}.body(), 0); err != nil {
		t.Fatal(err)
	}
	e.Time = 5
	m := NewMaker(1000, nil)
	values := make([]prog.Value, len(Fields)+2)
	m.Fill(values, &e)
	if values[fTime].Num != 1005 || values[fErrno].Num != int64(unix.ENOENT) || values[fRet].Num != -int64(unix.ENOENT) {
		t.Errorf("time %d, errno %d, ret %d", values[fTime].Num, values[fErrno].Num, values[fRet].Num)
	}
	for _, i := range []int{fDirFD, fMode, fDuration, fCgroup, fContainer, fFile, fDev, fIno} {
		if !values[i].Null {
			t.Errorf("%s is not null", Fields[i].Key)
		}
	}
}

func TestKeys(t *testing.T) {
	var keys []string
	for _, f := range Fields {
		keys = append(keys, f.Key)
	}
	want := "time pid tid uid comm pcomm path file dev ino dirfd flags mode ret errno duration_ns cgroup_id cgroup container"
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("keys %s, want %s", got, want)
	}
}

func TestStatDev(t *testing.T) {
	for _, c := range []struct{ major, minor uint32 }{{0, 0}, {8, 1}, {259, 300}, {4095, 0xfffff}} {
		if got, want := StatDev(c.major<<20|c.minor), unix.Mkdev(c.major, c.minor); got != want {
			t.Errorf("%d:%d is %#x, want %#x", c.major, c.minor, got, want)
		}
	}
}

func TestHow(t *testing.T) {
	for how := ByOpen; how <= ByHook; how++ {
		if how.String() == "" {
			t.Errorf("%d has no name", how)
		}
	}
	if s := How(999).String(); s != "" {
		t.Errorf("999 is %q", s)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(made{path: "/x", file: names("b", "a"), base: names("c"), marks: Walked | Based, ino: 1}.body(), 0)
	f.Add(made{extra: "12345678", path: "/x"}.body(), 8)
	f.Add(made{file: "\x00\x00", marks: Walked | Detached, ino: 1}.body(), 0)
	f.Add([]byte("short"), 3)
	f.Fuzz(func(t *testing.T, body []byte, extra int) {
		var e Event
		own, err := e.Decode(body, extra)
		if err != nil {
			return
		}
		if len(own) != extra {
			t.Fatalf("%d bytes of the tool's own, want %d", len(own), extra)
		}
		m := NewMaker(0, nil)
		values := make([]prog.Value, len(Fields))
		m.Fill(values, &e)
		e.AppendFull(nil)
		if n := len(e.Path()) + len(values[fFile].Bytes); n > 2*len(body)+16 {
			t.Fatalf("%d bytes of paths from %d", n, len(body))
		}
	})
}
