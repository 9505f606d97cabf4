package malloc

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"sonde/internal/profile"
	"sonde/internal/stream"
)

// entry is a stack with what was counted for it.
type entry struct {
	key  stackKey
	of   *stack
	all  amount
	kept amount // not given back
	// When the oldest and the newest of what was not given back was asked for, CLOCK_MONOTONIC; 0 if there is none.
	oldest, newest uint64
}

const withoutReasons = 4

// without are why a call could not be put down to its stack: malloc.h, WITHOUT_*.
var without = [withoutReasons]string{
	"more calls at once on a CPU than there is scratch memory for",
	"their stacks could not be told: the ring buffer was full (--buffer)",
	"the table of stacks is full (--stacks)",
	"their stacks have the same hash as others",
}

// read takes what the programs have counted.
func (t *Tracer) read() ([]entry, error) {
	if err := t.show.Maps.Read(bpfMapTotals, &t.table); err != nil {
		return nil, err
	}
	scale := uint64(max(1, t.show.Options.Sample))
	t.unnamed, t.mixed = 0, 0
	all := make([]entry, 0, t.table.N)
	at := make(map[stackKey]int, t.table.N)
	for i := range t.table.N {
		key := decodeKey(t.table.Key(i))
		e := entry{key: key, of: t.stacks[key]}
		var check uint64
		for value := t.table.Value(i); len(value) >= totalSize; value = value[totalSize:] {
			e.all.bytes += binary.LittleEndian.Uint64(value) * scale
			e.all.calls += binary.LittleEndian.Uint64(value[8:]) * scale
			switch c := binary.LittleEndian.Uint64(value[16:]); {
			case c == 0 || c == check:
			case check == 0:
				check = c
			default:
				t.mixed++
			}
		}
		if e.of == nil {
			t.unnamed++
			e.of = &stack{pid: key.pid, comm: t.comms[key.pid], end: profile.Missing}
			t.stacks[key] = e.of
		}
		at[key] = len(all)
		all = append(all, e)
	}
	if t.show.Options.Outstanding {
		if err := t.readLive(all, at, scale); err != nil {
			return nil, err
		}
	}
	if t.show.Comm != nil {
		all = slices.DeleteFunc(all, func(e entry) bool { return !t.show.Comm([]byte(e.of.comm)) })
	}
	return all, nil
}

// The sizes of what is in the tables: malloc.h.
const (
	totalSize = 24
	keySize   = 16
	blockSize = 32
)

func decodeKey(b []byte) stackKey {
	return stackKey{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])}
}

// readLive adds what was not given back.
func (t *Tracer) readLive(all []entry, at map[stackKey]int, scale uint64) error {
	if err := t.show.Maps.Read(bpfMapLive, &t.live); err != nil {
		return err
	}
	for i := range t.live.N {
		value := t.live.Value(i)
		if len(value) < blockSize {
			return fmt.Errorf("a piece of memory of %d bytes: a bug of sonde", len(value))
		}
		key := decodeKey(value)
		size, when := binary.LittleEndian.Uint64(value[16:]), binary.LittleEndian.Uint64(value[24:])
		n, known := at[key]
		if !known || when < t.execs[key.pid] {
			continue // of a program that is no longer there
		}
		e := &all[n]
		e.kept.bytes += size * scale
		e.kept.calls += scale
		if e.oldest == 0 || when < e.oldest {
			e.oldest = when
		}
		e.newest = max(e.newest, when)
	}
	return nil
}

// weight is what entries are sorted by.
func (t *Tracer) weight(e *entry) uint64 {
	if t.show.Options.Outstanding {
		return e.kept.bytes
	}
	return e.all.bytes
}

// heading is a sink that shows when what follows was summed up.
type heading interface{ Heading(wall int64) error }

// report shows all stacks; with since, what was counted since the last time.
func (t *Tracer) report(since bool) error {
	all, err := t.read()
	if err != nil {
		return err
	}
	if t.now, err = stream.Now(); err != nil {
		return err
	}
	if since {
		for i := range all {
			e := &all[i]
			now := e.all
			e.all = amount{e.all.bytes - min(e.of.seen.bytes, e.all.bytes), e.all.calls - min(e.of.seen.calls, e.all.calls)}
			e.of.seen = now
		}
	}
	all = slices.DeleteFunc(all, func(e entry) bool {
		if t.show.Options.Outstanding {
			return e.kept.calls == 0
		}
		return e.all.calls == 0
	})
	slices.SortStableFunc(all, func(x, y entry) int {
		return cmp.Or(cmp.Compare(t.weight(&y), t.weight(&x)), cmp.Compare(x.key.pid, y.key.pid), cmp.Compare(x.key.hash, y.key.hash))
	})
	if t.show.Top > 0 && len(all) > t.show.Top {
		all = all[:t.show.Top]
	}
	if t.show.Ascending {
		slices.Reverse(all)
	}
	if since {
		if h, ok := t.show.Sink.(heading); ok {
			if err := h.Heading(int64(t.now) + t.show.Mono2Wall); err != nil {
				return err
			}
		}
	}
	for i := range all {
		t.name(all[i].of)
		if err := t.show.Sink.Row(t.rows.make(t, &all[i])); err != nil {
			return err
		}
		t.shown++
	}
	return t.show.Sink.Flush()
}

// withoutStack is what could not be put down to its stack, by reason.
func (t *Tracer) withoutStack() (found [withoutReasons]amount, err error) {
	scale := uint64(max(1, t.show.Options.Sample))
	for i := range found {
		values, err := t.show.Maps.PerCPU(bpfMapWithout, uint32(i))
		if err != nil {
			return found, err
		}
		for _, v := range values {
			if len(v) >= 16 {
				found[i].bytes += binary.LittleEndian.Uint64(v) * scale
				found[i].calls += binary.LittleEndian.Uint64(v[8:]) * scale
			}
		}
	}
	return found, nil
}

// Notes are sentences about what the sums lack.
func (t *Tracer) Notes() (notes []string) {
	if n := t.show.Options.Sample; n > 1 {
		notes = append(notes, fmt.Sprintf("one call of %d was looked at (--sample): all numbers are multiplied by %d, and estimates", n, n))
	}
	found, err := t.withoutStack()
	if err != nil {
		return append(notes, err.Error())
	}
	for i, a := range found {
		if a.calls > 0 {
			notes = append(notes, fmt.Sprintf("%d bytes of %d calls are in no stack: %s", a.bytes, a.calls, without[i]))
		}
	}
	if t.mixed > 0 {
		notes = append(notes, fmt.Sprintf("%d stacks have the same hash as others: their sums are mixed", t.mixed))
	}
	if t.unnamed > 0 {
		notes = append(notes, fmt.Sprintf("%d stacks were counted and not told", t.unnamed))
	}
	return notes
}

// profile is all that was counted.
func (t *Tracer) profile() (*profile.Profile, error) {
	all, err := t.read()
	if err != nil {
		return nil, err
	}
	now, err := stream.Now()
	if err != nil {
		return nil, err
	}
	p := &profile.Profile{
		Title: "malloc: bytes asked for",
		Types: []profile.ValueType{{Name: "alloc_space", Unit: "bytes"}, {Name: "alloc_objects", Unit: "count"}},
		Time:  int64(t.began) + t.show.Mono2Wall, Duration: int64(now - t.began),
		Notes: t.Notes(),
	}
	outstanding := t.show.Options.Outstanding
	if outstanding {
		p.Title, p.Shown = "malloc: bytes not given back", 2
		p.Types = append(p.Types, profile.ValueType{Name: "inuse_space", Unit: "bytes"}, profile.ValueType{Name: "inuse_objects", Unit: "count"})
	}
	for _, e := range all {
		t.name(e.of)
		s := profile.Sample{
			Stack: e.of.frames, End: e.of.end,
			Values: []int64{int64(e.all.bytes), int64(e.all.calls)},
			Labels: []profile.Label{{Key: "comm", Value: e.of.comm}},
		}
		if outstanding {
			s.Values = append(s.Values, int64(e.kept.bytes), int64(e.kept.calls))
		}
		p.Samples = append(p.Samples, s)
	}
	found, err := t.withoutStack()
	if err != nil {
		return nil, err
	}
	for i, a := range found {
		if a.calls == 0 {
			continue
		}
		s := profile.Sample{End: profile.Missing, Values: make([]int64, len(p.Types)), Labels: []profile.Label{{Key: "without", Value: without[i]}}}
		s.Values[0], s.Values[1] = int64(a.bytes), int64(a.calls)
		p.Samples = append(p.Samples, s)
	}
	return p, nil
}
