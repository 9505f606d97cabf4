package symbol

import (
	"encoding/binary"
	"testing"
)

// tableWith is a section .eh_frame at 0x5000 with one function at 0x1000, of 0x20 bytes, with those rules.
func tableWith(rules ...byte) frameTable {
	entry := func(body []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	common := append([]byte{0, 0, 0, 0, 1}, "zR\x00"...)
	common = append(common, 1, 0x78, 16, 1, encodedRelative4, 0x0c, 7, 8, 0x90, 1, 0, 0) // the frame is 8 bytes at the entry
	data := entry(common)
	at := len(data)
	body := binary.LittleEndian.AppendUint32(nil, uint32(at+4))
	body = binary.LittleEndian.AppendUint32(body, uint32(0x1000-(0x5000+at+8)))
	body = binary.LittleEndian.AppendUint32(body, 0x20)
	data = append(data, entry(append(append(body, 0), rules...))...)
	return frameTable{append(data, 0, 0, 0, 0), 0x5000}
}

func TestFrameSize(t *testing.T) {
	table := tableWith(0x42, 0x0e, 16, 0x83, 2, 0x44, 0x0a, 0x0e, 32, 0x48, 0x0b, 0x42, 0x0d, 6)
	for _, c := range []struct {
		addr, want uint64
	}{
		{0x1000, 8}, {0x1001, 8}, {0x1002, 16}, {0x1005, 16}, {0x1006, 32}, {0x100d, 32}, {0x100e, 16},
		{0x1010, 0}, // counted from another register
		{0x1020, 0}, {0xfff, 0},
	} {
		got, ok := table.frameSize(c.addr)
		if ok != (c.want != 0) || ok && got != c.want {
			t.Errorf("%#x: %d, %v, want %d", c.addr, got, ok, c.want)
		}
	}
}

func FuzzFrameTable(f *testing.F) {
	f.Add(tableWith(0x42, 0x0e, 16).data)
	f.Fuzz(func(t *testing.T, data []byte) {
		defer func() { _ = recover() }() // as FrameSize does
		_, _ = frameTable{data, 0x5000}.frameSize(0x1001)
	})
}
