package kernel

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var fieldRows = []struct {
	text string
	want TracepointField // without a name: it is refused
}{
	{"const char * filename;	offset:24;	size:8;	signed:0;", TracepointField{Name: "filename", Type: "const char *", Offset: 24, Size: 8}},
	{"int dfd;	offset:16;	size:8;	signed:1;", TracepointField{Name: "dfd", Type: "int", Offset: 16, Size: 8, Signed: true}},
	{"char rwbs[10];	offset:34;	size:10;	signed:0;", TracepointField{Name: "rwbs", Type: "char[10]", Offset: 34, Size: 10, Array: 10}},
	{"unsigned long args[6];	offset:16;	size:48;	signed:0;", TracepointField{Name: "args", Type: "unsigned long[6]", Offset: 16, Size: 48, Array: 6}},
	{"__u8 saddr[2][4];	offset:4;	size:8;	signed:0;", TracepointField{Name: "saddr", Type: "__u8[2][4]", Offset: 4, Size: 8, Array: 8}},
	{"char comm[TASK_COMM_LEN];	offset:8;	size:16;	signed:0;", TracepointField{Name: "comm", Type: "char[TASK_COMM_LEN]", Offset: 8, Size: 16, Array: 16}},
	{"__data_loc char[] name;	offset:8;	size:4;	signed:0;", TracepointField{Name: "name", Type: "__data_loc char[]", Offset: 8, Size: 4, DataLoc: true}},
	{"__rel_loc char[] name;	offset:8;	size:4;	signed:0;", TracepointField{Name: "name", Type: "__rel_loc char[]", Offset: 8, Size: 4, RelLoc: true}},
	{"unsigned short common_type;	offset:0;	size:2;	signed:0;", TracepointField{Name: "common_type", Type: "unsigned short", Size: 2, Common: true}},
	{"struct task_struct *next;	offset:8;	size:8;", TracepointField{Name: "next", Type: "struct task_struct *", Offset: 8, Size: 8}},
	{"struct in6_addr addr[BIG];	offset:8;	size:32;	signed:0;", TracepointField{Name: "addr", Type: "struct in6_addr[BIG]", Offset: 8, Size: 32}},
	{"", TracepointField{}},
	{"int dfd", TracepointField{}},
	{"int dfd;", TracepointField{}},
	{"int;	offset:0;	size:4;", TracepointField{}},
	{";	offset:0;	size:4;", TracepointField{}},
	{"int a;	offset:-1;	size:4;", TracepointField{}},
	{"int a;	offset:0;	size:99999999999999999999;", TracepointField{}},
	{"int a;	offset:0;	size:100000;", TracepointField{}},
	{"int a;	offset:x;	size:4;", TracepointField{}},
	{"[4];	offset:0;	size:4;", TracepointField{}},
}

func TestParseField(t *testing.T) {
	for _, tt := range fieldRows {
		got, ok := parseField(tt.text)
		if ok != (tt.want.Name != "") {
			t.Errorf("%q: %v", tt.text, ok)
		}
		if diff := cmp.Diff(tt.want, got); ok && diff != "" {
			t.Errorf("%q: -want +got:\n%s", tt.text, diff)
		}
	}
}

func TestParseFormat(t *testing.T) {
	f, err := NewFixture().Tracepoint("block", "block_rq_issue")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, field := range f.Fields {
		if !field.Common {
			names = append(names, field.Name)
		}
	}
	if got := strings.Join(names, " "); got != "dev sector nr_sector bytes ioprio rwbs comm cmd" {
		t.Errorf("got %s", got)
	}
	if f.Group != "block" || f.Name != "block_rq_issue" || f.ID == 0 || !strings.HasPrefix(f.Print, `"%d,%d`) {
		t.Errorf("%+v", f)
	}
	checkFormat(t, f)
	for name, text := range map[string]string{
		"empty":     "",
		"no name":   "ID: 1\nformat:\n",
		"bad ID":    "name: a\nID: x\n",
		"bad field": "name: a\nID: 1\n\tfield:int;\n",
		"very long": "name: a\n" + strings.Repeat(" ", maxFormatSize),
		"too many":  "name: a\n" + strings.Repeat("\tfield:int a;\toffset:0;\tsize:4;\n", maxFormatFields+1),
	} {
		if f, err := ParseFormat("g", text); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestReadFormat(t *testing.T) {
	dir := root(t, map[string]string{"events/g/a/format": "name: a\nID: 5\nformat:\n\tfield:int x;\toffset:8;\tsize:4;\tsigned:1;\n\nprint fmt: \"x\"\n"})
	if f, err := readFormat(dir, "g", "a"); err != nil || f.ID != 5 || len(f.Fields) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	for _, name := range []string{"b", "", "..", "a/../a"} {
		if _, err := readFormat(dir, "g", name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzParseFormat(f *testing.F) {
	for _, tt := range fieldRows {
		f.Add("name: a\nID: 1\nformat:\n\tfield:" + tt.text + "\nprint fmt: \"\"\n")
	}
	f.Add(fixtureFormats()["sched:sched_switch"])
	f.Fuzz(func(t *testing.T, text string) {
		format, err := ParseFormat("g", text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		for _, field := range format.Fields {
			if field.Name == "" || field.Type == "" || field.Offset < 0 || field.Size < 0 || field.Array < 0 || field.Array > maxRecordSize {
				t.Errorf("%+v", field)
			}
		}
	})
}
