package print

import (
	"fmt"
	"strings"

	"sonde/internal/prog"
)

// Accounting returns the account of a run for people, without newlines: what was seen, what was lost and why, what it
// cost; then a line for what could not be written, if anything, and one for each note.
func Accounting(s *prog.Summary) []string {
	var b strings.Builder
	b.WriteString(count(s.Events, "event"))
	switch lost := s.LostTotal(); {
	case lost == 0 && s.LossUnknown:
		b.WriteString(", none known to be lost")
	case lost == 0:
		b.WriteString(", none lost")
	default:
		var why []string
		for _, c := range s.Lost {
			if c.N > 0 {
				why = append(why, fmt.Sprintf("%s %d", safe(strings.ReplaceAll(c.Reason, "_", " ")), c.N))
			}
		}
		fmt.Fprintf(&b, ", %d lost (%s)", lost, strings.Join(why, ", "))
	}
	if s.KernelKnown {
		fmt.Fprintf(&b, "; %s in the kernel (%s)", span(s.KernelNS), count(s.KernelRuns, "run"))
	} else {
		b.WriteString("; cost in the kernel not known")
	}
	fmt.Fprintf(&b, ", %s here", span(s.UserNS))
	lines := []string{b.String()}
	if s.Unwritten > 0 {
		lines = append(lines, count(s.Unwritten, "record")+" could not be written")
	}
	for _, note := range s.Notes {
		lines = append(lines, safe(note))
	}
	return lines
}

func count(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func safe(s string) string {
	b, _ := appendText(nil, []byte(s), false)
	return string(b)
}

// span shows nanoseconds in the unit that suits them, with three digits: 840 ns, 84 µs, 12.3 ms, 125 s.
func span(ns uint64) string {
	units := []struct {
		name string
		ns   uint64
	}{{"ns", 1}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}}
	for i, u := range units {
		for decimals, scale := 2, uint64(100); decimals >= 0; decimals, scale = decimals-1, scale/10 {
			if u.ns < scale || ns > 1<<63/scale {
				continue
			}
			v := (ns*scale + u.ns/2) / u.ns // in 1/scale of the unit, rounded
			if v >= 1000 && (decimals > 0 || i < len(units)-1) {
				continue
			}
			s := fmt.Sprintf("%d", v/scale)
			if rest := strings.TrimRight(fmt.Sprintf("%0*d", decimals, v%scale), "0"); rest != "" {
				s += "." + rest
			}
			return s + " " + u.name
		}
	}
	return fmt.Sprintf("%d s", ns/1e9)
}
