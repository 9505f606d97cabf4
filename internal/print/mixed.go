package print

import (
	"fmt"

	"sonde/internal/prog"
)

// Typed is a sink and the type of its rows.
type Typed struct {
	Type *prog.RowType
	Sink Sink
}

// NewMixed returns a sink for rows of several types, which gives each to the sink of its type. All of them write to one
// writer, in one form; the account of the run goes to the first.
func NewMixed(sinks ...Typed) Sink { return mixed(sinks) }

type mixed []Typed

func (m mixed) Row(r *prog.Row) error {
	for i := range m {
		if m[i].Type == r.Type {
			return m[i].Sink.Row(r)
		}
	}
	name := ""
	if r.Type != nil {
		name = r.Type.Name
	}
	return fmt.Errorf("a row of type %q came to sinks of other types", name)
}

func (m mixed) Flush() error { return m[0].Sink.Flush() }

func (m mixed) Summary(s *prog.Summary) error { return m[0].Sink.Summary(s) }
