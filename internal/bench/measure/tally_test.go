package measure

import (
	"fmt"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	const prefix = "/there/"
	line := func(n int) string { return fmt.Sprintf("1 exe 3 0 %s%07d\n", prefix, n) }
	for _, test := range []struct {
		name, output      string
		different, times  int
		counted, repeated int
	}{
		{"nothing", "", 10, 1, 0, 0},
		{"lines, and what is none", "Attached 1 probe\n" + line(0) + line(1) + "exe /etc/passwd\n" + line(9), 10, 1, 3, 0},
		{"twice is once", line(5) + line(5), 10, 1, 1, 1},
		{"twice is expected", line(5) + line(6) + line(5) + line(5), 10, 2, 3, 1},
		{"beyond", line(10), 10, 1, 0, 0},
		{"cut off", prefix[:5] + "\n" + prefix + "\n" + prefix + "00000", 10, 1, 0, 0},
		{"no number", prefix + "00000x1\n", 10, 1, 0, 0},
		{"too long a number", prefix + "00000001\n", 10, 1, 0, 0},
		{"text behind it", prefix + "0000001 " + prefix + "0000001\n", 10, 1, 1, 0},
		{"no end of line", prefix + "0000001", 10, 1, 1, 0},
	} {
		counted, repeated := Tally(strings.NewReader(test.output), prefix, test.different, test.times)
		if counted != test.counted || repeated != test.repeated {
			t.Errorf("%s: got %d and %d, want %d and %d", test.name, counted, repeated, test.counted, test.repeated)
		}
	}
}
