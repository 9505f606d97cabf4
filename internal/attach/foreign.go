package attach

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// uprobeSession is BPF_TRACE_UPROBE_SESSION, which the library does not name.
const uprobeSession = 57

// loadForeign loads the user's own programs, by the library: it knows all that an object may ask for. reduced may be nil.
func loadForeign(spec *prog.Spec, reduced *btf.Spec) (*ebpf.Collection, error) {
	coll, err := ebpf.NewCollectionWithOptions(spec.Collection.Copy(), ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: reduced},
	})
	if err == nil {
		return coll, nil
	}
	var ve *ebpf.VerifierError
	program := blamed(spec.Collection, err.Error())
	if errors.As(err, &ve) && program != "" && len(ve.Log) > 0 {
		return nil, foreignRefusal(spec.Collection.Programs[program], program, ve)
	}
	return nil, foreignError(spec, program, err)
}

// blamed finds which program an error of the library is about: it says so at the beginning.
func blamed(coll *ebpf.CollectionSpec, text string) string {
	for _, name := range slices.Sorted(maps.Keys(coll.Programs)) {
		if strings.Contains(text, "program "+name+": ") {
			return name
		}
	}
	return ""
}

// blamedMap finds which map it is about.
func blamedMap(coll *ebpf.CollectionSpec, text string) string {
	for _, name := range slices.Sorted(maps.Keys(coll.Maps)) {
		if strings.Contains(text, "map "+name+": ") {
			return name
		}
	}
	return ""
}

// MapRefused is the error of a map of the user's that the kernel does not make.
type MapRefused struct {
	Map    string
	Reason string // a sentence without a subject

	err error
}

func (e *MapRefused) Error() string { return "map " + e.Map + ": " + e.Reason }
func (e *MapRefused) Unwrap() error { return e.err }

// foreignError makes one line of what is not the verifier's doing.
func foreignError(spec *prog.Spec, program string, err error) error {
	name := spec.Name
	section := ""
	if program != "" {
		section = fmt.Sprintf("program %s (section %s): ", program, spec.Collection.Programs[program].SectionName)
	}
	text := err.Error()
	if m := blamedMap(spec.Collection, text); m != "" && !errors.Is(err, os.ErrPermission) {
		return mapRefused(m, spec.Collection.Maps[m], err)
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s: %s%w", name, section, refusal(root(err)))
	case program != "":
		p := spec.Collection.Programs[program]
		if errors.Is(err, btf.ErrNotFound) || strings.Contains(text, "attach "+p.Type.String()) {
			return fmt.Errorf("%s: %sthis kernel has nothing of that name to attach to (%w); leave the program out by --only", name, section, inner(err, "program "+program+": "))
		}
		return fmt.Errorf("%s: %s%w", name, section, inner(err, "program "+program+": "))
	}
	return fmt.Errorf("%s: load it: %w", name, err)
}

func mapRefused(name string, m *ebpf.MapSpec, err error) error {
	r := &MapRefused{Map: name, err: err}
	switch {
	case errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.E2BIG):
		r.Reason = fmt.Sprintf("the kernel has no memory for %d entries of %d and %d bytes (%v); make it smaller", m.MaxEntries, m.KeySize, m.ValueSize, root(err))
	case errors.Is(err, unix.EINVAL):
		r.Reason = fmt.Sprintf("this kernel does not take a map of type %s with keys of %d bytes, values of %d bytes, %d entries and flags %#x (%v)",
			m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags, root(err))
	default:
		r.Reason = inner(err, "map "+name+": ").Error()
	}
	return r
}

// textError is an error whose text was cut.
type textError struct {
	text string
	err  error
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.err }

// inner leaves out of an error what stands before a mark, and the mark.
func inner(err error, mark string) error {
	text := err.Error()
	if i := strings.LastIndex(text, mark); i >= 0 {
		text = text[i+len(mark):]
	}
	return &textError{text, err}
}

// root is the error number at the bottom of an error, if there is one.
func root(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// foreignRefusal is what the verifier says of a program of the user's.
func foreignRefusal(p *ebpf.ProgramSpec, name string, ve *ebpf.VerifierError) error {
	log := slices.DeleteFunc(slices.Clone(ve.Log), func(l string) bool { return strings.TrimSpace(l) == "" })
	r := newRefused(name, p.Instructions, log, ve.Cause)
	r.Log, r.Section = log, p.SectionName
	if r.Insn < 0 {
		return r
	}
	for i := r.Insn; i >= 0; i-- {
		if line, ok := p.Instructions[i].Source().(*btf.Line); ok {
			r.File, r.Line, r.Text = line.FileName(), int(line.LineNumber()), strings.TrimSpace(line.Line())
			break
		}
		if p.Instructions[i].Symbol() != "" {
			break
		}
	}
	if relocation := btf.CORERelocationMetadata(&p.Instructions[r.Insn]); relocation != nil && poisoned(log) {
		r.Relocation = relocation.String()
	}
	return r
}

// poisoned says whether the verifier met what is put in place of an instruction whose relocation failed.
func poisoned(log []string) bool {
	sentinel := fmt.Sprintf("%d", btf.COREBadRelocationSentinel)
	hex := fmt.Sprintf("0x%x", btf.COREBadRelocationSentinel)
	return slices.ContainsFunc(log, func(l string) bool { return strings.Contains(l, "#"+sentinel) || strings.Contains(l, hex) })
}
