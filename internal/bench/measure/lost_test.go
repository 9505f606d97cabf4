package measure

import "testing"

func TestLost(t *testing.T) {
	for _, test := range []struct {
		remarks string
		want    int
	}{
		{"", 0},
		{"Lost 5 events on CPU #1!\nLost 7 events on CPU #0!\n", 12},
		{"Possibly lost 450 samples\n", 450},
		{"sonde: 4657 events, 345 lost (ring full 300, state map full 45); 113 ms in the kernel\n", 345},
		{"sonde: 33 events, none lost; 5.84 ms in the kernel (108492 runs), 19.4 ms here\n", 0},
		{"Lost 99999999999999999999999 events", 0},
	} {
		if got := Lost(test.remarks); got != test.want {
			t.Errorf("%q: got %d, want %d", test.remarks, got, test.want)
		}
	}
}
