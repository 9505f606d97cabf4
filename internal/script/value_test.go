package script

import (
	ejson "encoding/json"
	"strings"
	"testing"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
)

var (
	tEnum = &types.Type{Kind: types.Enum, Size: 4, Name: "E", EnumNames: map[int64]string{1: "ONE", 2: "TWO"}}
	tPtr  = types.PointerTo(types.TInt8, types.SpaceKernel)
	tBuf  = &types.Type{Kind: types.Buffer, Size: 12}
	tKSym = &types.Type{Kind: types.KSym, Size: 8}
	tUSym = &types.Type{Kind: types.USym, Size: 16}
	tInet = &types.Type{Kind: types.Inet, Size: 24}
	tMAC  = &types.Type{Kind: types.MAC, Size: 6}
	tUser = &types.Type{Kind: types.Username, Size: 8}
	tTime = &types.Type{Kind: types.Timestamp, Size: 16}
	tCgrp = &types.Type{Kind: types.CgroupPath, Size: 16}
	tPair = types.TupleOf([]*types.Type{types.TInt8, types.StringOf(4)})
	tRec  = types.RecordOf([]string{"a", "b"}, []*types.Type{types.TInt64, types.StringOf(8)})
	tNest = types.TupleOf([]*types.Type{types.TInt64, tPair, types.TBool})
	tBits = &types.Type{Kind: types.Struct, Name: "s", Size: 24, Fields: []types.Field{
		{Name: "a", Type: types.TInt32, Bits: 3},
		{Name: "b", Type: types.TInt32, Bits: 5, BitOffset: 3},
		{Name: "wide", Type: types.TUint64, Offset: 0, Bits: 10, BitOffset: 6},
		{Name: "d", Type: types.StringOf(3), Offset: 4},
		{Name: "e", Type: types.ArrayOf(types.TUint8, 3), Offset: 8},
		{Type: &types.Type{Kind: types.Struct, Union: true, Size: 4, Fields: []types.Field{
			{Name: "u", Type: types.TInt32}, {Name: "v", Type: types.TInt8},
		}}, Offset: 12},
		{Name: "p", Type: tPtr, Offset: 16},
	}}
)

func stackType(kind types.Kind, mode string, limit, entry int) *types.Type {
	size := 8 + entry*limit
	if kind == types.UStack {
		size += 8
	}
	return &types.Type{Kind: kind, Size: size, Len: limit, StackMode: mode}
}

func inet4(a, b, c, d byte) []byte { return bin(2, []byte{a, b, c, d}, make([]byte, 12)) }

func inet6(groups ...uint16) []byte {
	b := bin(10)
	for _, g := range groups {
		b = append(b, byte(g>>8), byte(g))
	}
	return b
}

// valueRows are values in their layout, and how bpftrace shows them.
var valueRows = []struct {
	name       string
	t          *types.Type
	b          []byte
	text, json string
}{
	{"int8", types.TInt8, bin(int8(-56)), "-56", "-56"},
	{"uint8", types.TUint8, bin(uint8(200)), "200", "200"},
	{"int64", types.TInt64, bin(-9007199254740993), "-9007199254740993", `"-9007199254740993"`},
	{"int64 that a double holds", types.TInt64, bin(1 << 62), "4611686018427387904", "4611686018427387904"},
	{"int64 smallest", types.TInt64, bin(-1 << 63), "-9223372036854775808", "-9223372036854775808"},
	{"uint64", types.TUint64, bin(-1), "18446744073709551615", `"18446744073709551615"`},
	{"2^53", types.TUint64, bin(1 << 53), "9007199254740992", "9007199254740992"},
	{"bool", types.TBool, []byte{1}, "true", "true"},
	{"false", types.TBool, []byte{0}, "false", "false"},
	{"enum", tEnum, bin(uint32(2)), "TWO", "2"},
	{"enum without a name", tEnum, bin(uint32(7)), "7", "7"},
	{"pointer", tPtr, bin(0x1234), "0x1234", "4660"},
	{"null", tPtr, bin(0), "0x0", "0"},
	{"kernel pointer", tPtr, bin(uint64(0xffff88810256b0e8)), "0xffff88810256b0e8", `"18446612686404235496"`},
	{"buffer", tBuf, bin(uint32(6), "a\nb\"\\\xff", uint16(0)), `a\x0ab"\\xff`, "[97,10,98,34,92,-1]"},
	{"buffer that says it is longer", tBuf, bin(uint32(900), "abcdefgh"), "abcdefgh", "[97,98,99,100,101,102,103,104]"},
	{"array", types.ArrayOf(types.TInt32, 2), bin(int32(5), int32(-6)), "[5,-6]", "[5,-6]"},
	{"empty array", types.ArrayOf(types.TInt32, 0), nil, "[]", "[]"},
	{"array of arrays", types.ArrayOf(types.ArrayOf(types.TInt8, 2), 2), []byte{1, 2, 3, 4}, "[[1,2],[3,4]]", "[[1,2],[3,4]]"},
	{"array of tuples", types.ArrayOf(tPair, 2), bin(int8(1), "abc\x00", int8(2), "x\x00\x00\x00"), "[(1, abc),(2, x)]", `[[1,"abc"],[2,"x"]]`},
	{"tuple", tNest, bin(-1, int8(2), "xy\x00\x00", uint8(1), uint16(0)), "(-1, (2, xy), true)", `[-1,[2,"xy"],true]`},
	{"record", tRec, bin(1, fixed("q\"r", 8)), `{ .a = 1, .b = q"r }`, `{"a": 1, "b": "q\"r"}`},
	{"struct", tBits, bin(uint32(0xf3ff), "012", uint8(0), []byte{1, 2, 3, 0}, int32(-1), 0x10),
		"{ .a = 7, .b = 31, .wide = 975, .d = 012, .e = [1,2,3], .u = -1, .v = -1, .p = 0x10 }",
		`{"a": 7, "b": 31, "wide": 975, "d": "012", "e": [1,2,3], "u": -1, "v": -1, "p": 16}`},
	{"kstack", stackType(types.KStack, "bpftrace", 3, 8), bin(2, uint64(0xffffffff81000005), uint64(0xffffffff99000000), 9),
		"\n        vfs_read+5\n        0xffffffff99000000\n", `"\n        vfs_read+5\n        0xffffffff99000000\n"`},
	{"kstack perf", stackType(types.KStack, "perf", 2, 8), bin(9, uint64(0xffffffff81000005), uint64(0xffffffffc0000001)),
		"\n\tffffffff81000005 vfs_read+5\n\tffffffffc0000001 ext4_sync+1\n", `"\n\tffffffff81000005 vfs_read+5\n\tffffffffc0000001 ext4_sync+1\n"`},
	{"kstack raw", stackType(types.KStack, "raw", 2, 8), bin(1, uint64(0xffffffff81000005), 3), "\nffffffff81000005\n", `"\nffffffff81000005\n"`},
	{"ustack", stackType(types.UStack, "bpftrace", 2, 8), bin(uint32(7), uint32(0), 2, 0x401009, 0x5000),
		"\n        main+9\n        0x5000\n", `"\n        main+9\n        0x5000\n"`},
	{"ustack perf", stackType(types.UStack, "perf", 2, 8), bin(uint32(7), uint32(0), 2, 0x401009, 0x5000),
		"\n\t401009 main+9 (/bin/x)\n\t5000 0x5000 ([unknown])\n", `"\n\t401009 main+9 (/bin/x)\n\t5000 0x5000 ([unknown])\n"`},
	{"ustack build_id", stackType(types.UStack, "build_id", 2, 32), bin(uint32(7), uint32(0), 2,
		int32(1), "\xa2&\xe0\xf1ABCDEFGHIJKLMNOP", 0x110e89, int32(2), make([]byte, 20), 0x7f00),
		"\na226e0f14142434445464748494a4b4c4d4e4f50 0x110e89\n7f00\n", `"\na226e0f14142434445464748494a4b4c4d4e4f50 0x110e89\n7f00\n"`},
	{"empty stack", stackType(types.KStack, "bpftrace", 1, 8), bin(0, 0), "\n", `"\n"`},
	{"ksym", tKSym, bin(uint64(0xffffffff81000003)), "vfs_read", `"vfs_read"`},
	{"ksym unknown", tKSym, bin(1), "0x1", `"0x1"`},
	{"ksym 0", tKSym, bin(0), "0", `"0"`},
	{"usym", tUSym, bin(0x401000, uint32(7), uint32(0)), "main", `"main"`},
	{"usym unknown", tUSym, bin(0x1234, uint32(8), uint32(0)), "0x1234", `"0x1234"`},
	{"inet", tInet, inet4(127, 0, 0, 1), "127.0.0.1", `"127.0.0.1"`},
	{"inet6", tInet, inet6(0xfe80, 0, 0, 0, 0, 0, 1, 2), "fe80::1:2", `"fe80::1:2"`},
	{"inet6 loopback", tInet, inet6(0, 0, 0, 0, 0, 0, 0, 1), "::1", `"::1"`},
	{"inet6 v4-mapped", tInet, inet6(0, 0, 0, 0, 0, 0xffff, 0x102, 0x304), "::ffff:1.2.3.4", `"::ffff:1.2.3.4"`},
	{"inet6 v4-compatible", tInet, inet6(0, 0, 0, 0, 0, 0, 0x102, 0x304), "::1.2.3.4", `"::1.2.3.4"`},
	{"inet6 one zero", tInet, inet6(1, 0, 2, 3, 4, 5, 6, 7), "1:0:2:3:4:5:6:7", `"1:0:2:3:4:5:6:7"`},
	{"inet6 two runs", tInet, inet6(1, 0, 0, 2, 0, 0, 0, 3), "1:0:0:2::3", `"1:0:0:2::3"`},
	{"no inet", tInet, bin(5, 1, 2), "", `""`},
	{"mac", tMAC, []byte{0, 0x1b, 0xab, 0xff, 0x0c, 9}, "00:1B:AB:FF:0C:09", `"00:1B:AB:FF:0C:09"`},
	{"username", tUser, bin(0), "root", `"root"`},
	{"username unknown", tUser, bin(54321), "", `""`},
	{"strftime", tTime, bin(1234567890, 0), "22:13:21.234567 234567890 234|%", `"22:13:21.234567 234567890 234|%"`},
	{"strftime of no format", tTime, bin(1, 77), "(?)", `"(?)"`},
	{"cgroup_path", tCgrp, bin(1, 1), "unified:/a b,cpu:/", `"unified:/a b,cpu:/"`},
	{"cgroup_path filtered", tCgrp, bin(1, 2), "", `""`},
}

var formats = []string{"%H:%M:%S.%f %k %l|%%", "", "none"}

func TestValues(t *testing.T) {
	for _, row := range valueRows {
		if len(row.b) != row.t.Size {
			t.Fatalf("%s: %d bytes for a type of %d", row.name, len(row.b), row.t.Size)
		}
		p := &compile.Program{Sites: []compile.Site{values(compile.SitePrintValue, "", row.t)}, Formats: formats}
		g := newRig(t, p, nil)
		if err := g.Record(record(0, row.b)); err != nil {
			t.Fatal(err)
		}
		if got, _ := g.take(); got != row.text+"\n" {
			t.Errorf("%s: text %q, want %q", row.name, got, row.text)
		}
		g = newRig(t, p, json)
		if err := g.Record(record(0, row.b)); err != nil {
			t.Fatal(err)
		}
		if got, _ := g.take(); got != `{"type": "value", "data": `+row.json+"}\n" {
			t.Errorf("%s: JSON %q, want %q", row.name, got, row.json)
		} else if !ejson.Valid([]byte(got)) {
			t.Errorf("%s: no JSON: %s", row.name, got)
		}
	}
}

// Strings travel behind the fixed part, each with its NUL.
func TestStrings(t *testing.T) {
	long := types.StringOf(64) // max_strlen
	p := &compile.Program{Sites: []compile.Site{values(compile.SitePrintf, "%s|%5s|%-5s|%d\n", long, long, types.StringOf(4), types.TInt8)}}
	full := strings.Repeat("x", 63)
	for _, tt := range []struct {
		body []byte
		want string
	}{
		{bin(uint32(4), uint32(2), uint32(4), int8(9), "abc\x00", "d\x00", "efg\x00"), "abc|    d|efg  |9\n"},
		{bin(uint32(0), uint32(1), uint32(3), int8(9), "\x00", "efg"), "|     |efg  |9\n"},
		{bin(uint32(64), uint32(3), uint32(4), int8(9), full, "\x00", "ab\x00", "efgh"), full + "..|   ab|efgh |9\n"},
		{bin(uint32(6), uint32(1), uint32(3), int8(9), "a\x00bcd\x00", "\x00", "efg"), "a|     |efg  |9\n"},
	} {
		g := newRig(t, p, nil)
		if err := g.Record(record(0, tt.body)); err != nil {
			t.Fatal(err)
		}
		if got, _ := g.take(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	g := newRig(t, p, nil)
	short := bin(uint32(4), uint32(2), uint32(4), int8(9), "abc\x00", "d\x00", "efg")
	for n := range short {
		if err := g.Record(record(0, short[:n])); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Record(record(0, short)); err != nil {
		t.Fatal(err)
	}
	if got, _ := g.take(); got != "" || g.Malformed() != uint64(len(short))+1 {
		t.Errorf("records that are cut gave %q, %d were counted", got, g.Malformed())
	}
	if g.Record(record(77, short)); g.Malformed() != uint64(len(short))+2 {
		t.Error("a record of no site was not counted")
	}
}

// What comes from outside cannot command a terminal; what the script says may.
func TestTerminal(t *testing.T) {
	p := &compile.Program{Sites: []compile.Site{values(compile.SitePrintf, "\x1b[1m%s\x1b[0m\n", types.StringOf(16))}}
	body := bin(uint32(9), "a\x1b[2J\n\tb\x00")
	g := newRig(t, p, func(e *Env) { e.Terminal = true })
	if err := g.Record(record(0, body)); err != nil {
		t.Fatal(err)
	}
	if got, _ := g.take(); got != "\x1b[1ma\\x1b[2J\n\tb\x1b[0m\n" {
		t.Errorf("terminal: %q", got)
	}
	g = newRig(t, p, nil)
	if err := g.Record(record(0, body)); err != nil {
		t.Fatal(err)
	}
	if got, _ := g.take(); got != "\x1b[1ma\x1b[2J\n\tb\x1b[0m\n" {
		t.Errorf("file: %q", got)
	}
	g = newRig(t, p, func(e *Env) { e.JSON, e.Terminal = true, true })
	if err := g.Record(record(0, body)); err != nil {
		t.Fatal(err)
	}
	if got, _ := g.take(); got != `{"type": "printf", "data": "\u001b[1ma\u001b[2J\n\tb\u001b[0m\n"}`+"\n" {
		t.Errorf("JSON: %q", got)
	}
}

// Names of addresses are asked for once.
func TestNamesAreKept(t *testing.T) {
	p := &compile.Program{Sites: []compile.Site{values(compile.SitePrintValue, "", tKSym), values(compile.SitePrintValue, "", tUSym)}}
	g := newRig(t, p, nil)
	twice := func() {
		for range 2 {
			g.Record(record(0, uint64(0xffffffff81000003)))
			g.Record(record(1, 0x401000, uint32(7), uint32(0)))
		}
	}
	g.Before(1e9)
	twice()
	if g.syms.asked != 2 {
		t.Errorf("asked %d times for 2 addresses", g.syms.asked)
	}
	// The process may have executed another program since: those of processes are asked for again.
	g.Before(2e9)
	twice()
	if g.syms.asked != 3 {
		t.Errorf("asked %d times, want 3", g.syms.asked)
	}
}
