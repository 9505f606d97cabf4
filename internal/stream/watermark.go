package stream

import "time"

// DefaultWindow is how long a record may take to arrive after the time it bears, where nothing better is known.
const DefaultWindow = 50 * time.Millisecond

// Watermark says up to which time nothing more is to be expected, so that Order may release it.
//
// Exact: before a drain, read the clock (T), then see that nothing is in flight. A program that raises the in-flight
// count before it takes a record's time, and lowers it after the record was committed, has committed everything with a
// time up to T; a drain that began after that and was not cut short by a busy record has seen it.
// The count must be one atomic number. A sum over per-CPU counts can be 0 by accident when tasks move while it is
// read; with per-CPU numbers, count begun and ended apart, read all the ended before all the begun, and compare.
//
// Otherwise a guess: what is older than Window has arrived. What arrives later still is Order's Late.
type Watermark struct {
	Window time.Duration // 0 is DefaultWindow
	mark   uint64
}

// Advance returns the new watermark, which never goes back. t is the time at which idle was sampled, in nanoseconds
// of the records' clock.
func (w *Watermark) Advance(t uint64, idle bool) uint64 {
	window := uint64(w.Window)
	if w.Window <= 0 {
		window = uint64(DefaultWindow)
	}
	if idle {
		window = 0
	}
	w.mark = max(w.mark, excess(t, window))
	return w.mark
}
