package attach

import (
	"strings"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// event is what several programs may be on. probes are indexes into the Spec's probes, in its order.
type event struct {
	key    eventKey
	probes []int
}

type eventKey struct {
	kind    prog.ProbeKind
	name    string // of tracepoint or function; of multi kinds nothing: any two of them may share a function
	address uint64
	path    string
}

// eventsOf puts probes of the same event together, events in the order in which they first come.
func eventsOf(probes []prog.Probe, wanted []int) []event {
	events := make([]event, 0, len(wanted))
	at := make(map[eventKey]int, len(wanted))
	for _, i := range wanted {
		key := eventOf(&probes[i])
		n, ok := at[key]
		if !ok || key.alone() {
			n = len(events)
			at[key] = n
			events = append(events, event{key: key})
		}
		events[n].probes = append(events[n].probes, i)
	}
	return events
}

func eventOf(p *prog.Probe) eventKey {
	key := eventKey{kind: p.Kind}
	switch p.Kind {
	case prog.RawTracepoint, prog.TypedTracepoint: // both are in one list of the tracepoint
		key.kind, key.name = prog.RawTracepoint, p.Name
	case prog.Tracepoint:
		key.name = p.Group + ":" + p.Name
	case prog.Kprobe, prog.Kretprobe:
		key.name, key.address = p.Name, p.Address+p.Offset
	case prog.Fentry, prog.Fexit, prog.FmodRet, prog.LSM:
		key.name = p.Name
	case prog.Uprobe, prog.Uretprobe:
		key.path = p.Path
	case prog.UprobeMulti, prog.UretprobeMulti, prog.UprobeSession:
		key.path = p.Path
	}
	return key
}

// alone says that there is an event of its own for each probe, so that there is no order to keep.
func (k eventKey) alone() bool {
	switch k.kind {
	case prog.Interval, prog.Profile, prog.Software, prog.Hardware, prog.Watchpoint, prog.Iter:
		return true
	}
	return false
}

// lastRunsFirst says of a kind whether the kernel runs the program first that was attached last. Such are attached from the
// last to the first, for programs to run in the order of the Spec. Seen on 5.10, 6.1, 6.12, 6.18 and 7.2.
//
// Among programs of different kinds on one place there is no order, nor among the returns of sessions.
func (s *Session) lastRunsFirst(k prog.ProbeKind) bool {
	switch k {
	case prog.Kprobe, prog.KprobeMulti, prog.KprobeSession, prog.Fentry, prog.Fexit, prog.FmodRet, prog.LSM,
		prog.Uprobe, prog.Uretprobe, prog.UprobeMulti, prog.UretprobeMulti, prog.UprobeSession:
		return true
	case prog.KretprobeMulti:
		return s.returnsByGraph()
	}
	return false
}

// returnsByGraph says whether probes of function returns (fprobe) are made by the function graph tracer, as they are from
// 6.14 on. The way before that, kretprobes, runs them in the order in which they were attached.
func (s *Session) returnsByGraph() bool {
	types, err := s.types()
	if err != nil {
		return false
	}
	_, ok := types.Find(kernel.BTFFunc, "fprobe_fgraph_entry")
	return ok
}

// kindNames are for messages about probes that do not say how they want to be shown.
var kindNames = map[prog.ProbeKind]string{
	prog.RawTracepoint: "raw tracepoint", prog.Tracepoint: "tracepoint", prog.TypedTracepoint: "typed tracepoint",
	prog.Kprobe: "kprobe", prog.Kretprobe: "kretprobe", prog.KprobeMulti: "kprobe", prog.KretprobeMulti: "kretprobe",
	prog.KprobeSession: "kprobe session", prog.Uprobe: "uprobe", prog.Uretprobe: "uretprobe", prog.UprobeMulti: "uprobe",
	prog.UretprobeMulti: "uretprobe", prog.Fentry: "fentry", prog.Fexit: "fexit", prog.Interval: "interval",
	prog.Profile: "profile", prog.Software: "software", prog.Hardware: "hardware", prog.Watchpoint: "watchpoint",
	prog.Iter: "iter", prog.LSM: "lsm", prog.FmodRet: "fmod_ret",
	prog.UprobeSession: "uprobe session",
}

// shown is how a probe is called in messages.
func shown(p *prog.Probe) string {
	if p.Shown != "" {
		return p.Shown
	}
	name := p.Name
	switch {
	case p.Kind == prog.Tracepoint:
		name = p.Group + ":" + p.Name
	case p.Path != "":
		name = p.Path
	case name == "" && len(p.Names) > 0:
		name = strings.Join(p.Names[:min(3, len(p.Names))], ",")
	}
	return strings.TrimSpace(kindNames[p.Kind] + " " + name)
}
