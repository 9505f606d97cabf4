package profile

import (
	"compress/gzip"
	"io"
	"strings"
	"unicode/utf8"
)

// The fields of a pprof profile and of the messages in it: github.com/google/pprof, proto/profile.proto.
const (
	profileSampleType  = 1
	profileSample      = 2
	profileMapping     = 3
	profileLocation    = 4
	profileFunction    = 5
	profileString      = 6
	profileTime        = 9
	profileDuration    = 10
	profileComment     = 13
	profileDefaultType = 14

	valueTypeName, valueTypeUnit = 1, 2

	sampleLocations, sampleValues, sampleLabel = 1, 2, 3

	labelKey, labelText = 1, 2

	mappingID, mappingFile, mappingBuildID              = 1, 5, 6
	mappingHasFunctions, mappingHasFiles                = 7, 8
	mappingHasLines, mappingHasInlined                  = 9, 10
	locationID, locationMapping, locationAddress        = 1, 2, 3
	locationLine                                        = 4
	lineFunction, lineNumber                            = 1, 2
	functionID, functionName, functionMangled, funcFile = 1, 2, 3, 4
)

// WritePprof writes a gzip'd pprof profile with all values. Addresses are those in the modules' own files, so that stacks of several
// processes meet; the notes are its comments.
func WritePprof(w io.Writer, p *Profile) error {
	b := pprofBuilder{
		strings: map[string]uint64{}, functions: map[pprofFunction]uint64{}, mappings: map[pprofMapping]*mappingState{}, locations: map[string]uint64{},
	}
	b.string("") // the first has to be
	z := gzip.NewWriter(w)
	if _, err := z.Write(b.profile(p)); err != nil {
		return err
	}
	return z.Close()
}

type pprofFunction struct{ name, mangled, file string }

type pprofMapping struct{ module, buildID string }

type mappingState struct {
	id                              uint64
	kind                            kind
	functions, files, lines, inline bool
}

// pprofBuilder gives numbers to what is referred to.
type pprofBuilder struct {
	out       proto
	strings   map[string]uint64
	texts     []string
	functions map[pprofFunction]uint64
	mappings  map[pprofMapping]*mappingState
	order     []pprofMapping
	locations map[string]uint64 // by their message
}

func (b *pprofBuilder) profile(p *Profile) []byte {
	for _, t := range p.Types {
		b.out.message(profileSampleType, func(m *proto) {
			m.number(valueTypeName, b.string(t.Name))
			m.number(valueTypeUnit, b.string(t.Unit))
		})
	}
	for i := range p.Samples {
		b.sample(&p.Samples[i], len(p.Types))
	}
	for k := range kinds { // the first is shown as what was measured
		for _, key := range b.order {
			if state := b.mappings[key]; state.kind == k {
				b.mapping(key, state)
			}
		}
	}
	var comments []uint64
	if p.Title != "" {
		comments = append(comments, b.string(p.Title))
	}
	for _, note := range p.Notes {
		comments = append(comments, b.string(note))
	}
	b.out.numbers(profileComment, comments)
	b.out.number(profileTime, uint64(p.Time))
	b.out.number(profileDuration, uint64(p.Duration))
	if p.Shown >= 0 && p.Shown < len(p.Types) {
		b.out.number(profileDefaultType, b.string(p.Types[p.Shown].Name))
	}
	for _, text := range b.texts {
		b.out.string(profileString, text)
	}
	return b.out.buf
}

// string numbers a text. Readers refuse what is not UTF-8, and what controls a terminal is not for them.
func (b *pprofBuilder) string(s string) uint64 {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, hidden) {
		s = visible(s)
	}
	n, found := b.strings[s]
	if !found {
		n = uint64(len(b.texts))
		b.strings[s] = n
		b.texts = append(b.texts, s)
	}
	return n
}

func (b *pprofBuilder) sample(s *Sample, types int) {
	var locations []uint64
	for rest := s.Stack; len(rest) > 0; {
		// What is inlined is of one place with the function that it is inlined into.
		n := 1
		for n < len(rest) && rest[n-1].Inlined {
			n++
		}
		locations = append(locations, b.location(rest[:n]))
		rest = rest[n:]
	}
	mark := s.End.mark()
	if mark == "" && len(s.Stack) == 0 {
		mark = markMissing
	}
	if mark != "" {
		locations = append(locations, b.location([]Frame{{Name: mark}}))
	}
	values := make([]uint64, types)
	for i := range min(types, len(s.Values)) {
		values[i] = uint64(s.Values[i])
	}
	b.out.message(profileSample, func(m *proto) {
		m.numbers(sampleLocations, locations)
		m.numbers(sampleValues, values)
		for _, label := range s.Labels {
			m.message(sampleLabel, func(l *proto) {
				l.number(labelKey, b.string(label.Key))
				l.number(labelText, b.string(label.Value))
			})
		}
	})
}

// location writes an address with its functions, the innermost first.
func (b *pprofBuilder) location(frames []Frame) uint64 {
	var content proto
	outer := &frames[len(frames)-1]
	state := b.mappingOf(outer)
	if state != nil {
		content.number(locationMapping, state.id)
	}
	content.number(locationAddress, outer.Address-outer.Base)
	for i := range frames {
		f := &frames[i]
		if f.Name == "" {
			continue
		}
		function := b.function(f)
		content.message(locationLine, func(m *proto) {
			m.number(lineFunction, function)
			m.number(lineNumber, uint64(max(f.Line, 0)))
		})
		if state != nil {
			state.functions = true
			state.files = state.files || f.File != ""
			state.lines = state.lines || f.Line > 0
			state.inline = state.inline || f.Inlined
		}
	}
	key := string(content.buf)
	id, found := b.locations[key]
	if !found {
		id = uint64(len(b.locations) + 1)
		b.locations[key] = id
		b.out.message(profileLocation, func(m *proto) {
			m.number(locationID, id)
			m.buf = append(m.buf, content.buf...)
		})
	}
	return id
}

func (b *pprofBuilder) function(f *Frame) uint64 {
	key := pprofFunction{f.Name, f.Mangled, f.File}
	id, found := b.functions[key]
	if !found {
		id = uint64(len(b.functions) + 1)
		b.functions[key] = id
		mangled := f.Mangled
		if mangled == "" {
			mangled = f.Name
		}
		b.out.message(profileFunction, func(m *proto) {
			m.number(functionID, id)
			m.number(functionName, b.string(f.Name))
			m.number(functionMangled, b.string(mangled))
			m.number(funcFile, b.string(f.File))
		})
	}
	return id
}

// mappingOf returns no mapping for what lies nowhere.
func (b *pprofBuilder) mappingOf(f *Frame) *mappingState {
	if f.Module == "" {
		return nil
	}
	key := pprofMapping{f.Module, f.BuildID}
	state := b.mappings[key]
	if state == nil {
		state = &mappingState{id: uint64(len(b.mappings) + 1), kind: kindOf(drawnFrame{frame: f})}
		b.mappings[key] = state
		b.order = append(b.order, key)
	}
	return state
}

// mapping has neither start nor end: that says that addresses are the file's own.
func (b *pprofBuilder) mapping(key pprofMapping, state *mappingState) {
	b.out.message(profileMapping, func(m *proto) {
		m.number(mappingID, state.id)
		m.number(mappingFile, b.string(key.module))
		m.number(mappingBuildID, b.string(key.buildID))
		m.flag(mappingHasFunctions, state.functions)
		m.flag(mappingHasFiles, state.files)
		m.flag(mappingHasLines, state.lines)
		m.flag(mappingHasInlined, state.inline)
	})
}
