package tracefs

import (
	"testing"

	"sonde/internal/kernel"
)

func TestPrintkDecode(t *testing.T) {
	p := &Printk{id: 7, pid: kernel.TracepointField{Offset: 4, Size: 4}, text: kernel.TracepointField{Offset: 8, Size: 4, DataLoc: true}}
	head := "\x07\x00\x00\x00\x2a\x00\x00\x00"
	for _, tt := range []struct{ name, data, want string }{
		{"a text", head + "\x0c\x00\x03\x00hi\x00", "hi"},
		{"without a NUL", head + "\x0c\x00\x02\x00hi", "hi"},
		{"empty", head + "\x0c\x00\x00\x00", ""},
		{"longer than the event", head + "\x0c\x00\x04\x00hi\x00", "-"},
		{"behind the event", head + "\xff\xff\x01\x00hi\x00", "-"},
		{"another event", "\x08" + head[1:] + "\x0c\x00\x03\x00hi\x00", "-"},
		{"cut off", head + "\x0c\x00", "-"},
		{"nothing", "", "-"},
	} {
		got := "-"
		if l, ok := p.decode([]byte(tt.data)); ok {
			if got = string(l.Text); l.PID != 42 {
				t.Errorf("%s: thread %d", tt.name, l.PID)
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
