package stream

// Order puts records that arrive roughly in order into the order of their times, within bounds of memory.
//
// The caller releases up to a watermark: the time of which it knows that nothing older is still to come (see
// Watermark). With an exact watermark the output is exactly ordered; Forced and Late count what could not be.
//
// Items come out through the function given to each call. It is the last to see an item, so it may put its memory on
// a free list. It must not call the Order. When it fails, that item is gone, the others stay, and the
// error is returned.
type Order[T any] struct {
	maxItems int
	maxBytes int

	heap    []held[T] // a binary heap, the oldest first
	bytes   int
	arrived uint64
	last    uint64 // the time of the youngest that was given out

	forced, late uint64
}

type held[T any] struct {
	time, seq, arrival uint64
	size               int
	v                  T
}

// NewOrder holds at most so many items, and items of at most so many bytes together, sizes being what Push is told.
// Both are at least 1.
func NewOrder[T any](items, bytes int) *Order[T] {
	return &Order[T]{maxItems: max(items, 1), maxBytes: max(bytes, 1)}
}

// Push takes an item with its time in nanoseconds, its record's sequence number and its size in bytes, for the bound.
// Beyond the bounds, the oldest items are given out at once; so is v itself if a younger one is out already.
func (o *Order[T]) Push(time, seq uint64, size int, v T, out func(T) error) error {
	if time < o.last {
		o.late++
		return out(v)
	}
	o.arrived++
	o.bytes += size
	o.up(held[T]{time, seq, o.arrived, size, v})
	for len(o.heap) > o.maxItems || o.bytes > o.maxBytes && len(o.heap) > 0 {
		o.forced++
		if err := out(o.pop()); err != nil {
			return err
		}
	}
	return nil
}

// Release gives out everything with a time up to watermark: by time, then sequence number (which orders the records
// of one CPU), then arrival.
func (o *Order[T]) Release(watermark uint64, out func(T) error) error {
	for len(o.heap) > 0 && o.heap[0].time <= watermark {
		if err := out(o.pop()); err != nil {
			return err
		}
	}
	return nil
}

// Flush gives out everything.
func (o *Order[T]) Flush(out func(T) error) error { return o.Release(1<<64-1, out) }

// Len is the number of items inside.
func (o *Order[T]) Len() int { return len(o.heap) }

// Forced counts items that went out before the watermark because of the bounds.
func (o *Order[T]) Forced() uint64 { return o.forced }

// Late counts items that came when a younger one was out already: they went out at once, out of order.
func (o *Order[T]) Late() uint64 { return o.late }

func (a *held[T]) before(b *held[T]) bool {
	switch {
	case a.time != b.time:
		return a.time < b.time
	case a.seq != b.seq:
		return a.seq < b.seq
	}
	return a.arrival < b.arrival
}

func (o *Order[T]) up(x held[T]) {
	o.heap = append(o.heap, x)
	h, i := o.heap, len(o.heap)-1
	for i > 0 {
		parent := (i - 1) / 2
		if !x.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = x
}

func (o *Order[T]) pop() T {
	h := o.heap
	top, n := h[0], len(h)-1
	x := h[n]
	h[n] = held[T]{} // let go of what v points to
	h = h[:n]
	o.heap = h
	for i := 0; n > 0; {
		child := 2*i + 1
		if child+1 < n && h[child+1].before(&h[child]) {
			child++
		}
		if child >= n || !h[child].before(&x) {
			h[i] = x
			break
		}
		h[i] = h[child]
		i = child
	}
	o.bytes -= top.size
	o.last = max(o.last, top.time)
	return top.v
}
