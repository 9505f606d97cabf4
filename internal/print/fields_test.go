package print

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

func TestSelectColumns(t *testing.T) {
	for _, c := range []struct {
		keys string
		want []prog.Column
	}{
		{"pid", []prog.Column{{Head: "PID", Field: "pid"}}},
		{"exectime_ns,ino,errno", []prog.Column{
			{Head: "EXECTIME(US)", Field: "exectime_ns", Width: 8, Right: true, Divide: 1000},
			{Head: "INO", Field: "ino", Width: 7, Right: true},
			{Head: "ERRNO", Field: "errno"},
		}},
		{"argv,argv_truncated,ino", []prog.Column{
			{Head: "ARGS", Field: "argv", Width: 32, Mark: "argv_truncated"},
			{Head: "ARGV_TRUNCATED", Field: "argv_truncated", Width: 14},
			{Head: "INO", Field: "ino"},
		}},
	} {
		got, err := SelectColumns(sample, strings.Split(c.keys, ","))
		if err != nil {
			t.Errorf("%s: %v", c.keys, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.keys, diff)
		}
	}
}

func TestUnknownField(t *testing.T) {
	const all = "known: time, pid, ppid, comm, argv, argv_truncated, ret, errno, exectime_ns, ino, flags"
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"pid", "errn"}, `unknown field "errn"; did you mean "errno"? ` + all},
		{[]string{"PID"}, `unknown field "PID"; did you mean "pid"? ` + all},
		{[]string{"pdi"}, `unknown field "pdi"; did you mean "pid"? ` + all},
		{[]string{" comm"}, `unknown field " comm"; did you mean "comm"? ` + all},
		{[]string{"exectime"}, `unknown field "exectime"; did you mean "exectime_ns"? ` + all},
		{[]string{"exectime_us"}, `unknown field "exectime_us"; did you mean "exectime_ns"? ` + all},
		{[]string{"zzzzzz"}, `unknown field "zzzzzz"; ` + all},
		{[]string{""}, `unknown field ""; ` + all},
		{[]string{"a\nb\x1b"}, `unknown field "a\nb\x1b"; ` + all},
		{[]string{strings.Repeat("x", 1<<20)}, `unknown field "` + strings.Repeat("x", 64) + `…"; ` + all},
		{[]string{"pid", "comm", "pid"}, `field "pid" is named twice; name it once`},
		{nil, "no field is named; " + all},
	} {
		cols, err := SelectColumns(sample, c.keys)
		if err == nil || err.Error() != c.want || cols != nil {
			t.Errorf("%.80q:\n got %v\nwant %s", c.keys, err, c.want)
		}
	}
	var unknown *UnknownFieldError
	if err := CheckFields(sample, []string{"errn"}); !errors.As(err, &unknown) || unknown.Suggestion != "errno" {
		t.Errorf("%#v", err)
	}
}

func TestFieldsGolden(t *testing.T) {
	golden(t, "fields-help", []byte(FieldsHelp(sample)))
	cols, err := SelectColumns(sample, []string{"argv", "flags", "time", "exectime_ns", "errno", "pid"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "fields-selected", show(t, func(w *bytes.Buffer) Sink {
		return NewColumns(w, sample, cols, ColumnOptions{Location: sampleStart.Location()})
	}, sampleRows()...))
}
