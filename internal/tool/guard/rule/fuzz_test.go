package rule

import (
	"strings"
	"testing"
)

func FuzzParseFile(f *testing.F) {
	for _, file := range append(files(f, "testdata/good/*.yaml"), files(f, "testdata/bad/*.yaml")...) {
		f.Add(read(f, file))
	}
	for _, tt := range lineTests {
		if set, err := ParseWords(strings.Fields(tt.line), "/w/d"); err == nil {
			f.Add([]byte(set.YAML()))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseFile("f", data)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if strings.ContainsFunc(line, func(r rune) bool { return r != '\n' && (r < ' ' || r == 0x7f) }) {
					t.Errorf("%q", line)
				}
			}
			return
		}
		stable(t, set)
	})
}

func FuzzParseWords(f *testing.F) {
	for _, tt := range lineTests {
		f.Add(strings.Join(strings.Fields(tt.line), "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		set, err := ParseWords(strings.Split(line, "\n"), "/w/d")
		if err == nil {
			stable(t, set)
		}
	})
}
