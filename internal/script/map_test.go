package script

import (
	ejson "encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
	"sonde/internal/stream"
)

var (
	tCount = &types.Type{Kind: types.Count, Size: 8}
	tSum   = &types.Type{Kind: types.Sum, Size: 8, Signed: true}
	tMin   = &types.Type{Kind: types.Min, Size: 16, Signed: true}
	tMax   = &types.Type{Kind: types.Max, Size: 16}
	tAvg   = &types.Type{Kind: types.Avg, Size: 16, Signed: true}
	tStats = &types.Type{Kind: types.Stats, Size: 16, Signed: true}
	tHist  = &types.Type{Kind: types.Hist, Size: 8}
	tLHist = &types.Type{Kind: types.LHist, Size: 8, Agg: types.Aggregate{Min: 0, Max: 100, Step: 10}}
)

// hash makes a table; parts are keys and the values of each CPU in turn.
func hash(keySize, valueSize, cpus int, parts ...any) *stream.Table {
	t := &stream.Table{KeySize: keySize, ValueSize: valueSize, CPUs: cpus}
	for i := 0; i < len(parts); t.N++ {
		t.Keys = append(t.Keys, bin(parts[i])...)
		i++
		for range cpus {
			t.Values = append(t.Values, fixed(string(bin(parts[i])), valueSize)...)
			i++
		}
	}
	if len(t.Keys) != t.N*keySize {
		panic(fmt.Sprintf("%d bytes of keys for %d", len(t.Keys), t.N))
	}
	return t
}

// buckets makes the value of a histogram.
func buckets(t *types.Type, counts map[int]int) []byte {
	b := make([]byte, 8*bucketCount(t))
	for i, n := range counts {
		copy(b[8*i:], bin(n))
	}
	return b
}

// cellMap is a scalar map in cells for so many CPUs, with the value of each; nil for one that is not set.
func cellMap(name string, value *types.Type, each ...[]byte) (compile.Map, []byte) {
	m := compile.Map{Name: name, Storage: compile.StoreCPUCells, Value: value, BPF: "cells", Offset: 8, Stride: 1024, Slots: len(each)}
	memory := make([]byte, 8+1024*len(each))
	for i, v := range each {
		if v != nil {
			copy(memory[8+1024*i:], bin(1, v))
		}
	}
	return m, memory
}

// ownTable is a table by thread at an offset: for each set its threads and their values.
func ownTable(offset int, sets ...any) []byte {
	memory := make([]byte, offset)
	for i := 0; i < len(sets); i += 2 {
		memory = append(memory, fixed(string(bin(sets[i+1], sets[i])), 64)...)
	}
	return memory
}

// mapRows are maps, and what print shows of them. The forms were compared with bpftrace; ties, and orders that it
// leaves to chance, are ours.
var mapRows = []struct {
	name       string
	m          compile.Map
	table      *stream.Table
	memory     []byte
	top, div   int
	text, json string
	unset      bool // left out at the end of the run
}{
	{
		name: "ints by value", m: compile.Map{Key: types.TInt64, Value: types.TInt64},
		table: hash(8, 8, 1, 3, 1, 1, 5, 2, -3, 4, 1),
		text:  "@x[2]: -3\n@x[3]: 1\n@x[4]: 1\n@x[1]: 5\n", json: `{"type": "map", "data": {"@x": {"2": -3, "3": 1, "4": 1, "1": 5}}}`,
	},
	{
		name: "top and div", m: compile.Map{Key: types.TInt64, Value: types.TInt64}, top: 2, div: 2,
		table: hash(8, 8, 1, 3, 1, 1, 5, 2, -3, 4, 1),
		text:  "@x[4]: 0\n@x[1]: 2\n", json: `{"type": "map", "data": {"@x": {"4": 0, "1": 2}}}`,
	},
	{
		name: "div by a negative number", m: compile.Map{Key: types.TInt64, Value: types.TInt64}, top: 9, div: -1,
		table: hash(8, 8, 1, 2, -3, 1, 5),
		text:  "@x[2]: 3\n@x[1]: -5\n", json: `{"type": "map", "data": {"@x": {"2": 3, "1": -5}}}`,
	},
	{
		name: "unsigned values", m: compile.Map{Key: types.TInt64, Value: types.TUint64},
		table: hash(8, 8, 1, 1, -1, 2, 5),
		text:  "@x[2]: 5\n@x[1]: 18446744073709551615\n", json: `{"type": "map", "data": {"@x": {"2": 5, "1": "18446744073709551615"}}}`,
	},
	{
		name: "strings by key", m: compile.Map{Key: types.StringOf(12), Value: types.StringOf(4)},
		table: hash(12, 8, 1, fixed("b", 12), "z", fixed("abcdefghiz", 12), "y", fixed("abcdefghia", 12), "x", fixed("", 12), "w"),
		text:  "@x[]: w\n@x[abcdefghia]: x\n@x[abcdefghiz]: y\n@x[b]: z\n",
		json:  `{"type": "map", "data": {"@x": {"": "w", "abcdefghia": "x", "abcdefghiz": "y", "b": "z"}}}`,
	},
	{
		name: "tuple keys", m: compile.Map{Key: types.TupleOf([]*types.Type{types.TInt64, tPair}), Value: tPair},
		table: hash(16, 8, 1, bin(2, int8(1), "b\x00\x00\x00\x00\x00\x00"), bin(int8(1), "x\x00\x00\x00"),
			bin(1, int8(9), "z z\x00\x00\x00\x00"), bin(int8(3), "y\x00\x00\x00"),
			bin(-1, int8(1), "z\x00\x00\x00\x00\x00\x00"), bin(int8(3), "y\x00\x00\x00")),
		text: "@x[-1, (1, z)]: (3, y)\n@x[1, (9, z z)]: (3, y)\n@x[2, (1, b)]: (1, x)\n",
		json: `{"type": "map", "data": {"@x": {"-1,(1,z)": [3,"y"], "1,(9,z z)": [3,"y"], "2,(1,b)": [1,"x"]}}}`,
	},
	{
		name: "record key", m: compile.Map{Key: tRec, Value: types.TInt64}, table: hash(16, 8, 1, bin(1, fixed("q\"", 8)), 1),
		text: "@x[{ .a = 1, .b = q\" }]: 1\n", json: `{"type": "map", "data": {"@x": {"{.a=1,.b=q\"}": 1}}}`,
	},
	{
		name: "array key", m: compile.Map{Key: types.ArrayOf(types.TInt8, 4), Value: types.ArrayOf(types.TInt8, 4)},
		table: hash(4, 8, 1, []byte{4, 3, 2, 2}, []byte{1, 2, 3, 4}, []byte{4, 3, 2, 1}, []byte{1, 2, 3, 4}),
		text:  "@x[[4,3,2,1]]: [1,2,3,4]\n@x[[4,3,2,2]]: [1,2,3,4]\n", json: `{"type": "map", "data": {"@x": {"[4,3,2,1]": [1,2,3,4], "[4,3,2,2]": [1,2,3,4]}}}`,
	},
	{
		name: "enums by value, bools by key", m: compile.Map{Key: tEnum, Value: tEnum},
		table: hash(4, 8, 1, uint32(1), uint32(2), uint32(2), uint32(1)),
		text:  "@x[TWO]: ONE\n@x[ONE]: TWO\n", json: `{"type": "map", "data": {"@x": {"TWO": 1, "ONE": 2}}}`,
	},
	{
		name: "pointer keys", m: compile.Map{Key: tPtr, Value: tPtr}, table: hash(8, 8, 1, 0x50, 1, 0x3, 2),
		text: "@x[0x3]: 0x2\n@x[0x50]: 0x1\n", json: `{"type": "map", "data": {"@x": {"0x3": 2, "0x50": 1}}}`,
	},
	{
		name: "stack key", m: compile.Map{Key: stackType(types.KStack, "bpftrace", 2, 8), Value: types.TInt64},
		table: hash(24, 8, 1, bin(1, uint64(0xffffffff81000005), 0), 3),
		text:  "@x[\n        vfs_read+5\n]: 3\n", json: `{"type": "map", "data": {"@x": {"\nvfs_read+5\n": 3}}}`,
	},
	{
		name: "stack in a tuple", m: compile.Map{Key: types.TupleOf([]*types.Type{types.TInt64, stackType(types.KStack, "perf", 1, 8), types.TInt64}), Value: stackType(types.KStack, "bpftrace", 1, 8)},
		table: hash(32, 16, 1, bin(1, 1, uint64(0xffffffff81000005), 2), bin(1, uint64(0xffffffff81000001))),
		text:  "@x[1, \n\tffffffff81000005 vfs_read+5\n, 2]: \n        vfs_read+1\n\n",
		json:  `{"type": "map", "data": {"@x": {"1,\n\tffffffff81000005 vfs_read+5\n,2": "\n        vfs_read+1\n"}}}`,
	},
	{
		name: "empty map", m: compile.Map{Key: types.TInt64, Value: types.TInt64}, table: hash(8, 8, 1), unset: true,
	},
	{
		name: "by thread", m: compile.Map{Key: types.TInt32, Value: types.TInt64, Sets: 2, Offset: 64},
		table:  hash(4, 8, 1, int32(7), 1),
		memory: ownTable(64, [2]uint32{5, 0}, [2]int64{-2, 99}, [2]uint32{0, 8}, [2]int64{99, 3}),
		text:   "@x[5]: -2\n@x[7]: 1\n@x[8]: 3\n", json: `{"type": "map", "data": {"@x": {"5": -2, "7": 1, "8": 3}}}`,
	},
	{
		name: "by thread, and nothing in it", m: compile.Map{Key: types.TInt32, Value: types.TInt64, Sets: 1},
		table: hash(4, 8, 1), memory: ownTable(0, [2]uint32{}, [2]int64{99, 99}), unset: true,
	},
	{
		name: "count of all CPUs", m: compile.Map{Key: types.TInt32, Value: tCount, Storage: compile.StorePerCPUHash},
		table: hash(4, 8, 2, int32(1), 2, 3, int32(2), 4, 0),
		text:  "@x[2]: 4\n@x[1]: 5\n", json: `{"type": "map", "data": {"@x": {"2": 4, "1": 5}}}`,
	},
	{
		name: "sum", m: compile.Map{Key: types.TInt64, Value: tSum, Storage: compile.StorePerCPUHash},
		table: hash(8, 8, 2, 1, -5, 3, 2, -7, 0), div: 2,
		text: "@x[2]: -3\n@x[1]: -1\n", json: `{"type": "map", "data": {"@x": {"2": -3, "1": -1}}}`,
	},
	{
		name: "declared per CPU", m: compile.Map{Key: types.TInt64, Value: types.TInt32, Storage: compile.StorePerCPUHash},
		table: hash(8, 8, 2, 1, int32(-5), int32(3)), text: "@x[1]: -2\n", json: `{"type": "map", "data": {"@x": {"1": -2}}}`,
	},
	{
		name: "min", m: compile.Map{Key: types.TInt64, Value: tMin, Storage: compile.StorePerCPUHash},
		table: hash(8, 16, 3, 1, bin(5, 1), bin(-3, 1), bin(-9, 0), 2, bin(0, 0), bin(7, 1), bin(0, 0)),
		text:  "@x[1]: -3\n@x[2]: 7\n", json: `{"type": "map", "data": {"@x": {"1": -3, "2": 7}}}`,
	},
	{
		name: "max, unsigned", m: compile.Map{Key: types.TInt64, Value: tMax, Storage: compile.StorePerCPUHash},
		table: hash(8, 16, 2, 1, bin(5, 1), bin(-3, 1), 2, bin(5, 1), bin(7, 1)),
		text:  "@x[2]: 7\n@x[1]: 18446744073709551613\n", json: `{"type": "map", "data": {"@x": {"2": 7, "1": "18446744073709551613"}}}`,
	},
	{
		name: "avg", m: compile.Map{Key: types.TInt64, Value: tAvg, Storage: compile.StorePerCPUHash},
		table: hash(8, 16, 2, 1, bin(10, 1), bin(0, 0), 2, bin(-8, 2), bin(-7, 1)),
		text:  "@x[2]: -5\n@x[1]: 10\n", json: `{"type": "stats", "data": {"@x": {"2": -5, "1": 10}}}`,
	},
	{
		name: "stats", m: compile.Map{Key: types.TInt64, Value: tStats, Storage: compile.StorePerCPUHash}, div: 2,
		table: hash(8, 16, 2, 1, bin(10, 1), bin(0, 0), 2, bin(8, 2), bin(4, 1)),
		text:  "@x[2]: { .count = 3, .average = 2, .total = 12 }\n@x[1]: { .count = 1, .average = 5, .total = 10 }\n",
		json:  `{"type": "stats", "data": {"@x": {"2": {"count": 3, "average": 2, "total": 12}, "1": {"count": 1, "average": 5, "total": 10}}}}`,
	},
	{
		name: "hists by how much is in them", m: compile.Map{Key: types.TInt64, Value: tHist, Storage: compile.StorePerCPUHash},
		table: hash(8, 8*66, 2, 1, buckets(tHist, map[int]int{3: 2, 4: 1}), buckets(tHist, map[int]int{3: 1}), 2, buckets(tHist, map[int]int{8: 1}), buckets(tHist, nil)),
		text:  "@x[2]:\n" + bar("[64, 128)", 1, 52) + "\n@x[1]:\n" + bar("[2, 4)", 3, 52) + bar("[4, 8)", 1, 17) + "\n",
		json:  `{"type": "hist", "data": {"@x": {"2": [{"min": 64, "max": 127, "count": 1}], "1": [{"min": 2, "max": 3, "count": 3},{"min": 4, "max": 7, "count": 1}]}}}`,
	},
	{
		name: "hist by buckets", m: compile.Map{Key: types.TInt32, Value: tHist, Storage: compile.StorePerCPUHash, BucketKey: true},
		table: hash(16, 8, 2, bin(int32(7), uint32(0), 3), 1, 1, bin(int32(8), uint32(0), 3), 1, 0, bin(int32(7), uint32(0), 0), 0, 1, bin(int32(7), uint32(0), 9999), 1, 1),
		text:  "@x[8]:\n" + bar("[2, 4)", 1, 52) + "\n@x[7]:\n" + bar("(..., 0)", 1, 26) + bar("[0]", 0, 0) + bar("[1]", 0, 0) + bar("[2, 4)", 2, 52) + "\n",
		json:  `{"type": "hist", "data": {"@x": {"8": [{"min": 2, "max": 3, "count": 1}], "7": [{"max": -1, "count": 1},{"min": 0, "max": 0, "count": 0},{"min": 1, "max": 1, "count": 0},{"min": 2, "max": 3, "count": 2}]}}}`,
	},
	{
		name: "lhist", m: compile.Map{Key: types.TInt64, Value: tLHist, Storage: compile.StorePerCPUHash},
		table: hash(8, 8*12, 1, 1, buckets(tLHist, map[int]int{10: 1, 11: 4})),
		text:  "@x[1]:\n" + bar("[90, 100)", 1, 13) + bar("[100, ...)", 4, 52) + "\n",
		json:  `{"type": "hist", "data": {"@x": {"1": [{"min": 90, "max": 99, "count": 1},{"min": 100, "count": 4}]}}}`,
	},
	{
		name: "zeroed hist", m: compile.Map{Key: types.TInt64, Value: tHist, Storage: compile.StorePerCPUHash},
		table: hash(8, 8*66, 1, 1, buckets(tHist, nil)), text: "@x[1]:\n\n", json: `{"type": "hist", "data": {"@x": {"1": []}}}`,
	},
	{
		name: "scalar string", m: compile.Map{Value: types.StringOf(16)}, table: hash(8, 16, 1, 0, "abc"), div: 2,
		text: "@x: abc\n", json: `{"type": "map", "data": {"@x": "abc"}}`,
	},
	{
		name: "scalar string that is not set", m: compile.Map{Value: types.StringOf(16)}, table: hash(8, 16, 1), unset: true,
		text: "@x: \n", json: `{"type": "map", "data": {"@x": ""}}`,
	},
}

// bar is a line of a histogram.
func bar(label string, n, length int) string {
	return fmt.Sprintf("%-16s%8d |%-52s|\n", label, n, strings.Repeat("@", length))
}

func TestMaps(t *testing.T) {
	rows := mapRows
	cell := func(name string, value *types.Type, text, json string, each ...[]byte) {
		m, memory := cellMap("@x", value, each...)
		rows = append(rows, struct {
			name       string
			m          compile.Map
			table      *stream.Table
			memory     []byte
			top, div   int
			text, json string
			unset      bool
		}{name: name, m: m, memory: memory, text: text, json: json, unset: each[0] == nil && each[1] == nil})
	}
	cell("scalar count", tCount, "@x: 7\n", `{"type": "map", "data": {"@x": 7}}`, bin(3), nil, bin(4), nil)
	cell("scalar count that is not set", tCount, "@x: 0\n", `{"type": "map", "data": {"@x": 0}}`, nil, nil)
	cell("scalar max", tMax, "@x: 9\n", `{"type": "map", "data": {"@x": 9}}`, bin(3, 1), bin(9, 1))
	cell("scalar stats", tStats, "@x: { .count = 2, .average = 7, .total = 15 }\n", `{"type": "stats", "data": {"@x": {"count": 2, "average": 7, "total": 15}}}`, bin(7, 1), bin(8, 1))
	cell("scalar hist", tHist, "@x:\n"+bar("[4, 8)", 3, 52)+"\n", `{"type": "hist", "data": {"@x": [{"min": 4, "max": 7, "count": 3}]}}`,
		buckets(tHist, map[int]int{4: 1}), buckets(tHist, map[int]int{4: 2}))
	cell("scalar hist that is not set", tHist, "", "", nil, nil)
	rows = append(rows, rows[0])
	last := &rows[len(rows)-1]
	last.name, last.table, last.text, last.json = "scalar int", nil, "@x: -3\n", `{"type": "map", "data": {"@x": -3}}`
	last.m, last.memory = compile.Map{Storage: compile.StoreCell, Value: types.TInt16, BPF: "cells", Offset: 64}, fixed(string(append(make([]byte, 64), bin(1, int16(-3))...)), 80)

	for _, row := range rows {
		row.m.Name = "@x"
		if row.table != nil {
			row.m.BPF = "at_x"
		}
		s := values(compile.SitePrintMap, "", types.TInt64, types.TInt64)
		s.Map = "@x"
		p := &compile.Program{Sites: []compile.Site{s}, Maps: []compile.Map{row.m}}
		for _, form := range []struct {
			edit func(*Env)
			want string
			head string
		}{{nil, row.text, "\n\n"}, {json, row.json, ""}} {
			if form.want != "" && form.edit != nil {
				form.want += "\n"
			}
			g := newRig(t, p, form.edit)
			g.maps.tables["at_x"], g.maps.memory = row.table, row.memory
			if err := g.Record(record(0, row.top, row.div)); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			got, _ := g.take()
			if got != form.want {
				t.Errorf("%s:\n%q, want\n%q", row.name, got, form.want)
			}
			if form.edit != nil && got != "" && !ejson.Valid([]byte(got)) {
				t.Errorf("%s: no JSON: %s", row.name, got)
			}
			if row.top != 0 || row.div != 0 {
				continue
			}
			if err := g.PrintMaps(); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			want := form.head + form.want
			if row.unset {
				want = form.head
			}
			if got, _ := g.take(); got != want {
				t.Errorf("%s: at the end\n%q, want\n%q", row.name, got, want)
			}
		}
	}
}

func TestPrintMapsOff(t *testing.T) {
	c := config()
	c.PrintMapsOnExit = false
	p := &compile.Program{Config: c, Maps: []compile.Map{{Name: "@x", BPF: "at_x", Key: types.TInt64, Value: types.TInt64}}}
	g := newRig(t, p, nil)
	g.maps.tables["at_x"] = hash(8, 8, 1, 1, 1)
	if err := g.PrintMaps(); err != nil {
		t.Fatal(err)
	}
	if got, _ := g.take(); got != "\n\n" {
		t.Errorf("%q", got)
	}
}

func TestWipe(t *testing.T) {
	cellsMap, memory := cellMap("@c", tCount, bin(3), bin(4))
	sites := func(name string) []compile.Site {
		return []compile.Site{
			{Kind: compile.SiteZero, Map: name, Size: stream.HeaderSize}, {Kind: compile.SiteClear, Map: name, Size: stream.HeaderSize},
		}
	}
	p := &compile.Program{Maps: []compile.Map{cellsMap, {Name: "@x", BPF: "at_x", Key: types.TInt64, Value: types.TInt64}}}
	p.Sites = append(sites("@c"), sites("@x")...)
	p.Sites = append(p.Sites, sites("@none")...)
	g := newRig(t, p, nil)
	g.maps.tables["at_x"], g.maps.memory = hash(8, 8, 1, 1, 1), memory
	memory[0], memory[24] = 0xaa, 0xbb // of others
	show := func(want string) {
		t.Helper()
		if err := g.PrintMaps(); err != nil {
			t.Fatal(err)
		}
		if got, _ := g.take(); got != "\n\n"+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	show("@c: 7\n@x[1]: 1\n")
	for i, want := range []string{"@c: 0\n@x[1]: 1\n", "@x[1]: 1\n", "@x[1]: 0\n", "", "", ""} {
		if err := g.Record(record(i)); err != nil {
			t.Fatal(err)
		}
		show(want)
	}
	if memory[0] != 0xaa || memory[24] != 0xbb {
		t.Error("what lies around the cells was written to")
	}
}

// A map in the kernel that is not what the script says is an error, never a read beyond its end.
func TestMapsOfOtherSizes(t *testing.T) {
	for name, m := range map[string]compile.Map{
		"key":     {Key: types.TInt64, Value: types.TInt32},
		"value":   {Key: types.TInt32, Value: types.TInt64},
		"per CPU": {Key: types.TInt32, Value: tStats, Storage: compile.StorePerCPUHash},
		"buckets": {Key: types.TInt32, Value: tHist, Storage: compile.StorePerCPUHash, BucketKey: true},
		"cells":   {Value: tCount, Storage: compile.StoreCPUCells, Offset: 100, Slots: 2, Stride: 64},
	} {
		m.Name, m.BPF = "@x", "at_x"
		g := newRig(t, &compile.Program{Maps: []compile.Map{m}}, nil)
		g.maps.tables["at_x"] = hash(4, 4, 1, int32(1), int32(2))
		if g.PrintMaps() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Labels of histograms as bpftrace has them.
func TestBuckets(t *testing.T) {
	log := func(bits int) *types.Type { return &types.Type{Kind: types.Hist, Agg: types.Aggregate{Bits: bits}} }
	lin := func(min, max, step int64) *types.Type {
		return &types.Type{Kind: types.LHist, Agg: types.Aggregate{Min: min, Max: max, Step: step}}
	}
	for _, tt := range []struct {
		t    *types.Type
		i    int
		want string
	}{
		{log(0), 0, "(..., 0)"}, {log(0), 1, "[0]"}, {log(0), 2, "[1]"}, {log(0), 3, "[2, 4)"}, {log(0), 11, "[512, 1K)"},
		{log(0), 12, "[1K, 2K)"}, {log(0), 42, "[1T, 2T)"}, {log(0), 64, "[4E, 8E)"}, {log(0), 65, "[8E, 16E)"},
		{log(1), 3, "[2]"}, {log(1), 4, "[3]"}, {log(1), 5, "[4, 6)"}, {log(1), 19, "[512, 768)"}, {log(1), 20, "[768, 1024)"},
		{log(1), 22, "[1536, 2K)"}, {log(1), 40, "[768K, 1024K)"}, {log(1), 42, "[1536K, 2M)"},
		{log(2), 8, "[7]"}, {log(2), 9, "[8, 10)"}, {log(2), 36, "[896, 1024)"}, {log(5), 1888, "[8064P, 8192P)"},
		{log(3), 488, "[7680P, 8E)"},
		{lin(0, 100, 10), 0, "(..., 0)"}, {lin(0, 100, 10), 1, "[0, 10)"}, {lin(0, 100, 10), 11, "[100, ...)"},
		{lin(3, 10, 1), 0, "(..., 3)"}, {lin(3, 10, 1), 3, "[5]"}, {lin(3, 10, 1), 8, "[10, ...)"},
		{lin(0, 10, 3), 4, "[9, ...)"}, {lin(0, 2048, 512), 2, "[512, 1024)"}, {lin(0, 10240, 1024), 5, "[4K, 5K)"},
		{lin(1, 10241, 1024), 2, "[1025, 2049)"}, {lin(2048, 10240, 2048), 5, "[10K, ...)"}, {lin(0, 10<<20, 1<<20), 3, "[2M, 3M)"},
	} {
		if got := string(appendBucket(nil, tt.t, tt.i, bucketCount(tt.t))); got != tt.want {
			t.Errorf("bucket %d of %+v: %q, want %q", tt.i, tt.t.Agg, got, tt.want)
		}
	}
	for _, tt := range []struct {
		t    *types.Type
		i    int
		want string
	}{
		{log(0), 64, `[{"min": 4611686018427387904, "max": "9223372036854775807", "count": 1}]`},
		{log(5), 1888, `[{"min": 9079256848778919936, "max": "9223372036854775807", "count": 1}]`},
		{log(2), 9, `[{"min": 8, "max": 9, "count": 1}]`},
		{log(2), 0, `[{"max": -1, "count": 1}]`},
		{lin(3, 10, 1), 0, `[{"max": 2, "count": 1}]`},
		{lin(0, 10, 3), 4, `[{"min": 9, "count": 1}]`},
	} {
		if got := string(appendHistJSON(nil, tt.t, buckets(tt.t, map[int]int{tt.i: 1}), 0)); got != tt.want {
			t.Errorf("bucket %d of %+v: %q, want %q", tt.i, tt.t.Agg, got, tt.want)
		}
	}
}

// Many entries are sorted in another way than few, with the same result.
func TestOrderOfMany(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{2, 255, 256, 5000} {
		key := types.TupleOf([]*types.Type{types.TInt64, types.StringOf(8)})
		e := entries{n: n, keySize: 16, valueSize: 8}
		for range n {
			e.keys = append(e.keys, bin(int(random.Int64N(5))-2, fixed(fmt.Sprint(random.IntN(1000)), 8))...)
			e.values = append(e.values, bin(int(random.Int64N(9))-4)...)
		}
		var s sorter
		items := s.order(&compile.Map{Key: key, Value: types.TInt64}, &e)
		seen := map[int]bool{}
		for i, it := range items {
			seen[it.at] = true
			if i == 0 {
				continue
			}
			a, b := items[i-1].at, it.at
			va, vb := int64(word(e.value(a), 0)), int64(word(e.value(b), 0))
			if va > vb || va == vb && compareKeys(key, e.key(a), e.key(b)) > 0 {
				t.Fatalf("%d entries: %d stands before %d", n, a, b)
			}
		}
		if len(seen) != n {
			t.Fatalf("%d entries came out of %d", len(seen), n)
		}
	}
}
