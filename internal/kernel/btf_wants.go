package kernel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// maxNameLen bounds the names that are compared, in bytes: KSYM_NAME_LEN, what pahole itself is bound by for functions.
const maxNameLen = 512

// maxTypeDepth bounds chains of typedefs, qualifiers and anonymous members, as cilium/ebpf does.
const maxTypeDepth = 32

// wants is what the relocations of some objects ask about the kernel's types.
type wants struct {
	roots map[string]*wantedRoot             // by essential name
	parts map[btf.Type][]bool                // which members of a local struct or union, or values of a local enum, are asked for
	names map[btf.Type]map[string][]btf.Type // cache of namedParts
}

// wantedRoot is one name that relocations start from.
type wantedRoot struct {
	locals []btf.Type
	// deep asks for what pointers and functions are made of: whether a typedef of such a type exists in the kernel is
	// decided by comparing these.
	deep bool
}

func newWants() *wants {
	return &wants{
		roots: make(map[string]*wantedRoot),
		parts: make(map[btf.Type][]bool),
		names: make(map[btf.Type]map[string][]btf.Type),
	}
}

// wantedBy collects what the CO-RE relocations of objects ask for.
func wantedBy(objects []*ebpf.CollectionSpec) (*wants, error) {
	w := newWants()
	for _, object := range objects {
		names := make([]string, 0, len(object.Programs))
		for name := range object.Programs {
			names = append(names, name)
		}
		slices.Sort(names) // one input, one result
		for _, name := range names {
			insns := object.Programs[name].Instructions
			for i := range insns {
				metadata := btf.CORERelocationMetadata(&insns[i])
				if metadata == nil {
					continue
				}
				if err := w.addRelocation(metadata.String(), object.Types); err != nil {
					return nil, fmt.Errorf("program %s: %w", name, err)
				}
			}
		}
	}
	return w, nil
}

func (w *wants) addRelocation(text string, types *btf.Spec) error {
	relo, err := parseRelocation(text)
	if err != nil {
		return err
	}
	if relo.kind == "local_type_id" {
		return nil // concerns the object only
	}
	if types == nil {
		return fmt.Errorf("%w: the object has relocations and no types", ErrNotReduced)
	}
	local, err := types.TypeByID(relo.local)
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	name := essentialName(local.TypeName())
	if name == "" || len(name) >= maxNameLen {
		return fmt.Errorf("%w: %s has no usable name", ErrNotReduced, text)
	}
	switch relo.kind {
	case "byte_off", "byte_sz", "field_exists", "signed", "lshift_u64", "rshift_u64":
		w.addField(local, relo.accessor)
		w.addRoot(name, local, false)
	case "enumval_exists", "enumval_value":
		if enum, ok := btf.UnderlyingType(local).(*btf.Enum); ok && relo.accessor[0] < len(enum.Values) {
			w.addPart(enum, relo.accessor[0], len(enum.Values))
		}
		w.addRoot(name, local, false)
	case "type_exists", "type_size":
		w.addRoot(name, local, true)
	default: // target_type_id, type_matches, and what is not known yet
		return fmt.Errorf("%w: %s", ErrNotReduced, text)
	}
	return nil
}

func (w *wants) addRoot(name string, local btf.Type, deep bool) {
	r := w.roots[name]
	if r == nil {
		r = &wantedRoot{}
		w.roots[name] = r
	}
	r.deep = r.deep || deep
	if !slices.Contains(r.locals, local) {
		r.locals = append(r.locals, local)
	}
}

func (w *wants) addPart(local btf.Type, index, count int) {
	if w.parts[local] == nil {
		w.parts[local] = make([]bool, count)
	}
	w.parts[local][index] = true
}

// addField marks the members on the path that accessor takes from local. What it cannot follow is left to the relocation
// itself to complain about.
func (w *wants) addField(local btf.Type, accessor []int) {
	for _, index := range accessor[1:] { // the first index steps over whole values of the type
		local = btf.UnderlyingType(local)
		if array, ok := local.(*btf.Array); ok {
			local = array.Type
			continue
		}
		members := membersOf(local)
		if index >= len(members) {
			return
		}
		w.addPart(local, index, len(members))
		local = members[index].Type
	}
}

// namedParts returns the marked members of a local struct or union, or the marked values of a local enum, by name. Members of
// anonymous members count as the type's own, since the kernel may nest them in another way. The types of values are nil.
func (w *wants) namedParts(local btf.Type) map[string][]btf.Type {
	if names, ok := w.names[local]; ok {
		return names
	}
	names := make(map[string][]btf.Type)
	w.collectParts(local, names, 0)
	w.names[local] = names
	return names
}

func (w *wants) collectParts(local btf.Type, into map[string][]btf.Type, depth int) {
	if depth > maxTypeDepth {
		return
	}
	members := membersOf(local)
	for index, marked := range w.parts[local] {
		if !marked {
			continue
		}
		if enum, ok := local.(*btf.Enum); ok {
			into[essentialName(enum.Values[index].Name)] = nil
		} else if member := members[index]; member.Name == "" {
			w.collectParts(btf.UnderlyingType(member.Type), into, depth+1)
		} else {
			into[member.Name] = append(into[member.Name], member.Type)
		}
	}
}

func membersOf(typ btf.Type) []btf.Member {
	switch typ := typ.(type) {
	case *btf.Struct:
		return typ.Members
	case *btf.Union:
		return typ.Members
	}
	return nil
}

// essentialName cuts the flavour off a name: what follows the last "___".
func essentialName(name string) string {
	if i := strings.LastIndex(name, "___"); i > 0 {
		return name[:i]
	}
	return name
}

type relocation struct {
	kind     string // the library's name of it
	accessor []int  // never empty
	local    btf.TypeID
}

// parseRelocation reads the text form of a relocation, the only form in which cilium/ebpf v0.22 gives its parts away:
//
//	CORERelocation(byte_off, Struct:"task_struct"[0:3], local_id=7)
//
// A text of another form is ErrNotReduced, so that a change in the library costs time and not correctness.
func parseRelocation(text string) (relocation, error) {
	unknown := func() (relocation, error) {
		return relocation{}, fmt.Errorf("%w: unknown form of relocation %q", ErrNotReduced, text)
	}
	rest, ok := strings.CutPrefix(text, "CORERelocation(")
	if !ok {
		return unknown()
	}
	kind, rest, ok := strings.Cut(rest, ", ")
	if !ok {
		return unknown()
	}
	at := strings.LastIndex(rest, "], local_id=")
	if at < 0 {
		return unknown()
	}
	digits, ok := strings.CutSuffix(rest[at+len("], local_id="):], ")")
	if !ok {
		return unknown()
	}
	id, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return unknown()
	}
	open := strings.LastIndexByte(rest[:at], '[')
	if open < 0 {
		return unknown()
	}
	accessor := make([]int, 0, 4)
	for index := range strings.SplitSeq(rest[open+1:at], ":") {
		n, err := strconv.ParseUint(index, 10, 31)
		if err != nil {
			return unknown()
		}
		accessor = append(accessor, int(n))
	}
	return relocation{kind: kind, accessor: accessor, local: btf.TypeID(id)}, nil
}
