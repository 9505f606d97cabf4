package script

import (
	"strings"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
	"sonde/internal/profile"
)

// Stacks names whole stacks: a frame can be of several functions, and all but the first are where calls return to.
type Stacks interface {
	KernelStack(addrs []uint64) []profile.Frame
	UserStack(pid uint32, addrs []uint64) []profile.Frame
	// BuildFrames names the byte at an offset of the file with a build ID.
	BuildFrames(id [20]byte, offset uint64, returned bool) []profile.Frame
}

// Stacked lists the maps of a script that have a stack in their key and numbers as values: those that Profile is about.
func Stacked(p *compile.Program) (names []string) {
	for i := range p.Maps {
		if isStacked(&p.Maps[i]) {
			names = append(names, p.Maps[i].Name)
		}
	}
	return names
}

func isStacked(m *compile.Map) bool {
	if m.Key == nil || !numeric(m.Value) {
		return false
	}
	for _, part := range keyParts(m.Key) {
		if isStack(part.Type) {
			return true
		}
	}
	return false
}

func isStack(t *types.Type) bool { return t.Kind == types.KStack || t.Kind == types.UStack }

// keyParts are the parts of a key; one that has no parts is its own.
func keyParts(t *types.Type) []types.Field {
	if t.Kind == types.Tuple {
		return t.Fields
	}
	return []types.Field{{Type: t}}
}

func numeric(t *types.Type) bool {
	switch t.Kind {
	case types.Int, types.Count, types.Sum, types.Min, types.Max, types.Avg, types.Stats, types.Hist, types.LHist:
		return true
	}
	return false
}

// Profile makes a profile of what the named maps hold now: a type of value for each, or two where a map has a total and a count. The
// parts of a key that are no stack are labels. Errors are those of reading maps.
func (r *Runner) Profile(names []string, stacks Stacks) (*profile.Profile, error) {
	p := &profile.Profile{}
	var titles []string
	for _, name := range names {
		for i := range r.p.Maps {
			m := &r.p.Maps[i]
			if m.Name != name || !isStacked(m) {
				continue
			}
			titles = append(titles, r.title(m))
			first := len(p.Types)
			p.Types = append(p.Types, valueTypes(m)...)
			if err := r.addSamples(p, m, first, stacks); err != nil {
				return nil, err
			}
		}
	}
	p.Title = strings.Join(titles, ", ")
	for i := range p.Samples {
		values := make([]int64, len(p.Types))
		copy(values, p.Samples[i].Values)
		p.Samples[i].Values = values
	}
	return p, nil
}

// title is the map as the script has it.
func (r *Runner) title(m *compile.Map) string {
	return m.Name + "[" + strings.Join(r.partNames(m), ", ") + "]"
}

// partNames are the parts of the key as the script has them.
func (r *Runner) partNames(m *compile.Map) []string {
	parts := keyParts(m.Key)
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = "key"
		if i < len(m.KeyParts) && len(m.KeyParts) == len(parts) && r.p.Source != nil {
			text := r.p.Source.Text
			if span := m.KeyParts[i]; span.Start >= 0 && span.Start < span.End && int(span.End) <= len(text) {
				names[i] = strings.Join(strings.Fields(string(text[span.Start:span.End])), " ")
			}
		} else if isStack(part.Type) {
			names[i] = "stack"
		}
	}
	return names
}

// unitWords are what the last word of a map's name says of its values.
var unitWords = map[string]string{
	"bytes": "bytes", "ns": "nanoseconds", "nsecs": "nanoseconds", "us": "microseconds", "usecs": "microseconds",
	"ms": "milliseconds", "msecs": "milliseconds",
}

// valueTypes names the values of a map. Of an average it is the total that can be added up; of a histogram, how many values it holds.
func valueTypes(m *compile.Map) []profile.ValueType {
	name := strings.TrimPrefix(m.Name, "@")
	unit := unitWords[name[strings.LastIndexByte(name, '_')+1:]]
	if name == "" {
		name = "samples"
	}
	switch m.Value.Kind {
	case types.Avg, types.Stats:
		if unit == "" {
			unit = "total"
		}
		return []profile.ValueType{{Name: name, Unit: unit}, {Name: name + "_count", Unit: "count"}}
	case types.Count, types.Hist, types.LHist:
		unit = "count"
	}
	if unit == "" {
		unit = "count"
	}
	return []profile.ValueType{{Name: name, Unit: unit}}
}

// mapValues are the numbers of a value, in the order of valueTypes.
func mapValues(t *types.Type, v []byte) []int64 {
	switch t.Kind {
	case types.Int:
		return []int64{int64(number(t, v))}
	case types.Avg, types.Stats:
		return []int64{int64(word(v, 0)), int64(word(v, 8))}
	case types.Hist, types.LHist:
		var n uint64
		for at := 0; at+8 <= len(v); at += 8 {
			n += word(v, at)
		}
		return []int64{int64(n)}
	}
	return []int64{int64(word(v, 0))}
}

func (r *Runner) addSamples(p *profile.Profile, m *compile.Map, first int, stacks Stacks) error {
	e, err := r.entriesOf(m)
	if err != nil {
		return err
	}
	parts, names := keyParts(m.Key), r.partNames(m)
	for _, it := range r.sorter.order(m, &e) {
		sample := profile.Sample{Values: make([]int64, first, first+2)}
		sample.Values = append(sample.Values, mapValues(m.Value, e.value(it.at))...)
		r.readKey(&sample, parts, names, e.key(it.at), stacks)
		p.Samples = append(p.Samples, sample)
	}
	return nil
}

// readKey turns a key into a stack, the kernel's functions being called by the process's, and labels. A second stack of a kind is
// left out of the first one's way, as it is.
func (r *Runner) readKey(s *profile.Sample, parts []types.Field, names []string, key []byte, stacks Stacks) {
	var kernel, user []profile.Frame
	kernelEnd, userEnd := profile.Complete, profile.Complete
	hasKernel, hasUser := false, false
	for i := range parts {
		t, b := parts[i].Type, key[parts[i].Offset:]
		switch {
		case t.Kind == types.KStack && !hasKernel:
			hasKernel = true
			kernel, kernelEnd = r.kernelFrames(t, b, stacks)
		case t.Kind == types.UStack && !hasUser:
			hasUser = true
			user, userEnd = r.userFrames(t, b, stacks)
		case isStack(t): // nobody could tell which is which
		default:
			s.Labels = append(s.Labels, profile.Label{Key: names[i], Value: string(r.appendText(nil, t, b, spaced))})
		}
	}
	s.Stack = append(kernel, user...)
	switch {
	case !hasUser:
		s.End = kernelEnd
	case userEnd == profile.Missing && len(kernel) > 0:
		s.End = kernelEnd // a thread of the kernel
	default:
		s.End = userEnd
	}
}

// addresses are those of a stack that begins with how many they are.
func addresses(t *types.Type, b []byte) []uint64 {
	n := min(word(b, 0), uint64(t.Len))
	addrs := make([]uint64, 0, n)
	for i := range int(n) {
		addrs = append(addrs, word(b, 8+8*i))
	}
	return addrs
}

func (r *Runner) kernelFrames(t *types.Type, b []byte, stacks Stacks) ([]profile.Frame, profile.End) {
	if t.StackMode == "build_id" {
		return nil, profile.Missing
	}
	addrs := addresses(t, b)
	switch {
	case len(addrs) == 0:
		return nil, profile.Missing
	case len(addrs) == t.Len:
		return stacks.KernelStack(addrs), profile.Cut
	}
	return stacks.KernelStack(addrs), profile.Complete
}

func (r *Runner) userFrames(t *types.Type, b []byte, stacks Stacks) (frames []profile.Frame, end profile.End) {
	pid, b := half(b, 0), b[8:]
	walked := 0
	if t.StackMode == "build_id" {
		walked = int(min(word(b, 0), uint64(t.Len)))
		for i := range walked {
			frames = append(frames, buildFrame(b[8+i*types.FrameSize(t.StackMode):], pid, i > 0, stacks)...)
		}
	} else {
		addrs := addresses(t, b)
		walked, frames = len(addrs), stacks.UserStack(pid, addrs)
	}
	return frames, profile.EndOf(frames, walked, t.Len)
}

// buildFrame names a frame that the kernel gave as a build ID and an offset, or as an address where it could not.
func buildFrame(b []byte, pid uint32, returned bool, stacks Stacks) []profile.Frame {
	at := word(b, 24)
	if half(b, 0) != buildIDValid {
		return stacks.UserStack(pid, []uint64{at})
	}
	return stacks.BuildFrames([20]byte(b[4:24]), at, returned)
}
