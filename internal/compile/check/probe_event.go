package check

import (
	"strconv"
	"strings"

	"sonde/internal/compile/types"
)

// spaceOf says where the numbers that a program gets point.
func spaceOf(p Point) types.Space {
	switch p.Kind {
	case Uprobe, Uretprobe, USDT:
		return types.SpaceUser
	case Tracepoint:
		if p.Group == "syscalls" {
			return types.SpaceUser
		}
	case Begin, End, Self, Test, Bench:
		return types.SpaceNone
	}
	return types.SpaceKernel
}

// expandPlain is begin and end.
func expandPlain(x *pointExpander, _ []string) []Point {
	return []Point{x.point(x.name)}
}

// expandNamed is test and bench.
func expandNamed(x *pointExpander, parts []string) []Point {
	p := x.point(x.name + ":" + parts[0])
	p.Name = parts[0]
	return []Point{p}
}

// expandSelf is self:signal:SIGUSR1.
func expandSelf(x *pointExpander, parts []string) []Point {
	if parts[0] != "signal" {
		x.errorf(x.at.Span(), "there are no self:%s probes", parts[0]).hint("it is written %s", x.usage)
		return nil
	}
	n, ok := SignalNumber(parts[1])
	if !ok {
		x.errorf(x.at.Span(), "there is no signal %s", parts[1]).suggest(strings.TrimPrefix(strings.ToUpper(parts[1]), "SIG"), signals[1:])
		return nil
	}
	if n == 9 || n == 19 {
		x.errorf(x.at.Span(), "%s cannot be caught", parts[1])
		return nil
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(parts[1]), "SIG")
	p := x.point("self:signal:" + name)
	p.Group, p.Name = "signal", name
	return []Point{p}
}

// units of timers, in nanoseconds.
var units = map[string]uint64{"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86400e9}

// minPeriod is the shortest period of a timer, in nanoseconds.
const minPeriod = 1000

// expandTimer is interval and profile: hz:99, s:1, 100ms, 1000000.
func expandTimer(x *pointExpander, parts []string) []Point {
	unit, digits := "", parts[0]
	if len(parts) == 2 {
		unit, digits = parts[0], parts[1]
		if _, ok := units[unit]; !ok && unit != "hz" || unit == "m" || unit == "h" || unit == "d" {
			x.errorf(x.at.Span(), "%s has no unit %s", x.name, unit).hint("the units are s, ms, us, ns and hz")
			return nil
		}
	} else {
		for i := 0; i < len(digits); i++ {
			if digits[i] < '0' || digits[i] > '9' {
				if digits[i] != '_' {
					unit, digits = digits[i:], digits[:i]
					break
				}
			}
		}
		if _, ok := units[unit]; unit != "" && !ok && unit != "hz" {
			x.errorf(x.at.Span(), "%s has no unit %s", x.name, unit).hint("as in %s:100ms or %s", x.name, x.usage)
			return nil
		}
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(digits, "_", ""), 0, 64)
	if err != nil {
		x.errorf(x.at.Span(), "%s needs a number, not %q", x.name, digits).hint("it is written %s", x.usage)
		return nil
	}
	p := x.point(x.name + ":" + strings.Join(parts, ":"))
	if unit == "hz" {
		if n < 1 || n > 1e6 {
			x.errorf(x.at.Span(), "%s:hz is from 1 to 1000000", x.name)
			return nil
		}
		p.Frequency = n
		if x.kind == Interval {
			p.Period = 1e9 / n
		}
		return []Point{p}
	}
	each := uint64(1)
	if unit != "" {
		each = units[unit]
	}
	if n > (1<<63-1)/each {
		x.errorf(x.at.Span(), "the period of %s is too long", x.whole)
		return nil
	}
	if p.Period = n * each; p.Period < minPeriod {
		x.errorf(x.at.Span(), "the period of %s is too short: a microsecond is the least", x.whole)
		return nil
	}
	return []Point{p}
}

// event is one that perf counts.
type event struct {
	name    string
	aliases []string
	count   uint64 // how many make one, unless told otherwise
}

var softwareEvents = []event{
	{"alignment-faults", nil, 1}, {"bpf-output", nil, 1}, {"context-switches", []string{"cs"}, 1000},
	{"cpu-clock", []string{"cpu"}, 1000000}, {"cpu-migrations", nil, 1}, {"dummy", nil, 1}, {"emulation-faults", nil, 1},
	{"major-faults", nil, 1}, {"minor-faults", nil, 100}, {"page-faults", []string{"faults"}, 100}, {"task-clock", nil, 1},
}

var hardwareEvents = []event{
	{"backend-stalls", nil, 1000000}, {"branch-instructions", []string{"branches"}, 100000}, {"branch-misses", nil, 100000},
	{"bus-cycles", nil, 100000}, {"cache-misses", nil, 1000000}, {"cache-references", nil, 1000000},
	{"cpu-cycles", []string{"cycles"}, 1000000}, {"frontend-stalls", nil, 1000000}, {"instructions", nil, 1000000}, {"ref-cycles", nil, 1000000},
}

// Events lists the names of software or hardware events.
func Events(k ProbeKind) []string {
	var names []string
	for _, e := range eventsOf(k) {
		names = append(names, e.name)
	}
	return names
}

func eventsOf(k ProbeKind) []event {
	if k == Hardware {
		return hardwareEvents
	}
	return softwareEvents
}

// expandEvent is software and hardware.
func expandEvent(x *pointExpander, parts []string) []Point {
	count := uint64(0)
	if len(parts) == 2 {
		var err error
		if count, err = strconv.ParseUint(strings.ReplaceAll(parts[1], "_", ""), 0, 63); err != nil || count == 0 {
			if !x.quiet {
				x.errorf(x.at.Span(), "the count of %s is a number from 1 on, not %q", x.name, parts[1])
			}
			return nil
		}
	}
	var points []Point
	var names []string
	for _, e := range eventsOf(x.kind) {
		names = append(append(names, e.name), e.aliases...)
		found := matchWild(parts[0], e.name)
		for _, a := range e.aliases {
			found = found || a == parts[0]
		}
		if !found {
			continue
		}
		p := x.point(x.name + ":" + e.name)
		if !isWild(parts[0]) {
			p.Text = x.name + ":" + parts[0]
		}
		if len(parts) == 2 {
			p.Text += ":" + parts[1]
		}
		p.Name, p.Period, p.Wild = e.name, e.count, isWild(parts[0])
		if count > 0 {
			p.Period = count
		}
		points = append(points, p)
	}
	if len(points) == 0 && !x.quiet {
		x.errorf(x.at.Span(), "there is no %s event %s", x.name, parts[0]).suggest(parts[0], names)
	}
	return points
}

// expandIter is iter:task and its like.
func expandIter(x *pointExpander, parts []string) []Point {
	if len(parts) > 1 {
		x.errorf(x.at.Span(), "pinned iterators are not compiled yet").hint("leave %q out: what the script prints is shown here", parts[1])
		return nil
	}
	names, err := x.target.Match("iter", parts[0])
	if err == nil && len(names) == 0 || err != nil && isWild(parts[0]) {
		all, _ := x.target.Match("iter", "*")
		x.missing("this kernel has no iterator %s", parts[0]).suggest(parts[0], all)
		return nil
	}
	if err != nil {
		names = []string{parts[0]}
	}
	var points []Point
	for _, name := range names {
		p := x.point("iter:" + name)
		p.Name, p.Wild = name, isWild(parts[0])
		points = append(points, p)
	}
	return points
}

// expandLater is what is known, and not compiled yet.
func expandLater(x *pointExpander, parts []string) []Point {
	if x.quiet {
		return nil
	}
	if x.kind == Watchpoint {
		if _, err := strconv.ParseUint(parts[0], 0, 64); err != nil {
			x.errorf(x.at.Span(), "a watchpoint is on an address, not on %q", parts[0]).hint("it is written %s", x.usage)
			return nil
		}
		if mode := parts[len(parts)-1]; strings.Trim(mode, "rwx") != "" {
			x.errorf(x.at.Span(), "the mode of a watchpoint is made of r, w and x, not %q", mode)
			return nil
		}
	}
	x.errorf(x.at.Span(), "%s probes are not compiled yet", x.name)
	return nil
}
