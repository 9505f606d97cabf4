package object

import (
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Printk says whether the programs print text into the kernel's trace (bpf_printk), and with which formats. formats is nil
// where these cannot be told from the code, so that text of others cannot be told apart.
func (o *Object) Printk() (prints bool, formats *Formats) {
	var found []string
	all := true
	for _, name := range o.Programs() {
		insns := o.coll.Programs[name].Instructions
		for i := range insns {
			if !insns[i].IsBuiltinCall() {
				continue
			}
			if f := asm.BuiltinFunc(insns[i].Constant); f != asm.FnTracePrintk && f != asm.FnTraceVprintk {
				continue
			}
			prints = true
			text, ok := o.formatAt(insns[:i])
			all = all && ok
			found = append(found, text)
		}
	}
	if !prints || !all {
		return prints, nil
	}
	return true, newFormats(found)
}

// lookBack is how many instructions before a call its format may be loaded.
const lookBack = 64

// formatAt finds the format of a call behind the instructions: what they put into the first register last, if that is a place
// in a section of constants.
func (o *Object) formatAt(insns asm.Instructions) (string, bool) {
	want := asm.R1
	for i := len(insns) - 1; i >= max(0, len(insns)-lookBack); i-- {
		ins := &insns[i]
		class := ins.OpCode.Class()
		if class.IsJump() && ins.OpCode.JumpOp() != asm.Call || ins.IsBuiltinCall() && want <= asm.R5 {
			return "", false // it comes by several ways, or was lost in a call
		}
		if ins.Dst != want || class.IsStore() || class.IsJump() {
			continue
		}
		switch {
		case ins.IsLoadFromMap() && ins.Src == asm.PseudoMapValue:
			return o.constant(ins.Reference(), uint64(ins.Constant)>>32)
		case ins.OpCode.ALUOp() == asm.Mov && ins.OpCode.Source() == asm.RegSource && class == asm.ALU64Class:
			want = ins.Src
		default:
			return "", false
		}
	}
	return "", false
}

// constant is the text in a section of constants.
func (o *Object) constant(name string, at uint64) (string, bool) {
	m := o.coll.Maps[name]
	if m == nil || m.Type != ebpf.Array || !strings.HasPrefix(name, ".rodata") || len(m.Contents) != 1 {
		return "", false
	}
	data, ok := m.Contents[0].Value.([]byte)
	if !ok || at >= uint64(len(data)) {
		return "", false
	}
	text, _, ok := strings.Cut(string(data[at:]), "\x00")
	return text, ok && text != ""
}

// Formats tell text that was made by some formats from other text.
type Formats struct{ patterns [][]string }

// newFormats takes what stands between the conversions of each format.
func newFormats(formats []string) *Formats {
	f := &Formats{}
	for _, format := range formats {
		f.patterns = append(f.patterns, constantParts(strings.TrimSuffix(format, "\n")))
	}
	return f
}

// constantParts cuts a format at its conversions.
func constantParts(format string) (parts []string) {
	var part strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			part.WriteByte(format[i])
			continue
		}
		if i+1 < len(format) && format[i+1] == '%' {
			part.WriteByte('%')
			i++
			continue
		}
		for i++; i < len(format) && strings.IndexByte("-+ #.0123456789lhzp", format[i]) >= 0; i++ {
			if format[i] == 'p' {
				// "%pks", "%pI4": letters and digits belong to it
				for i+1 < len(format) && strings.IndexByte("kusSBi4I6", format[i+1]) >= 0 {
					i++
				}
				break
			}
		}
		parts = append(parts, part.String())
		part.Reset()
	}
	return append(parts, part.String())
}

// Match says whether a text may have been made by one of the formats.
func (f *Formats) Match(text string) bool {
	for _, parts := range f.patterns {
		if matchParts(strings.TrimSuffix(text, "\n"), parts) {
			return true
		}
	}
	return false
}

func matchParts(text string, parts []string) bool {
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	if last == 0 {
		return rest == ""
	}
	for _, part := range parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}
