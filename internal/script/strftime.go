package script

import (
	"strconv"
	"time"
)

// clock shows times by a format of strftime(3), in the C locale.
type clock struct {
	loc    *time.Location
	format string
	// nanos gives %f, %k and %l the meaning they have in the language's strftime: microseconds, nanoseconds and milliseconds
	// of the second. In time(), %k and %l are hours as in C, and %f stands for itself.
	nanos bool
}

// append appends t.
func (c *clock) append(dst []byte, t time.Time) []byte {
	return c.expand(dst, c.format, t.In(c.loc), 0)
}

func (c *clock) expand(dst []byte, format string, t time.Time, depth int) []byte {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			dst = append(dst, format[i])
			continue
		}
		at := i
		i++
		var opt timeOption
		for i < len(format) && opt.flag(format[i]) {
			i++
		}
		for i < len(format) && format[i] >= '0' && format[i] <= '9' {
			opt.width = min(opt.width*10+int(format[i]-'0'), 1024)
			i++
		}
		if i < len(format) && (format[i] == 'E' || format[i] == 'O') { // other calendars and digits: the C locale has none
			i++
		}
		if i == len(format) {
			return append(dst, format[at:]...)
		}
		from := len(dst)
		next, ok := c.one(dst, format[i], t, &opt, depth)
		if !ok {
			dst = append(dst, format[at:i+1]...)
			continue
		}
		dst = opt.finish(next, from)
	}
	return dst
}

// timeOption is what may stand between '%' and the letter: glibc's flags and width.
type timeOption struct {
	fill       byte // '-' for none, '_' or '0'; 0 for the letter's own
	upper      bool
	swap       bool
	width      int
	alphabetic bool // set by one: the result is text
}

func (o *timeOption) flag(c byte) bool {
	switch c {
	case '-', '_', '0':
		o.fill = c
	case '^':
		o.upper = true
	case '#':
		o.swap = true
	default:
		return false
	}
	return true
}

// digits appends v with at least n digits, filled up with fill.
func (o *timeOption) digits(dst []byte, v, n int, fill byte) []byte {
	switch o.fill {
	case '-':
		fill, n = '0', 0
	case '_':
		fill = ' '
	case '0':
		fill = '0'
	}
	if o.width > n && o.fill != '-' {
		n = o.width
	}
	from := len(dst)
	dst = strconv.AppendInt(dst, int64(v), 10)
	for have := len(dst) - from; have < n; have++ {
		dst = append(dst, 0)
		copy(dst[from+1:], dst[from:])
		dst[from] = fill
	}
	return dst
}

func (o *timeOption) finish(dst []byte, from int) []byte {
	if o.upper || o.swap && o.alphabetic {
		for i := from; i < len(dst); i++ {
			switch c := dst[i]; {
			case 'a' <= c && c <= 'z':
				dst[i] -= 'a' - 'A'
			}
		}
	}
	fill := byte(' ')
	if o.fill == '0' {
		fill = '0'
	}
	for o.alphabetic && len(dst)-from < o.width {
		dst = append(dst, 0)
		copy(dst[from+1:], dst[from:])
		dst[from] = fill
	}
	return dst
}

// one appends one conversion; false if there is none of that letter.
func (c *clock) one(dst []byte, letter byte, t time.Time, o *timeOption, depth int) ([]byte, bool) {
	if c.nanos {
		switch letter {
		case 'f':
			return o.digits(dst, t.Nanosecond()/1000, 6, '0'), true
		case 'k':
			return o.digits(dst, t.Nanosecond(), 9, '0'), true
		case 'l':
			return o.digits(dst, t.Nanosecond()/1e6, 3, '0'), true
		}
	}
	text := func(s string) ([]byte, bool) {
		o.alphabetic = true
		return append(dst, s...), true
	}
	number := func(v, n int) ([]byte, bool) { return o.digits(dst, v, n, '0'), true }
	hour12 := (t.Hour()+11)%12 + 1
	switch letter {
	case '%':
		return append(dst, '%'), true
	case 'n':
		return append(dst, '\n'), true
	case 't':
		return append(dst, '\t'), true
	case 'a':
		return text(t.Weekday().String()[:3])
	case 'A':
		return text(t.Weekday().String())
	case 'b', 'h':
		return text(t.Month().String()[:3])
	case 'B':
		return text(t.Month().String())
	case 'p':
		if o.swap {
			return text(t.Format("pm"))
		}
		return text(t.Format("PM"))
	case 'P':
		return text(t.Format("pm"))
	case 'Z':
		name, _ := t.Zone()
		return text(name)
	case 'z':
		return append(dst, t.Format("-0700")...), true
	case 'C':
		return number(t.Year()/100, 2)
	case 'y':
		return number(t.Year()%100, 2)
	case 'Y':
		return number(t.Year(), 0)
	case 'G':
		year, _ := t.ISOWeek()
		return number(year, 0)
	case 'g':
		year, _ := t.ISOWeek()
		return number(year%100, 2)
	case 'V':
		_, week := t.ISOWeek()
		return number(week, 2)
	case 'U':
		return number((t.YearDay()+6-int(t.Weekday()))/7, 2)
	case 'W':
		return number((t.YearDay()+6-(int(t.Weekday())+6)%7)/7, 2)
	case 'j':
		return number(t.YearDay(), 3)
	case 'm':
		return number(int(t.Month()), 2)
	case 'd':
		return number(t.Day(), 2)
	case 'e':
		return o.digits(dst, t.Day(), 2, ' '), true
	case 'H':
		return number(t.Hour(), 2)
	case 'k':
		return o.digits(dst, t.Hour(), 2, ' '), true
	case 'I':
		return number(hour12, 2)
	case 'l':
		return o.digits(dst, hour12, 2, ' '), true
	case 'M':
		return number(t.Minute(), 2)
	case 'S':
		return number(t.Second(), 2)
	case 's':
		return strconv.AppendInt(dst, t.Unix(), 10), true
	case 'u':
		return number((int(t.Weekday())+6)%7+1, 1)
	case 'w':
		return number(int(t.Weekday()), 1)
	}
	whole := map[byte]string{
		'c': "%a %b %e %H:%M:%S %Y", 'x': "%m/%d/%y", 'X': "%H:%M:%S", 'D': "%m/%d/%y", 'F': "%Y-%m-%d",
		'r': "%I:%M:%S %p", 'R': "%H:%M", 'T': "%H:%M:%S",
	}[letter]
	if whole == "" || depth > 0 {
		return dst, false
	}
	o.alphabetic = true
	inner := clock{loc: c.loc}
	return inner.expand(dst, whole, t, 1), true
}

// appendTimestamp appends a value of strftime: nanoseconds since boot and the format's number.
func (r *Runner) appendTimestamp(dst, b []byte) []byte {
	n := word(b, 8)
	if n >= uint64(len(r.clocks)) {
		return append(dst, "(?)"...)
	}
	ns := r.env.Wall(word(b, 0))
	return r.clocks[n].append(dst, time.Unix(ns/1e9, ns%1e9))
}
