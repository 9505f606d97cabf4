package object

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"sonde/internal/print"
)

// Table is a map whose entries can be shown at the end.
type Table struct {
	Map    string
	kind   string
	most   uint32
	key    btf.Type
	value  btf.Type
	perCPU bool
	array  bool // its entries are always there: those of zeros are left out
	data   bool // the variables of a section
}

// Tables are the maps that can be shown, by name: hash and array maps, those per CPU, and the sections of variables that
// programs can write. others are those that cannot.
func (o *Object) Tables() (list []Table, others []string) {
	for _, name := range slices.Sorted(maps.Keys(o.coll.Maps)) {
		m := o.coll.Maps[name]
		if name == usdtTrue {
			continue
		}
		t := Table{Map: name, kind: m.Type.String(), most: m.MaxEntries, key: o.types[name].key, value: o.types[name].value}
		switch m.Type {
		case ebpf.Hash, ebpf.LRUHash, ebpf.LPMTrie, ebpf.StackTrace:
		case ebpf.PerCPUHash, ebpf.LRUCPUHash:
			t.perCPU = true
		case ebpf.Array:
			t.array = true
			t.data = isData(name)
			if t.data && m.Flags&rdonlyProg != 0 {
				continue
			}
		case ebpf.PerCPUArray:
			t.array, t.perCPU = true, true
		case ebpf.RingBuf, ebpf.PerfEventArray:
			continue
		default:
			others = append(others, fmt.Sprintf("map %s is of type %s, whose entries are not shown", name, m.Type))
			continue
		}
		list = append(list, t)
	}
	return list, others
}

// rdonlyProg is BPF_F_RDONLY_PROG.
const rdonlyProg = 1 << 7

// Title writes the line above a map's entries.
func (w *Writer) Title(t Table) error {
	if w.JSON {
		return nil
	}
	return w.note(fmt.Appendf(w.buf[:0], "\n%s (%s, at most %d entries)\n", t.Map, t.kind, t.most))
}

// Left says in columns that entries were left out.
func (w *Writer) Left(t Table, zeros int, more bool) error {
	if w.JSON {
		return nil
	}
	if zeros > 0 && !t.data {
		if err := w.note(fmt.Appendf(w.buf[:0], "  %d entries of zeros\n", zeros)); err != nil {
			return err
		}
	}
	if more {
		return w.note(append(w.buf[:0], "  ... there are more\n"...))
	}
	return nil
}

// Entry shows an entry of a map. zero says that it was left out because it has nothing but zeros.
func (w *Writer) Entry(t Table, key []byte, values [][]byte) (zero bool, err error) {
	if t.array && !t.data && !slices.ContainsFunc(values, nonZero) {
		return true, nil
	}
	if w.JSON {
		return false, w.entryJSON(t, key, values)
	}
	if section, ok := t.value.(*btf.Datasec); ok && t.data && len(values) == 1 {
		return false, w.variables(section, values[0])
	}
	b := append(w.buf[:0], ' ', ' ')
	b = appendPart(b, t.key, key)
	b = append(b, ": "...)
	if !t.perCPU {
		return false, w.row(append(appendPart(b, t.value, values[0]), '\n'))
	}
	if sum, ok := total(t.value, values); ok {
		b = append(append(b, sum...), " ("...)
	} else {
		b = append(b, '(')
	}
	first := true
	for cpu, v := range values {
		if !nonZero(v) {
			continue
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = appendPart(append(strconv.AppendInt(append(b, "CPU "...), int64(cpu), 10), ": "...), t.value, v)
	}
	if first {
		b = append(b, "zero on all CPUs"...)
	}
	return false, w.row(append(b, ')', '\n'))
}

// variables shows the variables of a section.
func (w *Writer) variables(section *btf.Datasec, data []byte) error {
	for _, v := range section.Vars {
		variable, ok := v.Type.(*btf.Var)
		if !ok || uint64(v.Offset)+uint64(v.Size) > uint64(len(data)) {
			continue
		}
		b := append(w.buf[:0], ' ', ' ')
		b = append(append(b, variable.Name...), ": "...)
		b = appendText(b, variable.Type, data[v.Offset:v.Offset+v.Size], 1)
		if err := w.row(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// appendPart appends a key or value; without a type, numbers of the usual sizes as such.
func appendPart(dst []byte, t btf.Type, b []byte) []byte {
	if t == nil {
		if n, ok := unsigned(b, len(b)); ok && len(b)&(len(b)-1) == 0 {
			return strconv.AppendUint(dst, n, 10)
		}
	}
	return appendText(dst, t, sized(t, b), 1)
}

// sized is a value without what fills it up to eight bytes, as maps of per-CPU values have it.
func sized(t btf.Type, b []byte) []byte {
	if t == nil {
		return b
	}
	if n, err := btf.Sizeof(t); err == nil && n < len(b) {
		return b[:n]
	}
	return b
}

func appendPartJSON(dst []byte, t btf.Type, b []byte) []byte {
	if t == nil {
		if n, ok := unsigned(b, len(b)); ok && len(b)&(len(b)-1) == 0 {
			return strconv.AppendUint(dst, n, 10)
		}
	}
	return appendJSON(dst, t, sized(t, b), 0)
}

func nonZero(b []byte) bool { return slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// total adds up the values of all CPUs, if they are numbers.
func total(t btf.Type, values [][]byte) (string, bool) {
	signed, sum := false, uint64(0)
	for _, v := range values {
		v = sized(t, v)
		n, ok := unsigned(v, len(v))
		if i, isInt := bare(t).(*btf.Int); isInt {
			signed = i.Encoding == btf.Signed
			n, ok = integer(i, v)
		} else if t != nil {
			return "", false
		}
		if !ok {
			return "", false
		}
		sum += n
	}
	if signed {
		return strconv.FormatInt(int64(sum), 10), true
	}
	return strconv.FormatUint(sum, 10), true
}

func (w *Writer) entryJSON(t Table, key []byte, values [][]byte) error {
	if section, ok := t.value.(*btf.Datasec); ok && t.data && len(values) == 1 {
		return w.variablesJSON(t, section, values[0])
	}
	b := append(w.buf[:0], `{"type":"map","map":`...)
	b = print.AppendJSON(b, []byte(t.Map))
	b = appendPartJSON(append(b, `,"key":`...), t.key, key)
	if !t.perCPU {
		b = appendPartJSON(append(b, `,"value":`...), t.value, values[0])
		return w.row(append(b, '}', '\n'))
	}
	if sum, ok := total(t.value, values); ok {
		b = append(append(b, `,"sum":`...), sum...)
	}
	b = append(b, `,"values":[`...)
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPartJSON(b, t.value, v)
	}
	return w.row(append(b, ']', '}', '\n'))
}

func (w *Writer) variablesJSON(t Table, section *btf.Datasec, data []byte) error {
	b := append(w.buf[:0], `{"type":"map","map":`...)
	b = append(print.AppendJSON(b, []byte(t.Map)), `,"variables":{`...)
	first := true
	for _, v := range section.Vars {
		variable, ok := v.Type.(*btf.Var)
		if !ok || uint64(v.Offset)+uint64(v.Size) > uint64(len(data)) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(print.AppendJSON(b, []byte(variable.Name)), ':')
		b = appendJSON(b, variable.Type, data[v.Offset:v.Offset+v.Size], 0)
	}
	return w.row(append(b, '}', '}', '\n'))
}
