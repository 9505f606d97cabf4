package stream

import "time"

// Bounds of a nap, and what counts as quiet.
//
// Between records that keep coming the reader sleeps without watching the ring: a writer that finds it non-empty then
// wakes nobody, which is most of what a record costs the traced program. 10 ms is too short to be seen, and 100 naps a
// second cost half a percent of a CPU.
const (
	minNap = time.Millisecond
	maxNap = 10 * time.Millisecond
	quiet  = 20 * time.Millisecond
)

// pace chooses how long to sleep between drains.
type pace struct{ nap time.Duration }

// next is how long to nap after a drain of n records. peak and left are the bytes in the ring before and after it,
// size is the ring's. Naps double while little gathers in them, and shrink when more than a quarter of the ring does;
// 0 means: drain again at once.
func (p *pace) next(n, peak, left, size int) time.Duration {
	if n == 0 {
		return minNap // a busy record, or one that came right now
	}
	switch {
	case peak > size/4:
		p.nap = max(minNap, p.nap*time.Duration(size/4)/time.Duration(peak))
	case peak <= size/8:
		p.nap = min(max(minNap, 2*p.nap), maxNap)
	}
	if left > size/4 || peak > size/2 {
		return 0
	}
	return max(p.nap, minNap)
}

// waited is told how long the ring stayed empty. Short waits are gaps in a flow: starting from short naps after each
// would cost two wake-ups a record.
func (p *pace) waited(d time.Duration) {
	if d >= quiet {
		p.nap = 0
	}
}
