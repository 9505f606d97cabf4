package compile

import (
	"fmt"
	"slices"
	"strings"

	"sonde/internal/compile/check"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// Names under which --no-feature switches off what changes how a probe is attached.
const (
	withoutRawSyscalls = "raw_syscalls"
	withoutKprobeMulti = "kprobe_multi"
	withoutUprobeMulti = "uprobe_multi"
)

// groups says which attach points of p run the same code: all of them, unless the code can tell them apart.
func (l *lowerer) groups(p *check.Program) [][]check.Point {
	if len(p.Points) == 0 {
		return nil
	}
	if p.Uses["probe"] && p.Kind != check.Tracepoint {
		return each(p.Points)
	}
	switch p.Kind {
	case check.Begin, check.End, check.Self, check.Test, check.Bench, check.Iter:
		return each(p.Points)
	case check.Tracepoint:
		return l.tracepointGroups(p)
	case check.Kprobe:
		// With an offset, func and arguments mean something else.
		return splitBy(p.Points, func(pt check.Point) string {
			if pt.Offset != 0 || pt.Address != 0 {
				return pt.Text
			}
			return ""
		})
	case check.Kretprobe:
		if p.Uses["func"] && !l.t.Has(kernel.GetFuncIP) {
			return each(p.Points) // which function returns has to be known now
		}
	case check.Uprobe, check.Uretprobe:
		if p.Uses["uaddr"] || p.Uses["func"] && p.Kind == check.Uretprobe && !l.t.Has(kernel.UprobeMulti) {
			return each(p.Points)
		}
	case check.Fentry, check.Fexit, check.RawTracepoint:
		return each(p.Points) // one function each: the kernel checks the program against its types
	}
	return [][]check.Point{p.Points}
}

func each(points []check.Point) (groups [][]check.Point) {
	for i := range points {
		groups = append(groups, points[i:i+1])
	}
	return groups
}

// splitBy keeps points with equal keys together, in order of first appearance.
func splitBy(points []check.Point, key func(check.Point) string) (groups [][]check.Point) {
	at := map[string]int{}
	for _, p := range points {
		k := key(p)
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// tracepointGroups keeps the entries of system calls together, the exits too: each of the two can be had with one raw
// tracepoint. A tracepoint costs about twice as much for each event, and some 60 ms when it is closed.
func (l *lowerer) tracepointGroups(p *check.Program) [][]check.Point {
	return splitBy(p.Points, func(pt check.Point) string {
		switch k := l.rawKind(p, pt); {
		case k != rawNone:
			return fmt.Sprint(k)
		case p.Uses["probe"]: // one program each: it cannot tell where it is
			return pt.Text
		}
		return "tracepoint"
	})
}

// rawKind says which raw tracepoint could take a tracepoint's place, if one can.
func (l *lowerer) rawKind(p *check.Program, pt check.Point) rawSyscall {
	if l.opt.NoOptimize || l.opt.Without[withoutRawSyscalls] || p.Kind != check.Tracepoint ||
		p.Uses["ctx"] || p.Uses["args_whole"] || p.Uses["kstack"] {
		return rawNone
	}
	kind := rawNone
	switch {
	case pt.Group == "raw_syscalls" && pt.Name == "sys_enter":
		kind = rawSysEnter
	case pt.Group == "raw_syscalls" && pt.Name == "sys_exit":
		kind = rawSysExit
	case pt.Group != "syscalls" || pt.Syscall < 0:
	case strings.HasPrefix(pt.Name, "sys_enter_"):
		kind = rawEnter
	case strings.HasPrefix(pt.Name, "sys_exit_"):
		kind = rawExit
	}
	// The kernel is asked last: reading its types takes longer than all else.
	if kind != rawNone && (l.t.Types() == nil || !l.t.Has(kernel.TypedTracepoint) || l.t.Has(kernel.PreemptsRawTracepoints)) {
		return rawNone
	}
	return kind
}

// planFor decides how a group is attached.
func (l *lowerer) planFor(p *check.Program, points []check.Point) plan {
	first := points[0]
	switch p.Kind {
	case check.Begin, check.End, check.Self, check.Test, check.Bench:
		return plan{kind: prog.TestRun}
	case check.Interval:
		return plan{kind: prog.Interval}
	case check.Profile:
		return plan{kind: prog.Profile}
	case check.Software:
		return plan{kind: prog.Software}
	case check.Hardware:
		return plan{kind: prog.Hardware}
	case check.RawTracepoint:
		return plan{kind: prog.TypedTracepoint}
	case check.Fentry:
		return plan{kind: prog.Fentry}
	case check.Fexit:
		return plan{kind: prog.Fexit}
	case check.Iter:
		return plan{kind: prog.Iter}
	case check.Tracepoint:
		raw := l.rawKind(p, first)
		if raw == rawNone {
			return plan{kind: prog.Tracepoint}
		}
		pl := plan{kind: prog.TypedTracepoint, raw: raw}
		if raw == rawEnter || raw == rawExit {
			for _, pt := range points {
				pl.ids = append(pl.ids, pt.Syscall)
			}
			slices.Sort(pl.ids)
			pl.ids = slices.Compact(pl.ids)
		}
		return pl
	case check.Kprobe, check.Kretprobe:
		multi := l.kprobeMulti(points)
		switch {
		case p.Kind == check.Kprobe && multi:
			return plan{kind: prog.KprobeMulti}
		case p.Kind == check.Kprobe:
			return plan{kind: prog.Kprobe}
		case multi:
			return plan{kind: prog.KretprobeMulti}
		}
		return plan{kind: prog.Kretprobe}
	case check.Uprobe, check.Uretprobe:
		multi := len(points) > 1 && !l.opt.NoOptimize && !l.opt.Without[withoutUprobeMulti] && l.t.Has(kernel.UprobeMulti)
		switch {
		case p.Kind == check.Uprobe && multi:
			return plan{kind: prog.UprobeMulti}
		case p.Kind == check.Uprobe:
			return plan{kind: prog.Uprobe}
		case multi:
			return plan{kind: prog.UretprobeMulti}
		}
		return plan{kind: prog.Uretprobe}
	}
	return plan{kind: prog.TestRun}
}

func (l *lowerer) kprobeMulti(points []check.Point) bool {
	if len(points) < 2 || l.opt.NoOptimize || l.opt.Without[withoutKprobeMulti] {
		return false
	}
	for _, p := range points {
		if p.Offset != 0 || p.Address != 0 || p.Group != "" {
			return false
		}
	}
	return l.t.Has(kernel.KprobeMulti)
}

// probes are the attach points of one program, as attach takes them.
func (l *lowerer) probes(program string, p *check.Program, points []check.Point, pl plan) []prog.Probe {
	missing := prog.MissingError
	switch l.info.Config.MissingProbes {
	case "warn":
		missing = prog.MissingWarn
	case "ignore":
		missing = prog.MissingIgnore
	}
	alternative := 0
	if l.info.Config.MissingProbes == "" && len(p.Decl.Points) > 1 {
		alternative = int(p.Decl.Span().Start) + 1
	}
	probe := func(pt check.Point) prog.Probe {
		return prog.Probe{
			Program: program, Kind: pl.kind, Group: pt.Group, Name: pt.Name, Offset: pt.Offset, Address: pt.Address,
			Period: pt.Period, Frequency: pt.Frequency, Shown: pt.Text, Missing: missing,
			Alternative: alternative,
		}
	}
	one := probe(points[0])
	switch pl.kind {
	case prog.KprobeMulti, prog.KretprobeMulti:
		for _, pt := range points {
			one.Names = append(one.Names, pt.Name)
		}
		one.Name, one.Shown = "", shown(points)
		return []prog.Probe{one}
	case prog.UprobeMulti, prog.UretprobeMulti:
		var list []prog.Probe
		for _, g := range splitBy(points, func(pt check.Point) string { return pt.Group }) {
			u := probe(g[0])
			u.Path, u.Group, u.PID, u.Shown = g[0].Group, "", l.opt.PID, shown(g)
			for _, pt := range g {
				u.Addresses = append(u.Addresses, pt.FileOff)
			}
			if l.cookied(p, points) {
				u.Cookies = u.Addresses
			}
			list = append(list, u)
		}
		return list
	case prog.TypedTracepoint:
		switch pl.raw {
		case rawEnter, rawSysEnter:
			one.Group, one.Name, one.Shown = "", "sys_enter", shown(points)
			return []prog.Probe{one}
		case rawExit, rawSysExit:
			one.Group, one.Name, one.Shown = "", "sys_exit", shown(points)
			return []prog.Probe{one}
		}
	}
	var list []prog.Probe
	for _, pt := range points {
		u := probe(pt)
		switch pl.kind {
		case prog.Uprobe, prog.Uretprobe:
			u.Path, u.Group, u.Addresses, u.PID = pt.Group, "", []uint64{pt.FileOff}, l.opt.PID
			if l.cookied(p, points) {
				u.Cookie = pt.FileOff
			}
		case prog.Profile, prog.Software, prog.Hardware:
			u.PID = l.opt.PID
		}
		list = append(list, u)
	}
	return list
}

func shown(points []check.Point) string {
	if len(points) == 1 {
		return points[0].Text
	}
	return fmt.Sprintf("%s and %d more", points[0].Text, len(points)-1)
}

// choice says in one line how a group is attached, where that is not as written.
func choice(points []check.Point, pl plan) string {
	how := ""
	switch {
	case pl.raw == rawEnter || pl.raw == rawSysEnter:
		how = "one typed raw tracepoint sys_enter"
	case pl.raw == rawExit || pl.raw == rawSysExit:
		how = "one typed raw tracepoint sys_exit"
	case pl.kind == prog.KprobeMulti || pl.kind == prog.KretprobeMulti:
		how = "one kprobe_multi link"
	case pl.kind == prog.UprobeMulti || pl.kind == prog.UretprobeMulti:
		how = "one uprobe_multi link for each file"
	default:
		return ""
	}
	return shown(points) + ": " + how
}
