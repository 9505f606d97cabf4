package exec

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeExec(t *testing.T) {
	var e event
	if err := e.decodeExec(sample.body()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"end", e.end, uint64(1_500_000)},
		{"cgroup", e.cgroupID, uint64(77)},
		{"ino", e.ino, uint64(1234567)},
		{"dev", e.dev, uint32(8<<20 | 1)},
		{"mntns", e.mntns, uint32(4026531841)},
		{"pidns", e.pidns, uint32(4026531836)},
		{"pid", e.pid, uint32(4711)},
		{"tid", e.tid, uint32(4712)},
		{"ppid", e.ppid, uint32(4700)},
		{"uid", e.uid, uint32(1000)},
		{"euid", e.euid, uint32(0)},
		{"gid", e.gid, uint32(100)},
		{"sid", e.sid, uint32(4000)},
		{"ret", e.ret, int32(0)},
		{"comm", string(cString(e.comm[:])), "ls"},
		{"pcomm", string(cString(e.pcomm[:])), "sh"},
		{"tty", string(cString(e.tty[:])), "pts/3"},
		{"filename", string(e.filename()), "/bin/ls\x00"},
		{"exe", string(e.exe()), "ls\x00bin\x00usr\x00"},
		{"cwd", string(e.cwd()), "me\x00home\x00"},
		{"args", string(e.args()), "ls\x00\x00/\x00"},
		{"truncated", e.truncated(), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// An event is used again: nothing of the one before may show.
func TestDecodeExecReuse(t *testing.T) {
	var e event
	if err := e.decodeExec(made{ret: -2, flags: flagMore}.body()); err != nil {
		t.Fatal(err)
	}
	e.seq = 5
	if _, err := e.addArgs(chunk{seq: 5, data: words("a", "", "b"), unreadable: 2, flags: flagArgsFault, last: true}.body()); err != nil {
		t.Fatal(err)
	}
	e.argsMissed, e.cgroup, e.container = true, []byte("/x"), []byte("y")
	if err := e.decodeExec(made{args: words("p", "q")}.body()); err != nil {
		t.Fatal(err)
	}
	got := e.appendWords(nil)
	if diff := cmp.Diff([][]byte{[]byte("p"), []byte("q")}, got); diff != "" || e.truncated() || e.cgroup != nil || e.container != nil || e.words != 0 {
		t.Errorf("truncated %v, cgroup %q, container %q, words %d, argv (-want +got):\n%s", e.truncated(), e.cgroup, e.container, e.words, diff)
	}
}

// Records that no program of ours makes.
var hostileExecs = map[string][]byte{
	"empty":               {},
	"one byte short":      sample.body()[:execFixed-1],
	"a byte cut":          sample.body()[:len(sample.body())-1],
	"a byte too many":     append(sample.body(), 0),
	"filename too long":   put16(sample.body(), execFilenameLen, math.MaxUint16),
	"exe too long":        put16(sample.body(), execExeLen, math.MaxUint16),
	"cwd too long":        put16(sample.body(), execCwdLen, math.MaxUint16),
	"arguments too long":  put32(sample.body(), execArgsLen, math.MaxUint32),
	"lengths of nothing":  put32(sample.body()[:execFixed], execArgsLen, 1),
	"arguments one short": put32(sample.body(), execArgsLen, 5),
}

func TestDecodeExecRefuses(t *testing.T) {
	for name, body := range hostileExecs {
		var e event
		if err := e.decodeExec(body); err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.ContainsRune(err.Error(), '\n') {
			t.Errorf("%s: more than a line: %q", name, err)
		}
	}
}

var hostileChunks = map[string][]byte{
	"empty":           {},
	"one byte short":  chunk{seq: 1}.body()[:argsFixed-1],
	"of another exec": chunk{seq: 2, data: "x\x00"}.body(),
	"too long":        put32(chunk{seq: 1, data: "x\x00"}.body(), argsLen, math.MaxUint32),
	"too short":       put32(chunk{seq: 1, data: "x\x00"}.body(), argsLen, 1),
}

func TestAddArgsRefuses(t *testing.T) {
	for name, body := range hostileChunks {
		var e event
		if err := e.decodeExec(sample.body()); err != nil {
			t.Fatal(err)
		}
		e.seq = 1
		if _, err := e.addArgs(body); err == nil {
			t.Errorf("%s: taken", name)
		}
		if got := string(e.args()); got != sample.args {
			t.Errorf("%s: refused, but the arguments are now %q", name, got)
		}
	}
}

func TestWords(t *testing.T) {
	const null = "<null>"
	for _, c := range []struct {
		name      string
		ret       int32
		first     string // in the exec record
		chunks    []chunk
		want      []string
		truncated bool
	}{
		{name: "none"},
		{name: "one", first: words("true"), want: []string{"true"}},
		{name: "empty ones", first: words("", "", ""), want: []string{"", "", ""}},
		{name: "one empty one", first: words(""), want: []string{""}},
		{name: "cut inside a word", first: "true\x00arg", want: []string{"true", "arg"}},
		{
			name: "a word over two records", first: "true\x00be",
			chunks: []chunk{{data: "gin\x00", last: true}}, want: []string{"true", "begin"},
		},
		{
			name: "the NUL alone in the next record", first: "true\x00word",
			chunks: []chunk{{data: "\x00"}, {data: "more\x00", last: true}}, want: []string{"true", "word", "more"},
		},
		{
			name: "an empty last record", first: words("true"),
			chunks: []chunk{{last: true}}, want: []string{"true"},
		},
		{
			name: "cut by a limit", first: words("true"),
			chunks: []chunk{{data: "x\x00", flags: flagArgsCut, last: true}}, want: []string{"true", "x"}, truncated: true,
		},
		{
			name: "not in memory", ret: -2,
			chunks: []chunk{{data: words("a", "", "", "b"), unreadable: 1 << 1, flags: flagArgsFault, last: true}},
			want:   []string{"a", null, "", "b"}, truncated: true,
		},
		{
			name: "not in memory, in the second record", ret: -2,
			chunks: []chunk{
				{data: words("a", "b") + "beg"},
				{data: "un\x00" + words("", "d"), unreadable: 1 << 3, flags: flagArgsFault, last: true},
			},
			want: []string{"a", "b", "begun", null, "d"}, truncated: true,
		},
		{
			name: "all not in memory", ret: -14,
			chunks: []chunk{{data: strings.Repeat("\x00", 70), unreadable: math.MaxUint64, flags: flagArgsFault, last: true}},
			// Past the 64th only argv_truncated tells it.
			want: append(strings.Split(strings.Repeat(null+" ", 63)+null, " "), "", "", "", "", "", ""), truncated: true,
		},
		{
			name: "bits of words that have been", ret: -2,
			chunks: []chunk{{data: words("a", "b")}, {data: words("c"), unreadable: 1, last: true}},
			want:   []string{"a", "b", "c"},
		},
		{
			name: "bits mean nothing in a success", first: words("true"),
			chunks: []chunk{{data: words("x"), unreadable: math.MaxUint64, last: true}}, want: []string{"true", "x"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e event
			if err := e.decodeExec(made{ret: c.ret, args: c.first, filename: "f\x00", cwd: words("d")}.body()); err != nil {
				t.Fatal(err)
			}
			e.seq = 9
			for i, k := range c.chunks {
				k.seq = 9
				last, err := e.addArgs(k.body())
				if err != nil {
					t.Fatal(err)
				}
				if last != (i == len(c.chunks)-1) {
					t.Errorf("record %d: last is %v", i, last)
				}
			}
			var got []string
			for _, w := range e.appendWords(nil) {
				if w == nil {
					got = append(got, null)
				} else {
					got = append(got, string(w))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || e.truncated() != c.truncated {
				t.Errorf("truncated %v, want %v; argv (-want +got):\n%s", e.truncated(), c.truncated, diff)
			}
			if string(e.filename()) != "f\x00" || string(e.cwd()) != "d\x00" {
				t.Errorf("filename %q and cwd %q were touched", e.filename(), e.cwd())
			}
		})
	}
}

func TestAppendPath(t *testing.T) {
	for _, c := range []struct {
		names string
		cut   bool
		want  string
	}{
		{"", false, "/"},
		{words("ls"), false, "/ls"},
		{words("ls", "bin", "usr"), false, "/usr/bin/ls"},
		{words("ls", "bin", "usr"), true, "…/usr/bin/ls"},
		{"ls\x00bin", false, "/bin/ls"}, // no NUL at the end
		{words("ls", "dir", "/"), false, "/dir/ls"},
		{words("memfd:x"), false, "/memfd:x"},
		{words("a\nb", "\xff"), false, "/\xff/a\nb"},
		{"\x00", false, ""},
		{"\x00\x00", false, "/"},
	} {
		if got := string(appendPath([]byte("kept "), []byte(c.names), c.cut)); got != "kept "+c.want {
			t.Errorf("%q, cut %v: %q, want %q", c.names, c.cut, got, "kept "+c.want)
		}
	}
}
