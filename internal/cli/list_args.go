package cli

import (
	"fmt"
	"strings"

	"sonde/internal/kernel"
)

// arg writes one argument; the length of an array stands behind the name, as in C.
func (l *lister) arg(typ, name string) {
	if at := strings.LastIndexByte(typ, '['); at >= 0 && strings.HasSuffix(typ, "]") && !strings.HasSuffix(typ, "[]") {
		typ, name = strings.TrimSpace(typ[:at]), name+typ[at:]
	}
	fmt.Fprintln(l.out, oneLine("    "+strings.TrimSpace(typ+" "+name)))
}

// typesOf are the types of the module that a name ("module:name") belongs to; nil where they are not known.
func (l *lister) typesOf(name string) (types *kernel.BTFTypes, rest string) {
	types = l.kernel.Types()
	module, rest, ok := strings.Cut(name, ":")
	if !ok {
		return types, name
	}
	if types == nil || module == "vmlinux" {
		return types, rest
	}
	in, err := types.Module(module)
	if err != nil {
		return nil, rest
	}
	return in, rest
}

// signature shows the parameters of a function, and what it returns where a script can have that too.
func (l *lister) signature(kind, name string) {
	types, function := l.typesOf(name)
	if types == nil {
		return
	}
	id, ok := types.Find(kernel.BTFFunc, function)
	if !ok {
		return
	}
	proto := types.Type(types.Type(id).Elem)
	if proto == nil {
		return
	}
	l.params(types, proto.Params)
	if kind != "kprobe" {
		l.arg(types.TypeName(proto.Elem), "retval")
	}
}

func (l *lister) params(types *kernel.BTFTypes, params []kernel.CParam) {
	for i, p := range params {
		name := p.Name
		if name == "" {
			name = fmt.Sprintf("arg%d", i)
		}
		l.arg(types.TypeName(p.Type), name)
	}
}

// rawArguments are the parameters of a tracepoint's function, without the first, which is the kernel's own.
func (l *lister) rawArguments(_, name string) {
	types, event := l.typesOf(name)
	if types == nil {
		return
	}
	id, ok := types.Find(kernel.BTFFunc, "__traceiter_"+event) // it names them
	if !ok {
		if id, ok = types.Find(kernel.BTFTypedef, "btf_trace_"+event); !ok {
			return
		}
	}
	proto := types.Type(types.Type(id).Elem)
	if proto != nil && proto.Kind == kernel.BTFPtr {
		proto = types.Type(proto.Elem)
	}
	if proto != nil && len(proto.Params) > 0 {
		l.params(types, proto.Params[1:])
	}
}

func (l *lister) tracepointFields(_, name string) {
	group, event, _ := strings.Cut(name, ":")
	format, err := l.kernel.Tracepoint(group, event)
	if err != nil {
		l.fault(err)
		return
	}
	for _, f := range format.Fields {
		if !f.Common {
			l.arg(f.Type, f.Name)
		}
	}
}

// iteratorFields are what ctx has in the programs of an iterator. Each is in a union of its own, made as long as 64 bits.
func (l *lister) iteratorFields(_, name string) {
	types := l.kernel.Types()
	if types == nil {
		return
	}
	id, ok := types.Find(kernel.BTFStruct, "bpf_iter__"+name)
	if !ok {
		return
	}
	for _, m := range types.Type(id).Members {
		if in := types.Type(m.Type); m.Name == "" && in != nil && len(in.Members) > 0 {
			m = in.Members[0]
		}
		if m.Name != "" {
			l.arg(types.TypeName(m.Type), "ctx."+m.Name)
		}
	}
}
