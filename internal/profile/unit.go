package profile

import "strconv"

// amount writes a value for a reader: 12,345 or, of units that have larger ones, 12.1 KiB or 3.4 ms besides.
func amount(value int64, unit string) string {
	text := grouped(value)
	switch unit {
	case "count", "":
		return text
	case "bytes":
		return scaled(value, text, unit, []string{"KiB", "MiB", "GiB", "TiB"}, 1024)
	case "nanoseconds":
		return scaled(value, text, unit, []string{"µs", "ms", "s"}, 1000)
	case "microseconds":
		return scaled(value, text, unit, []string{"ms", "s"}, 1000)
	case "milliseconds":
		return scaled(value, text, unit, []string{"s"}, 1000)
	}
	return text + " " + unit
}

func scaled(value int64, text, unit string, larger []string, by float64) string {
	short, name := float64(value), ""
	for _, next := range larger {
		if short < by {
			break
		}
		short, name = short/by, next
	}
	if name == "" {
		return text + " " + unit
	}
	return text + " " + unit + " (" + strconv.FormatFloat(short, 'f', 1, 64) + " " + name + ")"
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for at := len(text) - 3; at > first; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// percent has as many digits as tell small shares from nothing.
func percent(part, whole int64) string {
	if whole <= 0 {
		return "0%"
	}
	share := float64(part) / float64(whole) * 100
	digits := 1
	if share < 1 {
		digits = 3
	}
	return strconv.FormatFloat(share, 'f', digits, 64) + "%"
}
