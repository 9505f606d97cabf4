package object

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

var (
	u8     = &btf.Int{Name: "unsigned char", Size: 1}
	i8     = &btf.Int{Name: "signed char", Size: 1, Encoding: btf.Signed}
	char   = &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	u16    = &btf.Int{Name: "unsigned short", Size: 2}
	i32    = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	u64    = &btf.Int{Name: "unsigned long long", Size: 8}
	flag   = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}
	real64 = &btf.Float{Name: "double", Size: 8}
	real32 = &btf.Float{Name: "float", Size: 4}
	i128   = &btf.Int{Name: "__int128", Size: 16, Encoding: btf.Signed}
	colour = &btf.Enum{Name: "colour", Size: 4, Values: []btf.EnumValue{{Name: "RED", Value: 0}, {Name: "BLUE", Value: 6}}}
	minus  = &btf.Enum{Name: "sign", Size: 4, Signed: true, Values: []btf.EnumValue{{Name: "LESS", Value: ^uint64(0)}}}
	point  = &btf.Struct{Name: "point", Size: 8, Members: []btf.Member{{Name: "x", Type: i32}, {Name: "y", Type: i32, Offset: 32}}}
	bits   = &btf.Struct{Name: "bits", Size: 4, Members: []btf.Member{
		{Name: "low", Type: &btf.Int{Name: "unsigned int", Size: 4}, BitfieldSize: 3},
		{Name: "neg", Type: i32, Offset: 3, BitfieldSize: 4},
		{Name: "far", Type: &btf.Int{Name: "unsigned int", Size: 4}, Offset: 7, BitfieldSize: 25},
	}}
	nameless = &btf.Struct{Name: "outer", Size: 8, Members: []btf.Member{
		{Type: &btf.Union{Size: 4, Members: []btf.Member{{Name: "word", Type: i32}, {Name: "half", Type: u16}}}},
		{Name: "b", Type: i32, Offset: 32},
	}}
	open1 = &btf.Struct{Name: "open", Size: 4, Members: []btf.Member{{Name: "n", Type: i32}, {Name: "tail", Type: &btf.Array{Type: char}, Offset: 32}}}
)

func array(t btf.Type, n uint32) btf.Type { return &btf.Array{Type: t, Nelems: n} }

var values = []struct {
	name string
	t    btf.Type
	b    string
	text string
	json string
}{
	{"u8", u8, "\xff", "255", "255"},
	{"i8", i8, "\xff", "-1", "-1"},
	{"i32", i32, "\xfe\xff\xff\xff", "-2", "-2"},
	{"u64", u64, "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615", "18446744073709551615"},
	{"bool", flag, "\x01", "true", "true"},
	{"double", real64, "\x00\x00\x00\x00\x00\x00\xf8\x3f", "1.5", "1.5"},
	{"float", real32, "\x00\x00\xc0\x3f", "1.5", "1.5"},
	{"not a number", real64, "\x00\x00\x00\x00\x00\x00\xf8\x7f", "NaN", "null"},
	{"128 bits", i128, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", "0x0102030405060708090a0b0c0d0e0f10", `"0102030405060708090a0b0c0d0e0f10"`},
	{"enum", colour, "\x06\x00\x00\x00", "BLUE", `"BLUE"`},
	{"no value of it", colour, "\x07\x00\x00\x00", "7", "7"},
	{"negative enum", minus, "\xff\xff\xff\xff", "LESS", `"LESS"`},
	{"text", array(char, 8), "cat\x00dog\x00", "cat", `"cat"`},
	{"text without an end", array(char, 3), "cat", "cat", `"cat"`},
	{"text that commands", array(char, 8), "a\x1b[1m\n\x00", `a\x1b[1m\n`, `"a\u001b[1m\n"`},
	{"bytes", array(u8, 3), "\x01\x02\xff", "0x0102ff", "[1,2,255]"},
	{"numbers", array(u16, 2), "\x01\x00\x02\x00", "[1 2]", "[1,2]"},
	{"none", array(u16, 0), "", "[]", "[]"},
	{"pointer", &btf.Pointer{Target: point}, "\x00\x10\x00\x00\x00\x88\xff\xff", "0xffff880000001000", "18446612132314222592"},
	{"struct", point, "\x01\x00\x00\x00\xff\xff\xff\xff", "{x=1 y=-1}", `{"x":1,"y":-1}`},
	{"behind typedefs", &btf.Typedef{Name: "p", Type: &btf.Const{Type: &btf.Volatile{Type: point}}}, "\x01\x00\x00\x00\xff\xff\xff\xff", "{x=1 y=-1}", `{"x":1,"y":-1}`},
	{"array of structs", array(point, 2), "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00", "[{x=1 y=2} {x=3 y=4}]", `[{"x":1,"y":2},{"x":3,"y":4}]`},
	{"bit fields", bits, "\xed\xff\xff\xff", "{low=5 neg=-3 far=33554431}", `{"low":5,"neg":-3,"far":33554431}`},
	{"without names", nameless, "\x01\x00\x02\x00\x05\x00\x00\x00", "{{word=131073 half=1} b=5}", `{"word":131073,"half":1,"b":5}`},
	{"cut off", point, "\x01\x00\x00\x00", "{x=1}", `{"x":1,"y":null}`},
	{"cut off inside", point, "\x01\x00\x00\x00\x02", "{x=1 y=0x02}", `{"x":1,"y":null}`},
	{"no type", nil, "\x01\xfe", "0x01fe", `"01fe"`},
	{"a function", &btf.Func{}, "\x01", "0x01", `"01"`},
}

func TestValues(t *testing.T) {
	for _, tt := range values {
		if diff := cmp.Diff(tt.text, string(appendText(nil, tt.t, []byte(tt.b), 0))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.json, string(appendJSON(nil, tt.t, []byte(tt.b), 0))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// Types that have no end, or more members than anybody has time for, come to an end.
func TestTypesWithoutEnd(t *testing.T) {
	loop := &btf.Struct{Name: "loop", Size: 8}
	loop.Members = []btf.Member{{Name: "a", Type: loop}, {Name: "b", Type: loop}}
	tree := btf.Type(u64)
	for range 40 {
		tree = &btf.Union{Size: 8, Members: []btf.Member{{Name: "a", Type: tree}, {Name: "b", Type: tree}}}
	}
	hollow := btf.Type(&btf.Struct{})
	for range 40 {
		hollow = &btf.Struct{Members: []btf.Member{{Name: "a", Type: hollow}, {Name: "b", Type: hollow}}}
	}
	for name, typ := range map[string]btf.Type{
		"loop": loop, "tree": tree, "hollow": hollow,
		"many of nothing": array(&btf.Struct{}, 1<<31), "more than there is": array(u64, 1<<31),
	} {
		text, json := appendText(nil, typ, make([]byte, 8), 0), appendJSON(nil, typ, make([]byte, 8), 0)
		if len(text) > 2*maxShown || len(json) > 2*maxShown {
			t.Errorf("%s: %d and %d bytes", name, len(text), len(json))
		}
	}
}

func clock(dst []byte, _ int64) []byte { return append(dst, "12:00:00"...) }

func TestRecords(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stream Stream
		many   bool
		json   bool
		body   string
		want   string
	}{
		{"columns", Stream{Map: "rb", layout: point}, false, false, "\x01\x00\x00\x00\x02\x00\x00\x00",
			"TIME           X       Y\n12:00:00       1       2\n"},
		{"which map", Stream{Map: "rb", layout: point}, true, false, "\x01\x00\x00\x00\x02\x00\x00\x00",
			"TIME     MAP                   X       Y\n12:00:00 rb                    1       2\n"},
		{"too short", Stream{Map: "rb", layout: point}, false, false, "\x01\x00\x00\x00",
			"TIME           X       Y\n12:00:00       1       -\n"},
		{"too long", Stream{Map: "rb", layout: point}, false, false, "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x04",
			"TIME           X       Y\n12:00:00       1       2 +2 bytes 0x0304\n"},
		{"filled up by the kernel", Stream{Map: "p", Perf: true, layout: point}, false, false, "\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
			"TIME           X       Y\n12:00:00       1       2\n"},
		{"an open end", Stream{Map: "rb", layout: open1}, false, false, "\x07\x00\x00\x00ls\x00-l\x00\x00",
			"TIME           N TAIL\n12:00:00       7 ls\\x00-l\n"},
		{"not known", Stream{Map: "rb"}, false, false, "\x01\x02", "12:00:00 2 bytes 0x0102\n"},
		{"a number", Stream{Map: "rb", scalar: i32}, false, false, "\x01\x00\x00\x00", "12:00:00 1\n"},
		{"by its size", Stream{Map: "rb", sized: map[int]*btf.Struct{8: point}}, false, false, "\x01\x00\x00\x00\x02\x00\x00\x00",
			"TIME           X       Y\n12:00:00       1       2\n"},
		{"by its size, filled up", Stream{Map: "p", Perf: true, sized: map[int]*btf.Struct{8: point}}, false, false, "\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
			"TIME           X       Y\n12:00:00       1       2\n"},
		{"two of that size, filled up", Stream{Map: "p", Perf: true, sized: map[int]*btf.Struct{8: point, 6: bits}}, false, false, "\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
			"12:00:00 12 bytes 0x010000000200000000000000\n"},
		{"JSON", Stream{Map: "rb", layout: point}, false, true, "\x01\x00\x00\x00\x02\x00\x00\x00",
			`{"type":"record","time":"12:00:00","map":"rb","cpu":3,"struct":"point","data":{"x":1,"y":2}}` + "\n"},
		{"JSON of what is too long", Stream{Map: "rb", layout: point}, false, true, "\x01\x00\x00\x00\x02\x00\x00\x00\xff",
			`{"type":"record","time":"12:00:00","map":"rb","cpu":3,"struct":"point","data":{"x":1,"y":2},"rest_hex":"ff"}` + "\n"},
		{"JSON of what is not known", Stream{Map: "rb"}, false, true, "\x01\x02", `{"type":"record","time":"12:00:00","map":"rb","cpu":3,"hex":"0102"}` + "\n"},
	} {
		var b bytes.Buffer
		w := Writer{Out: &b, JSON: tt.json, Many: tt.many, Clock: clock}
		if err := w.Record(&tt.stream, 0, 3, []byte(tt.body)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestEntries(t *testing.T) {
	percpu := [][]byte{[]byte("\x01\x00\x00\x00\x00\x00\x00\x00"), make([]byte, 8), []byte("\xff\xff\xff\xff\x00\x00\x00\x00")}
	for _, tt := range []struct {
		name   string
		table  Table
		json   bool
		key    string
		values [][]byte
		want   string
	}{
		{"typed", Table{Map: "m", key: array(char, 4), value: point}, false, "cat\x00", [][]byte{[]byte("\x01\x00\x00\x00\x02\x00\x00\x00")}, "  \"cat\": {x=1 y=2}\n"},
		{"without types", Table{Map: "m"}, false, "\x01\x00\x00\x00", [][]byte{[]byte("\x01\x02\x03")}, "  1: 0x010203\n"},
		{"per CPU", Table{Map: "m", key: u8, value: i32, perCPU: true}, false, "\x05", percpu, "  5: 0 (CPU 0: 1, CPU 2: -1)\n"},
		{"zeros of an array", Table{Map: "m", key: i32, value: i32, array: true}, false, "\x05\x00\x00\x00", [][]byte{make([]byte, 4)}, ""},
		{"zeros of a hash", Table{Map: "m", key: i32, value: i32}, false, "\x05\x00\x00\x00", [][]byte{make([]byte, 4)}, "  5: 0\n"},
		{"JSON", Table{Map: "m", key: array(char, 4), value: point}, true, "cat\x00", [][]byte{[]byte("\x01\x00\x00\x00\x02\x00\x00\x00")},
			`{"type":"map","map":"m","key":"cat","value":{"x":1,"y":2}}` + "\n"},
		{"JSON per CPU", Table{Map: "m", key: u8, value: i32, perCPU: true}, true, "\x05", percpu, `{"type":"map","map":"m","key":5,"sum":0,"values":[1,0,-1]}` + "\n"},
	} {
		var b bytes.Buffer
		w := Writer{Out: &b, JSON: tt.json, Clock: clock}
		zero, err := w.Entry(tt.table, []byte(tt.key), tt.values)
		if err != nil || zero != (tt.want == "") {
			t.Errorf("%s: zero %v, %v", tt.name, zero, err)
		}
		if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestFormats(t *testing.T) {
	f := newFormats([]string{"BPF triggered from PID %d.\n", "100%% of %-16s: %pI4 %llx", "plain"})
	for text, want := range map[string]bool{
		"BPF triggered from PID 4711.": true, "BPF triggered from PID 4711.\n": true, "BPF triggered by PID 4711.": false,
		"100% of cat: 1.2.3.4 ff": true, "100% of cat": false, "plain": true, "plainer": false, "": false,
	} {
		if got := f.Match(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzValues(f *testing.F) {
	for i, tt := range values {
		f.Add(i, []byte(tt.b))
	}
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		if i < 0 || i >= len(values) {
			return
		}
		text := string(appendText(nil, values[i].t, b, 0))
		if strings.ContainsAny(text, "\x1b\n\x00") {
			t.Errorf("%q", text)
		}
		appendJSON(nil, values[i].t, b, 0)
	})
}
