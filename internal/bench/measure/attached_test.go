package measure

import (
	"os"
	"testing"
)

func TestLinkKind(t *testing.T) {
	for in, want := range map[string]string{
		"pos:\t0\nflags:\t02000002\nlink_type:\tperf\nlink_id:\t7\n":     "perf",
		"link_type:\traw_tracepoint\nlink_id:\t8\ntp_name:\tsys_enter\n": "raw_tracepoint",
		"pos:\t0\n": "",
		"":          "",
	} {
		if got := linkKind([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestAttachments(t *testing.T) {
	if n, err := Attachments(os.Getpid()); n != 0 || err != nil {
		t.Errorf("this process: %d, %v; want none", n, err)
	}
	if _, err := Attachments(1 << 30); err == nil {
		t.Error("no such process is no error")
	}
}
