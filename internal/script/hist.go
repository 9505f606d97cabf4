package script

import (
	"math/bits"
	"strconv"

	"sonde/internal/compile/types"
)

// bucketCount is how many buckets a histogram has: hist one for negative numbers, then 2^bits for each power of two; lhist
// one below and one above its range besides those in it.
func bucketCount(t *types.Type) int {
	if t.Kind == types.LHist {
		if t.Agg.Step < 1 {
			return 2
		}
		return int((t.Agg.Max-t.Agg.Min)/t.Agg.Step) + 2
	}
	k := t.Agg.Bits
	return 1 + (64-k+1)<<k
}

// total is how much is in a histogram.
func total(v []byte) (n uint64) {
	for at := 0; at+8 <= len(v); at += 8 {
		n += word(v, at)
	}
	return n
}

// span is from the first bucket that has anything up to, not including, what follows the last.
func span(v []byte) (from, to int) {
	n := len(v) / 8
	for from < n && word(v, 8*from) == 0 {
		from++
	}
	for to = n; to > from && word(v, 8*(to-1)) == 0; to-- {
	}
	return from, to
}

// barWidth is the length of a full bar.
const barWidth = 52

// appendHist appends a line for each bucket, and an empty one.
func appendHist(dst []byte, t *types.Type, v []byte, div int64) []byte {
	from, to := span(v)
	most := uint64(0)
	for i := from; i < to; i++ {
		most = max(most, quotient(word(v, 8*i), false, div))
	}
	for i := from; i < to; i++ {
		n := quotient(word(v, 8*i), false, div)
		at := len(dst)
		dst = appendBucket(dst, t, i, len(v)/8)
		dst = fill(dst, ' ', 16-(len(dst)-at))
		at = len(dst)
		dst = strconv.AppendUint(dst, n, 10)
		if missing := 8 - (len(dst) - at); missing > 0 {
			dst = pad(dst, at, missing, 0)
		}
		dst = append(dst, " |"...)
		bar := 0
		if most > 0 {
			bar = int(float64(n) / float64(most) * barWidth)
		}
		dst = fill(fill(dst, '@', bar), ' ', barWidth-bar)
		dst = append(dst, "|\n"...)
	}
	return append(dst, '\n')
}

func fill(dst []byte, c byte, n int) []byte {
	for range n {
		dst = append(dst, c)
	}
	return dst
}

// appendBucket appends what a bucket holds: "[4, 8)".
func appendBucket(dst []byte, t *types.Type, i, n int) []byte {
	if t.Kind == types.LHist {
		a := t.Agg
		low := a.Min + int64(i-1)*a.Step
		switch {
		case i == 0:
			return append(appendLinear(append(dst, "(..., "...), a.Min, a.Step), ')')
		case i == n-1:
			return append(appendLinear(append(dst, '['), low, a.Step), ", ...)"...)
		case a.Step == 1:
			return append(appendLinear(append(dst, '['), low, a.Step), ']')
		}
		dst = appendLinear(append(dst, '['), low, a.Step)
		return append(appendLinear(append(dst, ", "...), low+a.Step, a.Step), ')')
	}
	if i == 0 {
		return append(dst, "(..., 0)"...)
	}
	k := t.Agg.Bits
	index := i - 1
	dst = appendLog(append(dst, '['), k, index)
	if index>>k <= 1 { // one number
		return append(dst, ']')
	}
	return append(appendLog(append(dst, ", "...), k, index+1), ')')
}

const units = " KMGTPE"

// appendLinear appends the limit of a bucket of lhist. If steps are multiples of 1024 it is shown in the largest unit that
// it is a multiple of.
func appendLinear(dst []byte, v, step int64) []byte {
	unit := 0
	if step%1024 == 0 {
		for v != 0 && v%1024 == 0 && unit < len(units)-1 {
			v /= 1024
			unit++
		}
	}
	return appendUnit(strconv.AppendInt(dst, v, 10), unit)
}

// appendLog appends the lower limit of a bucket of hist. The unit goes by the bucket's width.
func appendLog(dst []byte, k, index int) []byte {
	if index < 1<<k {
		return strconv.AppendInt(dst, int64(index), 10)
	}
	power := index>>k - 1
	v := uint64(1<<k+index&(1<<k-1)) << (power % 10)
	return appendUnit(strconv.AppendUint(dst, v, 10), power/10)
}

func appendUnit(dst []byte, unit int) []byte {
	if unit == 0 {
		return dst
	}
	return append(dst, units[unit])
}

// logLow is the smallest number of a bucket of hist; it wraps around above the last.
func logLow(k, index int) uint64 {
	if index < 1<<k {
		return uint64(index)
	}
	return uint64(1<<k+index&(1<<k-1)) << (index>>k - 1)
}

// appendHistJSON appends an array of objects with the closed interval of each bucket.
func appendHistJSON(dst []byte, t *types.Type, v []byte, div int64) []byte {
	from, to := span(v)
	n := len(v) / 8
	dst = append(dst, '[')
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		if i > 0 {
			dst = appendIntJSON(append(dst, `"min": `...), bucketLow(t, i), t.Kind == types.LHist)
			dst = append(dst, ", "...)
		}
		if t.Kind == types.Hist || i < n-1 {
			high := bucketLow(t, i+1) - 1
			dst = appendIntJSON(append(dst, `"max": `...), high, t.Kind == types.LHist || i == 0)
			dst = append(dst, ", "...)
		}
		dst = appendIntJSON(append(dst, `"count": `...), quotient(word(v, 8*i), false, div), false)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// bucketLow is the smallest number of a bucket other than the first.
func bucketLow(t *types.Type, i int) uint64 {
	if t.Kind == types.LHist {
		return uint64(t.Agg.Min + int64(i-1)*t.Agg.Step)
	}
	return logLow(t.Agg.Bits, i-1)
}

// quotient divides a value as print's third argument says; by 1 if that is 0.
func quotient(v uint64, signed bool, div int64) uint64 {
	switch {
	case div == 0 || div == 1:
		return v
	case signed || div < 0:
		if div == -1 {
			return -v
		}
		return uint64(int64(v) / div)
	case bits.Len64(v) == 0:
		return 0
	}
	return v / uint64(div)
}
