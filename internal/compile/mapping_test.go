package compile

import (
	"encoding/binary"
	"strings"
	"testing"
)

// mappingRecord is a record's body as the program makes it.
func mappingRecord(count uint64, names ...string) []byte {
	b := make([]byte, mappingSize-headerSize)
	for i, w := range []uint64{77, 0x1000, 0x3000, 2, 254 << 20, 99, count} {
		binary.NativeEndian.PutUint64(b[8*i:], w)
	}
	for i, n := range names {
		copy(b[mappingNames+i*mappingNameSize:], n)
	}
	return b
}

func TestParseMapping(t *testing.T) {
	for _, c := range []struct {
		body []byte
		path string
	}{
		{mappingRecord(3, "libc.so.6", "lib", "usr", "garbage"), "/usr/lib/libc.so.6"},
		{mappingRecord(0), ""},
		{mappingRecord(2, "a", ""), ""},
		{mappingRecord(2, "a", strings.Repeat("x", mappingNameSize)), ""},
		{mappingRecord(mappingMost+1, "a"), ""},
		{mappingRecord(1<<63, "a"), ""},
	} {
		want := Mapping{PID: 77, Start: 0x1000, End: 0x3000, Page: 2, Device: 254 << 20, Inode: 99, Path: c.path}
		if got, ok := ParseMapping(c.body); !ok || got != want {
			t.Errorf("%v, %+v, want %+v", ok, got, want)
		}
	}
	if _, ok := ParseMapping(make([]byte, 100)); ok {
		t.Error("a short record")
	}
}
