package tracefs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const headerPage = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n" +
	"\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n" +
	"\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n" +
	"\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n"

var testSub = SubBuffer{stamp: 0, commit: 8, commitSize: 8, data: 16, size: 4096}

func TestParseHeaderPage(t *testing.T) {
	got, err := ParseHeaderPage(headerPage)
	if diff := cmp.Diff(testSub, got, cmp.AllowUnexported(SubBuffer{})); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for _, text := range []string{
		"", "nonsense",
		"\tfield: u64 timestamp;\toffset:0;\tsize:4;\tsigned:0;\n",
		"\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:2;\tsigned:1;\n",
		"\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n",
		"\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\tfield: char data;\toffset:4;\tsize:4080;\tsigned:0;\n",
		"\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\tfield: char data;\toffset:16;\tsize:99999999;\tsigned:0;\n",
	} {
		if got, err := ParseHeaderPage(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// words puts a page together from 32-bit words behind the header.
func page(time uint64, commit uint64, words ...uint32) []byte {
	b := binary.NativeEndian.AppendUint64(nil, time)
	b = binary.NativeEndian.AppendUint64(b, commit)
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

// head is the first word of an entry.
func head(kind, delta uint32) uint32 { return kind | delta<<5 }

var pages = []struct {
	name string
	page []byte
	want []string // TIME:WORDS
	bad  bool
}{
	{name: "empty", page: page(100, 0)},
	{name: "one", page: page(100, 12, head(2, 5), 7, 8), want: []string{"105:[7 8]"}},
	{name: "two", page: page(100, 16, head(1, 0), 7, head(1, 3), 8), want: []string{"100:[7]", "103:[8]"}},
	{name: "what is behind is not read", page: page(100, 8, head(1, 0), 7, head(1, 3), 8), want: []string{"100:[7]"}},
	{name: "long", page: page(100, 16, head(0, 1), 12, 7, 8), want: []string{"101:[7 8]"}},
	{name: "time extended", page: page(100, 16, head(typeExtend, 1), 1, head(1, 2), 7), want: []string{fmt.Sprint(100+1+1<<deltaBits+2, ":[7]")}},
	{name: "time given", page: page(100, 16, head(typeStamp, 1), 2, head(1, 2), 7), want: []string{fmt.Sprint(1+2<<deltaBits+2, ":[7]")}},
	{name: "nothing more", page: page(100, 16, head(1, 2), 7, head(typePadding, 0), 9), want: []string{"102:[7]"}},
	{name: "skipped", page: page(100, 24, head(typePadding, 4), 8, 99, head(1, 2), 7, head(typePadding, 0)), want: []string{"106:[7]"}},
	{name: "events before it were lost", page: page(100, missedBits|8, head(1, 2), 7), want: []string{"102:[7]"}},

	{name: "no header", page: make([]byte, 15), bad: true},
	{name: "more used than there is", page: page(100, 4000, head(1, 2), 7), bad: true},
	{name: "huge use", page: page(100, 1<<63, head(1, 2), 7), bad: true},
	{name: "an event past the end", page: page(100, 8, head(28, 2), 7), bad: true},
	{name: "no length", page: page(100, 4, head(0, 2)), bad: true},
	{name: "length 0", page: page(100, 8, head(0, 2), 0), bad: true},
	{name: "length too large", page: page(100, 8, head(0, 2), 1<<31), bad: true},
	{name: "padding too large", page: page(100, 8, head(typePadding, 2), 1<<31), bad: true},
	{name: "half an extension", page: page(100, 4, head(typeExtend, 2)), bad: true},
}

func TestEvents(t *testing.T) {
	for _, c := range pages {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			err := testSub.Events(c.page, func(time uint64, data []byte) {
				var words []uint32
				for len(data) > 0 {
					words, data = append(words, binary.NativeEndian.Uint32(data)), data[4:]
				}
				got = append(got, fmt.Sprint(time, ":", words))
			})
			if diff := cmp.Diff(c.want, got); diff != "" && !c.bad {
				t.Error(diff)
			}
			if c.bad != errors.Is(err, errPage) {
				t.Error(err)
			}
		})
	}
}

func FuzzEvents(f *testing.F) {
	for _, c := range pages {
		f.Add(c.page)
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		bytes := 0
		testSub.Events(page, func(_ uint64, data []byte) {
			bytes += len(data)
		})
		if bytes > len(page) {
			t.Errorf("%d bytes of events in %d", bytes, len(page))
		}
	})
}

func TestLostOf(t *testing.T) {
	const stats = "entries: 10\noverrun: 3\ncommit overrun: 4\nbytes: 1164\noldest event ts: 33.1\nnow ts: 53.2\ndropped events: 5\nread events: 100\n"
	if n := lostOf(stats); n != 12 {
		t.Error(n)
	}
	if n := lostOf("overrun: x\n: \n\x00\ndropped events: -1\n"); n != 0 {
		t.Error(n)
	}
}

func TestEventsOf(t *testing.T) {
	const group = "sonde_open_0123456789abcdef"
	dir := t.TempDir()
	if got, err := EventsOf(dir, group); err != nil || len(got) != 0 {
		t.Errorf("where there are none: %q, %v", got, err)
	}
	for _, event := range []string{group + "/exit_0", group + "/enter_0", group + "f/x", "kprobes/mine"} {
		if err := os.MkdirAll(filepath.Join(dir, "events", event), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "events", group, "enable"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{group + "/enter_0", group + "/exit_0"}
	if got, err := EventsOf(dir, group); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

// What is taken away is only ever what NewName named: the process that does it takes its orders from its arguments.
func TestNames(t *testing.T) {
	a, err1 := NewName("open")
	b, err2 := NewName("open")
	if err1 != nil || err2 != nil || !validName(a) || !validName(b) || a == b {
		t.Errorf("%q, %q, %v, %v", a, b, err1, err2)
	}
	for _, name := range []string{"", "sonde_open_", "sonde_open_0123456789abcde", "sonde_open_0123456789abcdef0", "sonde_open_0123456789ABCDEF",
		"sonde_open_../../../../x", "x", "sonde_open_0123456789abcde/"} {
		if validName(name) {
			t.Errorf("%q", name)
		}
	}
	for _, args := range [][]string{
		{removerName}, {removerName, "3", "/", "x"}, {removerName, "x", "/", "sonde_open_0123456789abcdef"},
		{removerName, "99", "/", "sonde_open_0123456789abcdef"}, {removerName, "-1", "/", "sonde_open_0123456789abcdef"},
	} {
		if handled, status := RemoverMain(args); !handled || status != 2 {
			t.Errorf("%q: %v, %d", args, handled, status)
		}
	}
	if handled, _ := RemoverMain([]string{"sonde", "open"}); handled {
		t.Error("sonde itself is taken for the process that cleans up")
	}
}
