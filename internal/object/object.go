package object

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"sonde/internal/prog"
)

// Object is an object file that was read.
type Object struct {
	Name string
	// Notes are for the user: what the file asks for and does not get.
	Notes []string

	file  *elfFile
	coll  *ebpf.CollectionSpec
	fill  []prog.MapFill      // what is to be in maps before anything is attached
	types map[string]mapTypes // of maps, as the file has them: loading may drop them from the collection
}

// mapTypes are the types of a map's keys and values; nil for those that the object does not have.
type mapTypes struct{ key, value btf.Type }

// Open reads an object file. The error is one sentence, without the file's name.
func Open(name string, data []byte) (o *Object, err error) {
	file, err := readELF(data)
	if err != nil {
		return nil, err
	}
	coll, err := readCollection(file.strengthened(data))
	if err != nil {
		return nil, explain(file, err)
	}
	o = &Object{Name: name, file: file, coll: coll, types: make(map[string]mapTypes)}
	if o.Notes, err = file.legacyMaps(coll.Maps); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(coll.Maps)) {
		m := coll.Maps[name]
		o.types[name] = mapTypes{m.Key, m.Value}
		if m.Pinning != ebpf.PinNone {
			m.Pinning = ebpf.PinNone
			o.Notes = append(o.Notes, fmt.Sprintf("map %s is to be pinned by its name, which is left undone: this run has a map of its own", name))
		}
	}
	o.hideFunctions()
	if err := o.settleCookies(); err != nil {
		return nil, err
	}
	if len(coll.Programs) == 0 {
		return nil, errors.New("it has no programs: functions with a section of their own, SEC(\"tp/...\") say")
	}
	return o, nil
}

// hideFunctions makes functions that are hidden in the object static ones, as libbpf does: the verifier then looks at them with what
// their callers give them, and not for all that they could be given.
func (o *Object) hideFunctions() {
	for _, p := range o.coll.Programs {
		for i := range p.Instructions {
			ins := &p.Instructions[i]
			if f := btf.FuncMetadata(ins); f != nil && f.Linkage == btf.GlobalFunc && o.file.function(ins.Symbol()).hidden() {
				f.Linkage = btf.StaticFunc
			}
		}
	}
}

// readCollection has cilium's reader read the file. It was made for files of good will: what it does not survive is a fault of
// the file.
func readCollection(data []byte) (coll *ebpf.CollectionSpec, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is damaged (%v)", r)
		}
	}()
	return ebpf.LoadCollectionSpecFromReader(bytes.NewReader(data))
}

// explain turns an error of cilium's reader into a sentence that says what to do.
func explain(file *elfFile, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "missing BTF"):
		return errors.New("section .maps: its maps are described by types (BTF), and the object has none; compile it with clang -g, and strip it by llvm-strip -g at most")
	case strings.Contains(text, "static qualifier"):
		return fmt.Errorf("a map is static; define it without (%w)", err)
	case strings.Contains(text, "struct_ops"):
		return fmt.Errorf("section .struct_ops: parts of the kernel written in BPF are not for sonde run (%w)", err)
	case strings.Contains(text, "load BTF"):
		return fmt.Errorf("section .BTF: %w", errors.Unwrap(err))
	}
	for _, prefix := range []string{"load maps: ", "load BTF maps: ", "load data sections: ", "load programs: ", "load relocations: "} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			return &readError{rest, err}
		}
	}
	return err
}

// readError is an error whose text was cut.
type readError struct {
	text string
	err  error
}

func (e *readError) Error() string { return e.text }
func (e *readError) Unwrap() error { return e.err }

// Programs names the programs of the file, sorted.
func (o *Object) Programs() []string { return slices.Sorted(maps.Keys(o.coll.Programs)) }

// Only leaves all programs out that are not named, by their name or by that of their section. Without names, those that the file
// marks as not to be loaded by itself ("?") are left out.
func (o *Object) Only(names []string) error {
	keep := make(map[string]bool)
	for _, name := range names {
		found := false
		for p, spec := range o.coll.Programs {
			if p == name || spec.SectionName == name {
				keep[p], found = true, true
			}
		}
		if !found {
			return fmt.Errorf("there is no program %q%s", name, meant(name, o.Programs()))
		}
	}
	if len(names) == 0 {
		for p, spec := range o.coll.Programs {
			if strings.HasPrefix(spec.SectionName, "?") {
				o.Notes = append(o.Notes, fmt.Sprintf("program %s (section %s) is not loaded unless it is asked for by --only", p, spec.SectionName))
			} else {
				keep[p] = true
			}
		}
		slices.Sort(o.Notes)
	}
	if len(keep) == 0 {
		return errors.New("all of its programs are optional (sections that begin with \"?\"); choose some by --only")
	}
	// Programs that others jump to are needed by them.
	for _, m := range o.coll.Maps {
		for _, kv := range m.Contents {
			if p, ok := kv.Value.(string); ok && m.Type == ebpf.ProgramArray {
				keep[p] = true
			}
		}
	}
	maps.DeleteFunc(o.coll.Programs, func(p string, _ *ebpf.ProgramSpec) bool { return !keep[p] })
	return nil
}

// jumpedTo says whether a program is one that others jump to by a map (tail calls).
func (o *Object) jumpedTo(program string) bool {
	for _, m := range o.coll.Maps {
		if m.Type != ebpf.ProgramArray {
			continue
		}
		for _, kv := range m.Contents {
			if kv.Value == any(program) {
				return true
			}
		}
	}
	return false
}

// Spec is what is to be loaded and attached: the probes as Probes found them.
func (o *Object) Spec(probes []prog.Probe) *prog.Spec {
	coll := o.coll.Copy()
	for _, p := range coll.Programs {
		if p.Type == ebpf.Kprobe {
			p.AttachTo = "" // where it goes is settled when it is attached
		}
	}
	return &prog.Spec{Name: o.Name, Collection: coll, Probes: probes, Fill: o.fill, Foreign: true}
}

// meant is a hint at what a name could have been meant to be.
func meant(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) == 0:
		return "; it has none"
	case len(known) <= 8:
		return "; there are " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("; there are %s and %d more", strings.Join(known[:8], ", "), len(known)-8)
}

// distance is how many letters have to be changed, put in or left out.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// MapSection is the section in which a map is defined.
func (o *Object) MapSection(name string) string {
	if isData(name) {
		return name
	}
	for _, s := range o.file.symbols {
		if s.name == name && s.section > 0 && s.section < len(o.file.sections) {
			return o.file.sections[s.section].name
		}
	}
	return "?"
}

// Licence is that of a program, in quotes, or "none".
func (o *Object) Licence(program string) string {
	p := o.coll.Programs[program]
	if p == nil || p.License == "" {
		return "none"
	}
	return strconv.Quote(p.License)
}
