package print

import (
	"strconv"

	"sonde/internal/prog"
)

// more marks what was left out or cut: words beyond MaxWords, or a value that a Mark field calls cut.
const more = " ..."

// appendCell appends the value as col shows it and returns how many cells it takes. What is not known is "-"; no error,
// no flags and an empty text are nothing.
func (c *columns) appendCell(dst []byte, col *column, v, mark *prog.Value) ([]byte, int) {
	if v.Null {
		return append(dst, '-'), 1
	}
	from := len(dst)
	marked := !mark.Null && mark.Num != 0
	n := 0
	switch col.kind {
	case prog.Text:
		if col.cut {
			dst, n = appendCut(dst, v.Bytes, col.width)
		} else {
			dst, n = appendText(dst, v.Bytes, false)
		}
	case prog.Words:
		var left bool
		dst, n, left = c.appendWords(dst, col, v.List)
		marked = marked || left
	case prog.Symbols:
		for i, s := range v.List {
			if i > 0 {
				dst = append(dst, '|')
				n++
			}
			var cells int
			dst, cells = appendText(dst, s, false)
			n += cells
		}
	default:
		dst, n = asciiOnly(c.appendNumber(dst, col, v.Num), from)
	}
	if marked {
		dst = append(dst, more...)
		n += len(more)
	}
	return dst, n
}

// appendWords joins words by one space. An empty word is shown as "" so that it can be seen, except in exact mode.
// A word that is not known is a question mark. left reports that there are more words than MaxWords.
func (c *columns) appendWords(dst []byte, col *column, words [][]byte) (_ []byte, n int, left bool) {
	if col.MaxWords > 0 && len(words) > col.MaxWords {
		words, left = words[:col.MaxWords], true
	}
	for i, word := range words {
		if i > 0 {
			dst = append(dst, ' ')
			n++
		}
		if word == nil {
			dst = append(dst, '?')
			n++
			continue
		}
		quote := col.Quote || len(word) == 0 && !c.exact
		if quote {
			dst = append(dst, '"')
			n += 2
		}
		var cells int
		dst, cells = appendText(dst, word, quote)
		n += cells
		if quote {
			dst = append(dst, '"')
		}
	}
	return dst, n, left
}

func (c *columns) appendNumber(dst []byte, col *column, n int64) []byte {
	switch col.kind {
	case prog.Bool:
		return strconv.AppendBool(dst, n != 0)
	case prog.Time:
		return c.appendTime(dst, col.Time, n)
	case prog.Errno:
		switch {
		case col.RawErr:
			return strconv.AppendInt(dst, n, 10)
		case n == 0:
			return dst
		}
		return appendErrno(dst, n)
	case prog.Uint:
		u := uint64(n)
		if col.Divide > 1 {
			u /= uint64(col.Divide)
		}
		return strconv.AppendUint(dst, u, 10)
	}
	if col.Divide <= 1 {
		return strconv.AppendInt(dst, n, 10)
	}
	if col.Decimals > 0 && n >= 0 {
		return appendDecimals(dst, uint64(n), uint64(col.Divide), col.Decimals)
	}
	return strconv.AppendInt(dst, n/col.Divide, 10)
}

// appendDecimals appends n by unit with so many decimals, cut, not rounded: what took less than a unit never shows as one.
func appendDecimals(dst []byte, n, unit uint64, decimals int) []byte {
	dst = append(strconv.AppendUint(dst, n/unit, 10), '.')
	for rest := n % unit; decimals > 0; decimals-- {
		rest *= 10
		dst = append(dst, '0'+byte(rest/unit))
		rest %= unit
	}
	return dst
}

func (c *columns) appendTime(dst []byte, style prog.TimeStyle, ns int64) []byte {
	switch style {
	case prog.TimeFull:
		return c.clock.appendFull(dst, ns)
	case prog.TimeRelative:
		if !c.started {
			c.start, c.started = ns, true
		}
		d := ns - c.start
		if d < 0 { // a record from just before the start of the run
			dst = append(dst, '-')
			d = -d
		}
		ms := (uint64(d) + 5e5) / 1e6
		dst = strconv.AppendUint(dst, ms/1000, 10)
		return appendDigits(append(dst, '.'), uint32(ms%1000), 3)
	}
	return c.clock.appendClock(dst, ns)
}
