package stream

import (
	"testing"
	"time"
)

func TestWatermark(t *testing.T) {
	const ms = uint64(time.Millisecond)
	type step struct {
		t    uint64
		idle bool
		want uint64
	}
	tests := []struct {
		name   string
		window time.Duration
		steps  []step
	}{
		{"idle is exact", 0, []step{{100, true, 100}, {200, true, 200}}},
		{"else a window of 50 ms", 0, []step{{1000 * ms, false, 950 * ms}, {1010 * ms, false, 960 * ms}}},
		{"window of one's own", time.Millisecond, []step{{1000 * ms, false, 999 * ms}}},
		{"never back", 0, []step{{1000 * ms, true, 1000 * ms}, {1010 * ms, false, 1000 * ms}, {900 * ms, true, 1000 * ms},
			{1051 * ms, false, 1001 * ms}}},
		{"soon after boot", 0, []step{{10 * ms, false, 0}, {60 * ms, false, 10 * ms}}},
		{"negative window", -1, []step{{1000 * ms, false, 950 * ms}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := Watermark{Window: test.window}
			for i, s := range test.steps {
				if got := w.Advance(s.t, s.idle); got != s.want {
					t.Errorf("step %d: %d, want %d", i, got, s.want)
				}
			}
		})
	}
}
