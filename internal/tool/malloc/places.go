package malloc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sonde/internal/prog"
	"sonde/internal/tool/malloc/allocator"
)

// Places numbers the functions that are probed, for the programs to know them by. It is for one goroutine.
type Places struct {
	opt       Options
	objects   map[*allocator.Object]int // their numbers
	numbers   map[*allocator.Object][]int
	functions int
	names     []Function
	passages  []passage
}

// Function is a function that is probed, by its number.
type Function struct {
	Name, File string
	Address    uint64 // of the probe, in the file
	Path       string // that leads to the file
}

// Function returns the function with that number.
func (p *Places) Function(number int) Function {
	if number < 0 || number >= len(p.names) {
		return Function{}
	}
	return p.names[number]
}

// NewPlaces returns Places for programs with those options.
func NewPlaces(opt Options) *Places {
	return &Places{opt: opt, objects: map[*allocator.Object]int{}, numbers: map[*allocator.Object][]int{}}
}

// The sizes of the tables, and of what is in them: malloc.h.
const (
	maxFunctions = 256
	maxObjects   = 32
	maxInner     = 12
	functionSize = 24
	objectSize   = 16 + 16*maxInner + 8
)

// Add tells the programs of a file, unless they know it: what to put into their maps. It comes before Probes.
func (p *Places) Add(o *allocator.Object) ([]prog.MapFill, error) {
	if _, known := p.objects[o]; known {
		return nil, nil
	}
	most := maxFunctions
	if !p.opt.Cookie {
		most = min(maxNumbered, p.opt.Functions)
	}
	number := len(p.objects)
	if number == maxObjects || p.functions+p.opt.Gives(o) > most {
		return nil, fmt.Errorf("%s: there is no room for the functions of another allocator: %d files with %d functions are probed already", o.Shown, number, p.functions)
	}
	fill := []prog.MapFill{{Map: bpfMapObjects, Key: uint32(number), Value: encodeObject(o)}}
	var numbers []int
	for _, f := range o.Functions {
		if f.Frees || f.Kept && !p.opt.Outstanding {
			numbers = append(numbers, -1)
			continue
		}
		flags := f.Flags
		if p.opt.Outstanding && f.Size != allocator.SizeGo {
			flags |= allocator.Pair
		}
		b := binary.LittleEndian.AppendUint64(make([]byte, 0, functionSize), f.Probe)
		for _, word := range []uint32{uint32(f.Size), flags, uint32(number), 0} {
			b = binary.LittleEndian.AppendUint32(b, word)
		}
		fill = append(fill, prog.MapFill{Map: bpfMapFunctions, Key: uint32(p.functions), Value: b})
		numbers = append(numbers, p.functions)
		p.names = append(p.names, Function{f.Name, o.Shown, f.Probe, o.Path})
		p.functions++
	}
	p.objects[o], p.numbers[o] = number, numbers
	return fill, nil
}

func encodeObject(o *allocator.Object) []byte {
	b := make([]byte, 0, objectSize)
	b = binary.LittleEndian.AppendUint64(b, o.Text.Start)
	b = binary.LittleEndian.AppendUint64(b, o.Text.End)
	inner := o.Inner[:min(len(o.Inner), maxInner)]
	for _, r := range inner {
		b = binary.LittleEndian.AppendUint64(b, r.Start)
		b = binary.LittleEndian.AppendUint64(b, r.End)
	}
	b = append(b, make([]byte, 16*(maxInner-len(inner)))...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(inner)))
	whole := uint32(0)
	if o.Whole {
		whole = 1
	}
	return binary.LittleEndian.AppendUint32(b, whole)
}

// maxPassages is how many there is room for; a process has a handful.
const maxPassages = 16

// passage is one with its file.
type passage struct {
	allocator.Passage
	path, shown string
}

// Through finds the file in which a stack passed through a passage that is at that address in memory, and how far up it is mapped.
func (p *Places) Through(addr uint64) (path, shown string, base uint64, ok bool) {
	for _, x := range p.passages {
		if x.Address&pageOffset != addr&pageOffset {
			continue
		}
		if ok {
			return "", "", 0, false // which of two it is cannot be told
		}
		path, shown, base, ok = x.path, x.shown, addr-x.Address, true
	}
	return path, shown, base, ok
}

// Pass tells the programs of passages in a file.
func (p *Places) Pass(path, shown string, through []allocator.Passage) []prog.MapFill {
	room := min(maxPassages-len(p.passages), len(through))
	if room == 0 {
		return nil
	}
	for _, x := range through[:room] {
		p.passages = append(p.passages, passage{x, path, shown})
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(p.passages)))
	for _, x := range p.passages {
		b = binary.LittleEndian.AppendUint64(b, x.Code[0])
		b = binary.LittleEndian.AppendUint64(b, x.Code[1])
		b = binary.LittleEndian.AppendUint32(b, uint32(x.Address&pageOffset))
		b = binary.LittleEndian.AppendUint32(b, uint32(x.Distance))
	}
	b = append(b, make([]byte, 24*(maxPassages-len(p.passages)))...)
	return []prog.MapFill{{Map: bpfMapPassages, Key: uint32(0), Value: b}}
}

// Probes are those of a file for one process, or for all with 0. What sees the ends of calls comes first: a call of which
// only the beginning is seen would seem never to end.
func (p *Places) Probes(o *allocator.Object, pid int) ([]prog.Probe, error) {
	numbers, known := p.numbers[o]
	if !known {
		return nil, errors.New("the file was not added: a bug of sonde")
	}
	var leave, give, enter []uint64
	var cookies []uint64
	for i, f := range o.Functions {
		switch {
		case f.Frees && p.opt.Outstanding:
			give = append(give, f.Offset)
			continue
		case numbers[i] < 0:
			continue
		case f.Flags&allocator.Pair != 0 || p.opt.Outstanding && f.Size != allocator.SizeGo:
			leave = append(leave, f.Offset)
		}
		enter = append(enter, f.Offset)
		cookies = append(cookies, uint64(numbers[i]))
	}
	probe := func(program string, kind, multi prog.ProbeKind, offsets []uint64) prog.Probe {
		if p.opt.Multi {
			kind = multi
		}
		return prog.Probe{Program: program, Kind: kind, Path: o.Path, Addresses: offsets, PID: pid, Shown: o.Shown}
	}
	var list []prog.Probe
	if o.Tells != 0 && pid != 0 {
		list = append(list, probe(programTell, prog.Uprobe, prog.UprobeMulti, []uint64{o.Tells}))
	}
	if len(leave) > 0 {
		list = append(list, probe(programLeave, prog.Uretprobe, prog.UretprobeMulti, leave))
	}
	if len(give) > 0 {
		list = append(list, probe(programGive, prog.Uprobe, prog.UprobeMulti, give))
	}
	switch {
	case len(enter) == 0:
	case p.opt.Cookie:
		// A cookie of 0 is none: programs on perf events are told 0 then, and that is the number.
		entries := probe(programEnter, prog.Uprobe, prog.UprobeMulti, enter)
		entries.Cookies = cookies
		list = append(list, entries)
	default:
		for i := range enter {
			list = append(list, probe(numbered(int(cookies[i])), prog.Uprobe, prog.UprobeMulti, enter[i:i+1]))
		}
	}
	return list, nil
}
