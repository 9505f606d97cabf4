package symbol

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func staticNoteBytes(name string, kind uint32, desc string) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(len(name)))
	b = le.AppendUint32(b, uint32(len(desc)))
	b = le.AppendUint32(b, kind)
	b = append(b, name...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, desc...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

const staticAddresses = "\x10\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x30\x00\x00\x00\x00\x00\x00\x00"

var staticNoteTables = []struct {
	name  string
	notes []byte
	want  []staticNoteOf
}{
	{"none", nil, nil},
	{"one", staticNoteBytes("stapsdt\x00", 3, staticAddresses+"p\x00n\x008@%rax\x00"), []staticNoteOf{{0x10, 0x20, 0x30, "p", "n", "8@%rax"}}},
	{"two, and another's", append(append(staticNoteBytes("stapsdt\x00", 3, staticAddresses+"p\x00n\x00\x00"), staticNoteBytes("GNU\x00", 3, "abcdefgh")...),
		staticNoteBytes("stapsdt\x00", 3, staticAddresses+"q\x00m\x00x\x00")...),
		[]staticNoteOf{{0x10, 0x20, 0x30, "p", "n", ""}, {0x10, 0x20, 0x30, "q", "m", "x"}}},
	{"without an end", staticNoteBytes("stapsdt\x00", 3, staticAddresses+"p\x00n\x008@%rax"), nil},
	{"too short", staticNoteBytes("stapsdt\x00", 3, "abc"), nil},
	{"longer than what is there", append([]byte("\x08\x00\x00\x00\xff\xff\xff\xff\x03\x00\x00\x00stapsdt\x00"), staticAddresses...), nil},
}

func TestStaticNotes(t *testing.T) {
	for _, tt := range staticNoteTables {
		if diff := cmp.Diff(tt.want, staticNotes(tt.notes), cmp.AllowUnexported(staticNoteOf{})); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func FuzzStaticNotes(f *testing.F) {
	for _, tt := range staticNoteTables {
		f.Add(tt.notes)
	}
	f.Fuzz(func(t *testing.T, notes []byte) {
		for _, n := range staticNotes(notes) {
			if len(n.provider)+len(n.name)+len(n.args) > len(notes) {
				t.Errorf("%+v", n)
			}
		}
	})
}
