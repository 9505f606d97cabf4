package print

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

func TestJSONGolden(t *testing.T) {
	golden(t, "json", show(t, func(w *bytes.Buffer) Sink { return NewJSON(w, sample, nil) }, sampleRows()...))
	golden(t, "json-fields", show(t, func(w *bytes.Buffer) Sink {
		return NewJSON(w, sample, []string{"ino", "pid", "nosuch", "flags"})
	}, sampleRows()[:2]...))
}

func TestJSONNoFields(t *testing.T) {
	got := show(t, func(w *bytes.Buffer) Sink { return NewJSON(w, sample, []string{}) }, execRow())
	if string(got) != `{"type":"exec"}`+"\n" {
		t.Errorf("got %s", got)
	}
}

var summaries = []struct {
	name string
	s    prog.Summary
	json string
	text []string
}{
	{"quiet", prog.Summary{Events: 12, KernelKnown: true, KernelNS: 84_000, KernelRuns: 40, UserNS: 12_300_000},
		`{"type":"summary","events":12,"lost":0,"lost_by_reason":{},"kernel_ns":84000,"user_ns":12300000}`,
		[]string{"12 events, none lost; 84 µs in the kernel (40 runs), 12.3 ms here"}},
	{"one", prog.Summary{Events: 1, KernelKnown: true, KernelNS: 999, KernelRuns: 1, UserNS: 1_000_000_000,
		Lost: []prog.Count{{Reason: "ring full"}}},
		`{"type":"summary","events":1,"lost":0,"lost_by_reason":{"ring_full":0},"kernel_ns":999,"user_ns":1000000000}`,
		[]string{"1 event, none lost; 999 ns in the kernel (1 run), 1 s here"}},
	{"loss", prog.Summary{Events: 12, Lost: []prog.Count{{Reason: "ring full", N: 30}, {Reason: "never", N: 0}, {Reason: "state_map_full", N: 7}},
		UserNS: 5, Unwritten: 3, Notes: []string{"Two\nlines \"quoted\"", "b"}},
		`{"type":"summary","events":12,"lost":37,"lost_by_reason":{"ring_full":30,"never":0,"state_map_full":7},"kernel_ns":null,"user_ns":5,` +
			`"unwritten":3,"notes":["Two\nlines \"quoted\"","b"]}`,
		[]string{"12 events, 37 lost (ring full 30, state map full 7); cost in the kernel not known, 5 ns here",
			"3 records could not be written", `Two\nlines "quoted"`, "b"}},
	{"nothing", prog.Summary{Unwritten: 1},
		`{"type":"summary","events":0,"lost":0,"lost_by_reason":{},"kernel_ns":null,"user_ns":0,"unwritten":1}`,
		[]string{"0 events, none lost; cost in the kernel not known, 0 ns here", "1 record could not be written"}},
}

func TestSummary(t *testing.T) {
	for _, c := range summaries {
		var out bytes.Buffer
		if err := NewJSON(&out, sample, nil).Summary(&c.s); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.json+"\n", out.String()); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
		if !json.Valid(out.Bytes()) {
			t.Errorf("%s: not JSON", c.name)
		}
		if diff := cmp.Diff(c.text, Accounting(&c.s)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestSpan(t *testing.T) {
	for ns, want := range map[uint64]string{
		0: "0 ns", 840: "840 ns", 999: "999 ns", 1000: "1 µs", 1234: "1.23 µs", 1235: "1.24 µs", 9_996: "10 µs",
		12_340: "12.3 µs", 84_000: "84 µs", 123_456: "123 µs", 999_499: "999 µs", 999_500: "1 ms", 999_999: "1 ms",
		12_300_000: "12.3 ms", 1_000_000_000: "1 s", 59_960_000_000: "60 s", 125_400_000_000: "125 s",
		7_200_000_000_000: "7200 s", 1<<64 - 1: "18446744073 s",
	} {
		if got := span(ns); got != want {
			t.Errorf("%d: %q, want %q", ns, got, want)
		}
	}
}

// strs: bytes, the JSON made of them.
var strs = []struct{ in, json string }{
	{"", `""`},
	{"plain", `"plain"`},
	{`a"b\c`, `"a\"b\\c"`},
	{"a\nb\tc\rd\x00\x1b\x7f\b\f", `"a\nb\tc\rd\u0000\u001b\u007f\u0008\u000c"`},
	{"é日😀", `"é日😀"`},
	{"\u009b\u2028\u202e\u200b\ufeff", `"\u009b\u2028\u202e\u200b\ufeff"`},
	{"\U000e0041\U0001d173", `"\udb40\udc41\ud834\udd73"`},
	{"\xff", `"\udcff"`},
	{"\x80x", `"\udc80x"`},
	{"\xed\xa0\x80", `"\udced\udca0\udc80"`},           // a surrogate in UTF-8 is not UTF-8
	{"\U000e0041\xb1", `"\udb40\udc41\udcb1"`},         // a pair, then a byte
	{"\xed\xb2\x80\xff", `"\udced\udcb2\udc80\udcff"`}, // what would decode as our own escape
	{`\udc80`, `"\\udc80"`},
	{"\ufffd", "\"\ufffd\""},
	{"\xc3", `"\udcc3"`},
}

func TestJSONStrings(t *testing.T) {
	for _, c := range strs {
		got := appendString(nil, []byte(c.in))
		if string(got) != c.json {
			t.Errorf("%q: %s, want %s", c.in, got, c.json)
		}
		if !json.Valid(got) {
			t.Errorf("%q: %s is not JSON", c.in, got)
		}
		back, err := RecoverBytes(got)
		if err != nil || string(back) != c.in {
			t.Errorf("%q came back as %q, %v", c.in, back, err)
		}
	}
}

func TestRecoverForeign(t *testing.T) {
	for _, c := range []struct {
		raw, want string
		bad       bool
	}{
		{`"\/\b\f\u0041\u00E9\uD83D\uDE00"`, "/\b\fAé😀", false},
		{``, "", true},
		{`"`, "", true},
		{`abc`, "", true},
		{`"a"b"`, "", true},
		{`"\"`, "", true},
		{`"\x"`, "", true},
		{`"\u12"`, "", true},
		{`"\u12g4"`, "", true},
		{`"\ud800"`, "", true},
		{`"\ud800\n12345"`, "", true},
		{`"\ud800\u0041"`, "", true},
		{`"\udc00"`, "", true},
		{`"\udd00"`, "", true},
		{"\"a\nb\"", "", true},
	} {
		got, err := RecoverBytes([]byte(c.raw))
		if (err != nil) != c.bad || c.bad && !errors.Is(err, errNotString) || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.raw, got, err)
		}
	}
}

// TestJSONRoundTrip reads a row as a consumer would and takes its bytes back out of it.
func TestJSONRoundTrip(t *testing.T) {
	args := []string{"a\xffb", "", "\u202e", "é"}
	out := show(t, func(w *bytes.Buffer) Sink { return NewJSON(w, sample, nil) },
		execRow(at(0), num(1), num(2), text("\x80"), words(args...), num(1), num(-2), num(2), num(3), num(4), words()))
	var row struct {
		Comm json.RawMessage
		Argv []json.RawMessage
	}
	if err := json.Unmarshal(out, &row); err != nil {
		t.Fatal(err)
	}
	if b, err := RecoverBytes(row.Comm); err != nil || string(b) != "\x80" {
		t.Errorf("comm: %q, %v", b, err)
	}
	var got []string
	for _, raw := range row.Argv {
		b, err := RecoverBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b))
	}
	if diff := cmp.Diff(args, got); diff != "" {
		t.Error(diff)
	}
}

// TestErrnoNames pins both tables by numbers that every user of strace knows.
func TestErrnoNames(t *testing.T) {
	for n, want := range map[int64]string{1: "EPERM", 2: "ENOENT", 7: "E2BIG", 8: "ENOEXEC", 13: "EACCES", 40: "ELOOP",
		133: "EHWPOISON", 134: "E134", 512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND",
		516: "ERESTART_RESTARTBLOCK", 517: "EPROBE_DEFER", 520: "E520", 524: "ENOTSUPP", -1: "E-1"} {
		if got := string(appendErrno(nil, n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
