package attach

import (
	"errors"
	"fmt"
	"io"

	"sonde/internal/prog"
)

// AttachMore puts programs of a running Session on further probes, all or none. They are taken off by closing what it
// returns, which is for the caller to do: Detach and Close do not know of them.
func (s *Session) AttachMore(probes []prog.Probe) (io.Closer, error) {
	var on closers
	for i := range probes {
		p := &probes[i]
		if s.coll == nil || s.coll.Programs[p.Program] == nil {
			return nil, errors.Join(fmt.Errorf("%s: no program %q for probe %s", s.spec.Name, p.Program, p.Name), on.Close())
		}
		links, err := attachProbe(p, s.coll.Programs[p.Program])
		on = append(on, links...)
		if err != nil {
			closeAll(on)
			return nil, fmt.Errorf("%s: %w", shown(p), err)
		}
	}
	return on, nil
}

// closers are taken off at once.
type closers []io.Closer

func (c closers) Close() error {
	errs := make([]error, len(c))
	inParallel(len(c), closersAtOnce, func(i int) { errs[i] = c[i].Close() })
	return errors.Join(errs...)
}
