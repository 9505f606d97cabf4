package compile

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"sonde/internal/compile/check"
	"sonde/internal/prog"
)

// Flags of BPF_MAP_CREATE.
const (
	flagNoPrealloc  = 1 << 0
	flagReadOnly    = 1 << 7 // for programs
	flagMmapable    = 1 << 10
	preallocateMost = 16 << 20
)

// Sizes of the ring in bytes where nothing else is said. Making a ring costs about a millisecond for four megabytes, which
// a script that only counts need not pay.
const (
	ringChatty = 4 << 20
	ringQuiet  = 512 << 10
)

// BPF object names hold 15 bytes; the kernel shows them in its listings.
const objectNameMost = 15

func (l *lowerer) ringSize() int {
	size := l.opt.RingSize
	if size == 0 && l.info.Config.PerfRBPages > 0 {
		size = l.info.Config.PerfRBPages * 4096
	}
	switch {
	case size > 0:
	case l.chatty:
		size = ringChatty
	default:
		size = ringQuiet
	}
	return max(powerOfTwo(size), 2*reserve)
}

// assemble makes the Spec of everything that was built.
func (l *lowerer) assemble(programs []lowered) {
	spec := &prog.Spec{
		Name:        "script",
		Collection:  &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{}, Programs: map[string]*ebpf.ProgramSpec{}},
		Ring:        mapRing,
		Counters:    mapCounters,
		LostReasons: LostReasons,
		Lean:        true,
	}
	l.out.Positions = make(map[string][]int32, len(programs))
	maps := spec.Collection.Maps
	maps[mapRing] = &ebpf.MapSpec{Name: mapRing, Type: ebpf.RingBuf, MaxEntries: uint32(l.ringSize())}
	maps[mapCounters] = &ebpf.MapSpec{Name: mapCounters, Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 72, MaxEntries: 1}
	for name, area := range map[string]cellArea{mapCells: l.cells, Threads: l.threads} {
		if area.size > 0 {
			maps[name] = &ebpf.MapSpec{
				Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32((area.size + 63) &^ 63), MaxEntries: 1, Flags: flagMmapable,
			}
		}
	}
	if n := len(l.texts.data); n > 0 {
		data := make([]byte, (n+7)&^7)
		copy(data, l.texts.data)
		maps[mapTexts] = &ebpf.MapSpec{
			Name: mapTexts, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(data)), MaxEntries: 1, Flags: flagReadOnly,
			Contents: []ebpf.MapKV{{Key: uint32(0), Value: data}},
		}
	}
	for _, m := range l.maps {
		if m.Storage == StoreHash || m.Storage == StorePerCPUHash {
			maps[m.BPF] = l.hashSpec(m, programs)
		}
	}
	for name, m := range l.extraMaps {
		maps[name] = m
	}
	if maps[mapNews] != nil {
		spec.Urgent = mapNews
	}
	for _, b := range programs {
		p := &ebpf.ProgramSpec{
			Name:         objectName(b.name),
			Instructions: b.code.Instructions,
			License:      l.info.Config.License,
		}
		p.Type, p.AttachType, p.AttachTo = programType(b)
		spec.Collection.Programs[b.name] = p
		spec.Probes = append(spec.Probes, l.probes(b.name, b.check, b.points, b.plan)...)
		l.out.Positions[b.name] = b.code.Positions
		l.list(b)
	}
	l.out.Spec, l.out.Config, l.out.Help = spec, l.info.Config, l.info.Help
	l.out.Maps = l.sortedMaps()
}

// list enters the program in the lists that the runtime goes by.
func (l *lowerer) list(b lowered) {
	switch b.check.Kind {
	case check.Begin:
		l.out.Begin = append(l.out.Begin, b.name)
	case check.End:
		l.out.End = append(l.out.End, b.name)
	case check.Self:
		for _, pt := range b.points {
			l.out.Signals = append(l.out.Signals, SignalProgram{Signal: pt.Name, Program: b.name})
		}
	case check.Iter:
		l.out.Iter = append(l.out.Iter, b.name)
	}
	for _, pt := range b.points {
		l.out.Points = append(l.out.Points, pt.Text)
	}
	if c := choice(b.points, b.plan); c != "" {
		l.out.Choices = append(l.out.Choices, c)
	}
}

// hashSpec is the kernel's map for a script's map with keys.
func (l *lowerer) hashSpec(m *Map, programs []lowered) *ebpf.MapSpec {
	s := &ebpf.MapSpec{
		Name: objectName(m.BPF), Type: ebpf.Hash,
		KeySize: uint32(m.keySize()), ValueSize: uint32(m.valueSize()), MaxEntries: uint32(max(m.MaxEntries, 1)),
	}
	kind := ""
	if info := l.mapInfo(m.Name); info != nil {
		kind = info.Kind
	}
	copies := 1
	if m.Storage == StorePerCPUHash {
		s.Type = ebpf.PerCPUHash
		copies = l.t.PossibleCPUs()
	}
	if kind == "lruhash" || kind == "percpulruhash" {
		s.Type = ebpf.LRUHash
		if m.Storage == StorePerCPUHash {
			s.Type = ebpf.LRUCPUHash
		}
		return s
	}
	bytes := int(s.MaxEntries) * (int(s.KeySize) + int(s.ValueSize)*copies)
	if bytes > preallocateMost || l.comesAndGoes(m, programs) {
		s.Flags |= flagNoPrealloc
	}
	return s
}

// programType is what the kernel has to be told about a program before it looks at it.
func programType(b lowered) (t ebpf.ProgramType, at ebpf.AttachType, to string) {
	first := b.points[0]
	switch b.plan.kind {
	case prog.TestRun, prog.RawTracepoint:
		return ebpf.RawTracepoint, ebpf.AttachNone, ""
	case prog.Tracepoint:
		return ebpf.TracePoint, ebpf.AttachNone, ""
	case prog.TypedTracepoint:
		switch b.plan.raw {
		case rawEnter, rawSysEnter:
			return ebpf.Tracing, ebpf.AttachTraceRawTp, "sys_enter"
		case rawExit, rawSysExit:
			return ebpf.Tracing, ebpf.AttachTraceRawTp, "sys_exit"
		}
		return ebpf.Tracing, ebpf.AttachTraceRawTp, first.Name
	case prog.Fentry:
		return ebpf.Tracing, ebpf.AttachTraceFEntry, first.Name
	case prog.Fexit:
		return ebpf.Tracing, ebpf.AttachTraceFExit, first.Name
	case prog.Iter:
		return ebpf.Tracing, ebpf.AttachTraceIter, first.Name
	case prog.Interval, prog.Profile, prog.Software, prog.Hardware:
		return ebpf.PerfEvent, ebpf.AttachNone, ""
	case prog.KprobeMulti, prog.KretprobeMulti:
		return ebpf.Kprobe, ebpf.AttachTraceKprobeMulti, ""
	case prog.UprobeMulti, prog.UretprobeMulti:
		return ebpf.Kprobe, ebpf.AttachTraceUprobeMulti, ""
	}
	return ebpf.Kprobe, ebpf.AttachNone, ""
}

// programName is a name for the n-th program: the attach point's, as far as the kernel takes it.
func programName(n int, p *check.Program, points []check.Point) string {
	text := points[0].Text
	if _, rest, ok := strings.Cut(text, ":"); ok && p.Kind != check.Interval && p.Kind != check.Profile {
		text = rest
	}
	if p.Kind == check.Uprobe || p.Kind == check.Uretprobe {
		text = points[0].Name
	}
	return fmt.Sprintf("p%d_%s", n, identifier(text))
}

// identifier replaces what may not stand in the name of a BPF object.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

func objectName(s string) string {
	s = identifier(s)
	return s[:min(len(s), objectNameMost)]
}
