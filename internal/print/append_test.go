package print

import "testing"

func TestAppendVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"a\tb\nc \"d\" \\":       "a\tb\nc \"d\" \\",
		"\x1b[2J\r\x07\x7f\x00":  `\x1b[2J\r\x07\x7f\x00`,
		"é漢\xff\u202e\U000e0041": "é漢" + `\xff\u202e\U000e0041`,
	} {
		if got := string(AppendVisible(nil, []byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
