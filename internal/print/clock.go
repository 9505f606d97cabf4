package print

import "time"

// clock appends wall-clock times. Rows come by the thousand in one second, so the second is formatted once.
type clock struct {
	loc   *time.Location
	sec   int64
	known bool
	full  [40]byte // "2006-01-02T15:04:05" and the zone, "Z" or "+02:00"
	n     int
}

const dateLen = len("2006-01-02T15:04:05")

// at returns the second that ns (since the Unix epoch) lies in, formatted, and the nanoseconds within it.
func (c *clock) at(ns int64) (full []byte, frac uint32) {
	sec := ns / 1e9
	rest := ns % 1e9
	if rest < 0 {
		sec, rest = sec-1, rest+1e9
	}
	if !c.known || sec != c.sec {
		b := time.Unix(sec, 0).In(c.loc).AppendFormat(c.full[:0], "2006-01-02T15:04:05Z07:00")
		c.sec, c.known, c.n = sec, true, len(b)
	}
	return c.full[:c.n], uint32(rest)
}

// appendFull appends RFC 3339 with all nine digits of the nanoseconds.
func (c *clock) appendFull(dst []byte, ns int64) []byte {
	full, frac := c.at(ns)
	dst = append(dst, full[:dateLen]...)
	dst = appendDigits(append(dst, '.'), frac, 9)
	return append(dst, full[dateLen:]...)
}

// appendClock appends 15:04:05.
func (c *clock) appendClock(dst []byte, ns int64) []byte {
	full, _ := c.at(ns)
	return append(dst, full[len("2006-01-02T"):dateLen]...)
}

// appendDigits appends the last n (at most 9) decimal digits of v, leading zeros too.
func appendDigits(dst []byte, v uint32, n int) []byte {
	var d [9]byte
	for i := n - 1; i >= 0; i-- {
		d[i] = '0' + byte(v%10)
		v /= 10
	}
	return append(dst, d[:n]...)
}
