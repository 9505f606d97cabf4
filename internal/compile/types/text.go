package types

import (
	"strconv"
	"strings"
)

// String is the type as it is shown in messages and by -d types.
func (t *Type) String() string {
	if t == nil {
		return "unknown"
	}
	var b strings.Builder
	t.write(&b, 0)
	return b.String()
}

// kindNames are the texts of kinds that have no parts.
var kindNames = map[Kind]string{
	Invalid: "invalid", None: "void", Bool: "bool", KSym: "ksym_t", USym: "usym_t", MAC: "mac_address",
	Username: "username_t", Timestamp: "timestamp", CgroupPath: "cgroup_path_t", Count: "count_t", Stats: "stats_t",
	Hist: "hist_t", LHist: "lhist_t", TSeries: "tseries_t",
}

// signedNames are the texts of aggregates that keep the sign of what they were given.
var signedNames = map[Kind]string{Sum: "sum_t", Min: "min_t", Max: "max_t", Avg: "avg_t"}

func (t *Type) write(b *strings.Builder, depth int) {
	if depth > 16 {
		b.WriteString("...")
		return
	}
	if t == nil {
		b.WriteString("unknown")
		return
	}
	switch t.Kind {
	case Int:
		if !t.Signed {
			b.WriteByte('u')
		}
		b.WriteString("int" + strconv.Itoa(t.Size*8))
	case Enum:
		b.WriteString("enum " + named(t.Name))
	case String:
		b.WriteString("string[" + strconv.Itoa(t.Size) + "]")
	case Buffer:
		b.WriteString("buffer[" + strconv.Itoa(t.Size-4) + "]")
	case Inet:
		b.WriteString("inet")
	case Pointer:
		t.Elem.write(b, depth+1)
		if t.Elem == nil || t.Elem.Kind != Pointer {
			b.WriteByte(' ')
		}
		b.WriteByte('*')
	case Context:
		b.WriteString("ctx")
	case Array:
		t.writeArray(b, depth)
	case Struct:
		if t.Union {
			b.WriteString("union ")
		} else {
			b.WriteString("struct ")
		}
		b.WriteString(named(t.Name))
	case Tuple:
		b.WriteByte('(')
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteByte(',')
			}
			f.Type.write(b, depth+1)
		}
		b.WriteByte(')')
	case Record:
		b.WriteString("record { ")
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("." + f.Name + " = ")
			f.Type.write(b, depth+1)
		}
		b.WriteString(" }")
	case KStack, UStack:
		prefix := "kstack_"
		if t.Kind == UStack {
			prefix = "ustack_"
		}
		b.WriteString(prefix + t.StackMode + "_" + strconv.Itoa(t.Len))
	case Sum, Min, Max, Avg:
		if !t.Signed {
			b.WriteByte('u')
		}
		b.WriteString(signedNames[t.Kind])
	default:
		b.WriteString(kindNames[t.Kind])
	}
}

// writeArray writes the dimensions of nested arrays outermost first, as C does.
func (t *Type) writeArray(b *strings.Builder, depth int) {
	base := t
	for base != nil && base.Kind == Array && depth < 16 {
		base, depth = base.Elem, depth+1
	}
	base.write(b, depth)
	for a := t; a != base; a = a.Elem {
		b.WriteString("[" + strconv.Itoa(a.Len) + "]")
	}
}

func named(name string) string {
	if name == "" {
		return "(anonymous)"
	}
	return name
}
