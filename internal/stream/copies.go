package stream

import "sonde/internal/prog"

// What Copies keeps for reuse: enough for the records of one busy moment, little enough for a small program.
const (
	spareRecords = 1024
	spareBytes   = 1 << 20
)

// Copies makes copies of records that outlive the handler, for an Order, and reuses their memory. The zero value is
// ready.
type Copies struct {
	spare []*prog.Record
	bytes int
}

// Take returns a copy of r with a Body of its own, valid until it is given back.
func (c *Copies) Take(r prog.Record) *prog.Record {
	var kept *prog.Record
	if n := len(c.spare); n > 0 {
		kept = c.spare[n-1]
		c.spare[n-1] = nil
		c.spare = c.spare[:n-1]
		c.bytes -= cap(kept.Body)
	} else {
		kept = new(prog.Record)
	}
	body := append(kept.Body[:0], r.Body...)
	*kept = r
	kept.Body = body
	return kept
}

// Give takes a copy back. What is beyond a mebibyte of spare bodies is left to the garbage collector.
func (c *Copies) Give(r *prog.Record) {
	if len(c.spare) < spareRecords && c.bytes+cap(r.Body) <= spareBytes {
		c.spare = append(c.spare, r)
		c.bytes += cap(r.Body)
	}
}
