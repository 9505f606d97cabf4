package dynevent

import "testing"

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 28))
	f.Add([]byte("\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05\x00\x00\x00cat\x00\x1c\x00\x05\x00/etc\x00"))
	l := &layout{part: partEnter, task: field{4, 4, true}, dirfd: field{8, 4, true}, flags: field{12, 8, false}, comm: field{at: 20, size: 4}, path: 24}
	f.Fuzz(func(t *testing.T, data []byte) {
		var e event
		_ = l.decode(&e, data)
		if len(e.path) > len(data) {
			t.Errorf("a path of %d bytes in %d", len(e.path), len(data))
		}
	})
}
