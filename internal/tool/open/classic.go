package open

import (
	"strconv"

	"sonde/internal/print"
	"sonde/internal/prog"
)

// Classic describes an open as the classic opensnoop shows it: numbers where RowType has names.
var Classic = &prog.RowType{
	Name: "open",
	Fields: []prog.Field{
		{Key: "since", Kind: prog.Text, Doc: "seconds since the first open, with nine decimals"},
		{Key: "uid", Kind: prog.Uint, Doc: "real user id"},
		{Key: "pid", Kind: prog.Uint, Doc: "process id"},
		{Key: "tid", Kind: prog.Uint, Doc: "thread id"},
		{Key: "comm", Kind: prog.Text, Doc: "name of the process"},
		{Key: "fd", Kind: prog.Int, Doc: "the descriptor, or -1"},
		{Key: "err", Kind: prog.Int, Doc: "the error number, or 0"},
		{Key: "oflags", Kind: prog.Text, Doc: "flags, eight octal digits"},
		{Key: "perm", Kind: prog.Text, Doc: "mode, four octal digits, or n/a"},
		{Key: "path", Kind: prog.Text, Doc: "the path as asked for"},
		{Key: "full", Kind: prog.Text, Doc: "the absolute path"},
	},
}

// ClassicFields are the keys of RowType that keys of Classic are made from.
func ClassicFields(keys []string) (needed []string) {
	from := map[string]string{"since": "time", "err": "errno", "perm": "mode"}
	for _, key := range keys {
		if other, ok := from[key]; ok {
			key = other
		}
		needed = append(needed, key)
	}
	return needed
}

// classic turns rows of RowType into rows of Classic.
type classic struct {
	print.Sink
	row                prog.Row
	from               map[string]int
	first              int64
	started            bool
	since, flags, perm []byte
}

// NewClassic returns a sink for rows of RowType that gives next rows of Classic.
func NewClassic(next print.Sink) print.Sink {
	c := &classic{Sink: next, row: prog.Row{Type: Classic, Values: make([]prog.Value, len(Classic.Fields))}, from: make(map[string]int)}
	for _, key := range []string{"time", "uid", "pid", "tid", "comm", "fd", "errno", "oflags", "mode", "path", "full"} {
		c.from[key] = RowType.Index(key)
	}
	return c
}

func (c *classic) Row(r *prog.Row) error {
	at := func(key string) prog.Value { return r.Values[c.from[key]] }
	now := at("time").Num
	if !c.started {
		c.first, c.started = now, true
	}
	c.since = appendSeconds(c.since[:0], now-c.first)
	c.flags = appendOctal(c.flags[:0], uint64(at("oflags").Num), 8)
	c.perm = append(c.perm[:0], "n/a"...)
	if mode := at("mode"); !mode.Null {
		c.perm = appendOctal(c.perm[:0], uint64(mode.Num), 4)
	}
	for i, v := range []prog.Value{
		{Bytes: c.since}, at("uid"), at("pid"), at("tid"), at("comm"), at("fd"), {Num: at("errno").Num},
		{Bytes: c.flags}, {Bytes: c.perm}, at("path"), at("full"),
	} {
		c.row.Values[i] = v
	}
	return c.Sink.Row(&c.row)
}

// appendSeconds writes nanoseconds as seconds with nine decimals.
func appendSeconds(to []byte, ns int64) []byte {
	if ns < 0 { // it began before the one that came first
		to, ns = append(to, '-'), -ns
	}
	to = append(strconv.AppendInt(to, ns/1e9, 10), '.')
	digits := strconv.AppendInt(nil, ns%1e9+1e9, 10)
	return append(to, digits[1:]...)
}

func appendOctal(to []byte, n uint64, digits int) []byte {
	var text [22]byte
	octal := strconv.AppendUint(text[:0], n, 8)
	for range digits - len(octal) {
		to = append(to, '0')
	}
	return append(to, octal...)
}
