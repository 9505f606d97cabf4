package object

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"sonde/internal/print"
)

// flagNames are the names of the bits of a map's flags (linux/bpf.h).
var flagNames = []string{
	"no_prealloc", "no_common_lru", "numa_node", "rdonly", "wronly", "stack_build_id", "zero_seed", "rdonly_prog", "wronly_prog", "clone",
	"mmapable", "preserve_elems", "inner_map", "link", "path_fd", "vtype_btf_obj_fd", "token_fd", "segv_on_fault", "no_user_conv", "rb_overwrite",
}

func flagText(flags uint32) string {
	if flags == 0 {
		return "-"
	}
	var names []string
	for bit := range 32 {
		if flags&(1<<bit) == 0 {
			continue
		}
		if bit < len(flagNames) {
			names = append(names, flagNames[bit])
		} else {
			names = append(names, fmt.Sprintf("%#x", uint32(1)<<bit))
		}
	}
	return strings.Join(names, "|")
}

// shownMap and shownProgram are lines of Show.
type shownMap struct {
	name, kind, flags, value   string
	key, valueSize, maxEntries uint32
}

type shownProgram struct {
	name, kind, section, licence string
	bytes, instructions          int
}

func (o *Object) shownMaps() (list []shownMap) {
	for _, name := range slices.Sorted(maps.Keys(o.coll.Maps)) {
		m := o.coll.Maps[name]
		if name == usdtTrue {
			continue
		}
		one := shownMap{name: name, kind: m.Type.String(), flags: flagText(m.Flags), key: m.KeySize, valueSize: m.ValueSize, maxEntries: m.MaxEntries, value: "-"}
		if t := o.types[name].value; t != nil && !isData(name) {
			one.value = typeName(t)
		}
		list = append(list, one)
	}
	return list
}

func (o *Object) shownPrograms() (list []shownProgram) {
	for _, name := range o.Programs() {
		p := o.coll.Programs[name]
		list = append(list, shownProgram{
			name: name, kind: p.Type.String(), section: p.SectionName, licence: licence(p),
			bytes: int(p.Instructions.Size()), instructions: int(p.Instructions.Size() / asm.InstructionSize),
		})
	}
	return list
}

func licence(p *ebpf.ProgramSpec) string {
	if p.License == "" {
		return "none"
	}
	return p.License
}

// isData says whether a map is a section of variables.
func isData(name string) bool { return strings.HasPrefix(name, ".") }

// Show writes what is in the file: maps, variables, programs.
func (o *Object) Show(w io.Writer) error {
	var out [][]string
	table := func(heading []string, rows [][]string) {
		if len(rows) > 0 {
			out = append(out, heading)
			out = append(out, rows...)
			out = append(out, nil)
		}
	}
	var rows [][]string
	for _, m := range o.shownMaps() {
		rows = append(rows, []string{m.name, m.kind, strconv.Itoa(int(m.key)), strconv.Itoa(int(m.valueSize)), strconv.FormatUint(uint64(m.maxEntries), 10), m.flags, m.value})
	}
	table([]string{"MAP", "TYPE", "KEY", "VALUE", "ENTRIES", "FLAGS", "VALUE TYPE"}, rows)
	rows = nil
	for _, v := range o.Variables() {
		rows = append(rows, []string{v.Name, v.Type, strconv.Itoa(int(v.Size)), v.Section, v.Value})
	}
	table([]string{"VARIABLE", "TYPE", "SIZE", "SECTION", "VALUE"}, rows)
	rows = nil
	for _, p := range o.shownPrograms() {
		rows = append(rows, []string{p.name, p.kind, p.section, strconv.Itoa(p.bytes), p.licence, strconv.Itoa(p.instructions)})
	}
	table([]string{"PROGRAM", "TYPE", "SECTION", "SIZE", "LICENCE", "INSTRUCTIONS"}, rows)
	return writeTable(w, out)
}

// writeTable writes rows of columns; a nil row parts tables, whose columns have widths of their own.
func writeTable(w io.Writer, rows [][]string) error {
	var b []byte
	for len(rows) > 0 {
		n := slices.IndexFunc(rows, func(r []string) bool { return r == nil })
		if len(b) > 0 {
			b = append(b, '\n')
		}
		widths := make([]int, len(rows[0]))
		for _, r := range rows[:n] {
			for i, cell := range r {
				r[i] = string(appendSafe(nil, []byte(cell)))
				widths[i] = max(widths[i], len([]rune(r[i])))
			}
		}
		for _, r := range rows[:n] {
			var line strings.Builder
			for i, cell := range r {
				fmt.Fprintf(&line, "%-*s ", widths[i]+1, cell)
			}
			b = append(append(b, strings.TrimRight(line.String(), " ")...), '\n')
		}
		rows = rows[n+1:]
	}
	_, err := w.Write(b)
	return err
}

// ShowJSON writes the same as JSON lines: objects of the types bpf_map, bpf_variable and bpf_program.
func (o *Object) ShowJSON(w io.Writer) error {
	var b []byte
	text := func(key, value string) {
		b = append(append(b, `,"`...), key...)
		b = print.AppendJSON(append(b, `":`...), []byte(value))
	}
	number := func(key string, n uint64) {
		b = append(append(b, `,"`...), key...)
		b = strconv.AppendUint(append(b, `":`...), n, 10)
	}
	for _, m := range o.shownMaps() {
		b = append(b, `{"type":"bpf_map"`...)
		text("name", m.name)
		text("map_type", m.kind)
		number("key_bytes", uint64(m.key))
		number("value_bytes", uint64(m.valueSize))
		number("max_entries", uint64(m.maxEntries))
		number("flags", uint64(o.coll.Maps[m.name].Flags))
		if m.value != "-" {
			text("value_type", m.value)
		}
		b = append(b, '}', '\n')
	}
	for _, v := range o.Variables() {
		b = append(b, `{"type":"bpf_variable"`...)
		text("name", v.Name)
		text("variable_type", v.Type)
		text("section", v.Section)
		number("bytes", uint64(v.Size))
		spec := o.coll.Variables[v.Name]
		b = append(b, `,"value":`...)
		if spec.Type != nil {
			b = appendJSON(b, spec.Type.Type, spec.Value, 0)
		} else {
			b = appendHexJSON(b, spec.Value)
		}
		b = append(b, '}', '\n')
	}
	for _, p := range o.shownPrograms() {
		b = append(b, `{"type":"bpf_program"`...)
		text("name", p.name)
		text("program_type", p.kind)
		text("section", p.section)
		number("bytes", uint64(p.bytes))
		text("license", o.coll.Programs[p.name].License)
		number("instructions", uint64(p.instructions))
		b = append(b, '}', '\n')
	}
	_, err := w.Write(b)
	return err
}

// Disassemble writes the instructions of the programs, as they are in the file, each run of them below the line of the source that
// it comes from.
func (o *Object) Disassemble(w io.Writer) error {
	for i, name := range o.Programs() {
		p := o.coll.Programs[name]
		gap := ""
		if i > 0 {
			gap = "\n"
		}
		text := fmt.Sprintf("%s%s: %s, section %s, licence %s, %d instructions\n%v", gap, name, p.Type, p.SectionName, licence(p),
			p.Instructions.Size()/asm.InstructionSize, p.Instructions)
		if _, err := w.Write(print.AppendVisible(nil, []byte(text))); err != nil {
			return err
		}
	}
	return nil
}
