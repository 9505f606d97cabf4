package object

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Stream is a map by which programs send records, and how these are read.
type Stream struct {
	Map  string
	Perf bool // a perf event array; else a ring buffer

	layout *btf.Struct // what was chosen by --record or is the value type of the map; nil: it is guessed for each record
	scalar btf.Type    // the value type of the map if it is no struct
	sized  map[int]*btf.Struct
}

// Streams are the maps by which programs send records, by name.
func (o *Object) Streams() (list []*Stream) {
	used := o.usedMaps()
	for _, name := range slices.Sorted(maps.Keys(o.coll.Maps)) {
		m := o.coll.Maps[name]
		if m.Type != ebpf.RingBuf && m.Type != ebpf.PerfEventArray || !used[name] {
			continue
		}
		s := &Stream{Map: name, Perf: m.Type == ebpf.PerfEventArray, sized: o.recordTypes()}
		switch t := bare(o.types[name].value).(type) {
		case *btf.Struct:
			s.layout = t
		case nil, *btf.Void:
		default:
			if !s.Perf { // the values of a perf event array are descriptors, whatever their type
				s.scalar = o.types[name].value
			}
		}
		list = append(list, s)
	}
	return list
}

// usedMaps are those that a program refers to, and those that are in others.
func (o *Object) usedMaps() map[string]bool {
	used := make(map[string]bool)
	for _, p := range o.coll.Programs {
		for i := range p.Instructions {
			if ins := &p.Instructions[i]; ins.IsLoadFromMap() {
				used[ins.Reference()] = true
			}
		}
	}
	return used
}

// SetRecords chooses structs by what was given to --record: STRUCT for all streams, or MAP=STRUCT for one.
func (o *Object) SetRecords(streams []*Stream, given []string) error {
	for _, text := range given {
		name, of, one := strings.Cut(text, "=")
		if !one {
			name, of = "", text
		}
		t, err := o.structNamed(of)
		if err != nil {
			return fmt.Errorf("--record %s: %w", text, err)
		}
		found := false
		for _, s := range streams {
			if !one || s.Map == name {
				s.layout, s.scalar, found = t, nil, true
			}
		}
		switch {
		case found:
		case !one:
			return fmt.Errorf("--record %s: the programs have no ring buffer and no perf event array", text)
		default:
			var known []string
			for _, s := range streams {
				known = append(known, s.Map)
			}
			return fmt.Errorf("--record %s: no ring buffer or perf event array is called %q%s", text, name, meant(name, known))
		}
	}
	return nil
}

// structNamed finds a struct among the types of the object.
func (o *Object) structNamed(name string) (*btf.Struct, error) {
	name = strings.TrimPrefix(name, "struct ")
	if o.coll.Types == nil {
		return nil, errors.New("the object has no types (BTF); compile it with clang -g")
	}
	var known []string
	for t, err := range o.coll.Types.All() {
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case *btf.Struct:
			if t.Name == name {
				return t, nil
			}
			known = append(known, t.Name)
		case *btf.Typedef:
			if s, ok := bare(t).(*btf.Struct); ok && t.Name == name {
				return s, nil
			}
		}
	}
	known = slices.DeleteFunc(known, func(n string) bool { return n == "" })
	slices.Sort(known)
	return nil, fmt.Errorf("the object's types have no struct %q%s (a struct that only local variables have is not among them: declare a global pointer to it)", name, meant(name, slices.Compact(known)))
}

// recordTypes are the structs that a record may be, by their size: those of the object's types that neither the kernel has, as
// far as relocations tell, nor maps, nor contexts of programs. Where several have one size, those that a global variable points to
// come first; if that does not leave one, there is none of that size.
func (o *Object) recordTypes() map[int]*btf.Struct {
	sized := make(map[int]*btf.Struct)
	if o.coll.Types == nil {
		return sized
	}
	foreign := o.foreignStructs()
	pointed := o.pointedTo()
	ambiguous := make(map[int]bool)
	for t, err := range o.coll.Types.All() {
		if err != nil {
			return sized
		}
		s, ok := t.(*btf.Struct)
		if !ok || s.Name == "" || s.Size == 0 || foreign[s.Name] {
			continue
		}
		size := int(s.Size)
		switch have := sized[size]; {
		case have == nil:
			sized[size] = s
		case pointed[s.Name] && !pointed[have.Name]:
			sized[size] = s
			delete(ambiguous, size)
		case pointed[s.Name] == pointed[have.Name]:
			ambiguous[size] = true
		}
	}
	for size := range ambiguous {
		delete(sized, size)
	}
	return sized
}

// foreignStructs are those that belong to the kernel, or to the mechanics of the file.
func (o *Object) foreignStructs() map[string]bool {
	foreign := map[string]bool{"bpf_map_def": true, "pt_regs": true, "bpf_raw_tracepoint_args": true}
	for _, p := range o.coll.Programs {
		for i := range p.Instructions {
			if r := btf.CORERelocationMetadata(&p.Instructions[i]); r != nil {
				// "CORERelocation(byte_off, Struct:\"task_struct\"[0:53], local_id=12)"
				if _, rest, ok := strings.Cut(r.String(), `:"`); ok {
					name, _, _ := strings.Cut(rest, `"`)
					foreign[name] = true
				}
			}
			if f := btf.FuncMetadata(&p.Instructions[i]); f != nil {
				foreignParameters(foreign, f)
			}
		}
	}
	return foreign
}

// foreignParameters notes what a program is given by the kernel: its context.
func foreignParameters(foreign map[string]bool, f *btf.Func) {
	proto, ok := f.Type.(*btf.FuncProto)
	if !ok {
		return
	}
	for _, param := range proto.Params {
		if p, ok := bare(param.Type).(*btf.Pointer); ok {
			if s, ok := bare(p.Target).(*btf.Struct); ok {
				foreign[s.Name] = true
			}
		}
	}
}

// pointedTo are the structs to which global variables point: bpf2go's way to have a type in the object.
func (o *Object) pointedTo() map[string]bool {
	pointed := make(map[string]bool)
	for _, v := range o.coll.Variables {
		if v.Type == nil {
			continue
		}
		if p, ok := bare(v.Type.Type).(*btf.Pointer); ok {
			if s, ok := bare(p.Target).(*btf.Struct); ok {
				pointed[s.Name] = true
			}
		}
	}
	return pointed
}

// sampleUnit is what the kernel fills samples of perf buffers up to, their length included.
const (
	sampleUnit   = 8
	sampleLength = 4
)

// typeOf is the struct of a record of so many bytes, and how many of these are the program's. nil: not known.
func (s *Stream) typeOf(n int) (*btf.Struct, int) {
	if s.layout != nil {
		if size := int(s.layout.Size); s.Perf && n > size && n-size < sampleUnit && !openEnded(s.layout) {
			return s.layout, size
		}
		return s.layout, n
	}
	if !s.Perf {
		return s.sized[n], n
	}
	// The program's own size is one of those that are filled up to this one.
	var found *btf.Struct
	for size := max(n-sampleUnit+1, 1); size <= n; size++ {
		if t := s.sized[size]; t != nil && (size+sampleLength+sampleUnit-1)/sampleUnit*sampleUnit-sampleLength == n {
			if found != nil {
				return nil, n
			}
			found = t
		}
	}
	if found != nil {
		return found, int(found.Size)
	}
	return nil, n
}

// openEnded says whether the last member of a struct has whatever is left.
func openEnded(t *btf.Struct) bool {
	if len(t.Members) == 0 {
		return false
	}
	a, ok := bare(t.Members[len(t.Members)-1].Type).(*btf.Array)
	return ok && a.Nelems == 0
}

// Guessed says that the type of a stream's records is not known for sure: it is told by their size.
func (s *Stream) Guessed() bool { return s.layout == nil && s.scalar == nil }

// Known is the name of the struct of the stream's records, or nothing.
func (s *Stream) Known() string {
	if s.layout == nil {
		return ""
	}
	return named("struct", s.layout.Name)
}
