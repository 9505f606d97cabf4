package attach

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"sonde/internal/prog"
)

// WriteDisassembly writes the instructions of every program of the Spec, with the source lines they come from, as they
// would be loaded: constants are set, but nothing is relocated for a kernel yet. It needs no privileges.
func WriteDisassembly(w io.Writer, spec *prog.Spec) error {
	for _, name := range slices.Sorted(maps.Keys(spec.Collection.Programs)) {
		p := spec.Collection.Programs[name]
		if _, err := fmt.Fprintf(w, "%s: %s, section %s, licence %s, %d instructions\n%v\n",
			name, p.Type, p.SectionName, p.License, len(p.Instructions), p.Instructions); err != nil {
			return err
		}
	}
	return nil
}
