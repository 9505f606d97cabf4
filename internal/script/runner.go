package script

import (
	"fmt"
	"time"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

// Runner carries out what the records of one script ask for. It implements stream.Handler, and is for one goroutine.
//
// A run is: stream.Run until the context ends or Exited; detach; stream.Final; AtEnd; the end programs; stream.Final;
// PrintMaps. What comes after exit() is left out up to AtEnd, as the script expects.
type Runner struct {
	p     *compile.Program
	env   Env
	sites []site

	buf, text []byte // of the record at hand: what is written, and a text to be quoted
	tails     []tail // as many as any site has
	plain     bool   // what is traced commands no terminal, or JSON quotes it
	table     stream.Table
	sorter    sorter
	symbols   symbols
	users     users
	cgroups   cgroups
	clocks    []clock // of Formats

	exited    bool
	code      int
	malformed uint64
	full      uint64 // values that no map took
	wrote     bool   // since the last flush
}

// New prepares a compiled script to run. The error is a bug of ours: a Program that makes no sense.
func New(p *compile.Program, env Env) (*Runner, error) {
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Location == nil {
		env.Location = time.Local
	}
	if env.Wall == nil {
		env.Wall = func(boot uint64) int64 { return int64(boot) }
	}
	if env.CgroupPath == nil {
		env.CgroupPath = func(uint64, string) string { return "" }
	}
	if env.System == nil {
		env.System = runShell
	}
	r := &Runner{p: p, env: env, plain: !env.Terminal || env.JSON, symbols: symbols{from: env.Symbols}, users: users{find: env.User}}
	for _, f := range p.Formats {
		r.clocks = append(r.clocks, clock{loc: env.Location, format: f, nanos: true})
	}
	for i := range p.Sites {
		s, err := r.newSite(&p.Sites[i])
		if err != nil {
			return nil, fmt.Errorf("site %d of the compiled script: %w", i, err)
		}
		r.sites = append(r.sites, s)
		if more := len(s.tailed) - len(r.tails); more > 0 {
			r.tails = append(r.tails, make([]tail, more)...)
		}
	}
	for i := range p.Maps {
		m := &p.Maps[i]
		for _, t := range []*types.Type{m.Key, m.Value} {
			if err := checkLayout(t, 0); err != nil {
				return nil, fmt.Errorf("map %s of the compiled script: %w", m.Name, err)
			}
		}
	}
	return r, nil
}

// Before implements stream.Handler.
func (r *Runner) Before(now uint64) error {
	r.symbols.tick(now)
	r.cgroups.now = now
	return nil
}

// Record carries out one record. It returns stream.ErrStop for exit(), and what Out returns.
func (r *Runner) Record(rec prog.Record) error {
	if int(rec.Type) >= len(r.sites) {
		r.malformed++
		return nil
	}
	s := &r.sites[rec.Type]
	if r.exited && s.Kind != compile.SiteNewProcess && s.Kind != compile.SiteMapping { // what the maps hold is still to be named
		return nil
	}
	if len(rec.Body) < s.fixed || len(s.tailed) > 0 && !r.findTails(s, rec.Body) {
		r.malformed++
		return nil
	}
	return r.do(s, rec.Body)
}

// Drained implements stream.Handler: what was written goes out.
func (r *Runner) Drained(uint64, bool) error { return r.Flush() }

// Holding implements stream.Handler.
func (r *Runner) Holding() bool { return false }

// Flush hands on what Out holds back.
func (r *Runner) Flush() error {
	if !r.wrote {
		return nil
	}
	r.wrote = false
	return r.env.Out.Flush()
}

// Exited says that the script called exit, and with what.
func (r *Runner) Exited() (code int, exited bool) { return r.code, r.exited }

// AtEnd says that the records that follow are those of the end programs: they count even after exit().
func (r *Runner) AtEnd() { r.exited = false }

// Malformed counts records that were left out because they are not what the script sends.
func (r *Runner) Malformed() uint64 { return r.malformed }

// Full counts values that were lost because a map was full.
func (r *Runner) Full() uint64 { return r.full }

func (r *Runner) do(s *site, body []byte) error {
	switch s.Kind {
	case compile.SitePrintf:
		return r.say(s, body, "printf")
	case compile.SitePrintValue:
		return r.printValue(s, body)
	case compile.SitePrintMap:
		return r.printMap(s, body)
	case compile.SiteClear, compile.SiteZero:
		return r.wipe(s)
	case compile.SiteExit:
		r.exited = true
		if len(s.fields) > 0 {
			r.code = int(uint8(s.int(0, body)))
		}
		return stream.ErrStop
	case compile.SiteTime:
		return r.time(s)
	case compile.SiteJoin:
		return r.join(s, body)
	case compile.SiteCat:
		return r.cat(s, body)
	case compile.SiteSystem:
		return r.system(s, body)
	case compile.SiteErrorf, compile.SiteWarnf:
		return r.complain(s, body)
	case compile.SiteHelperError:
		return r.helperError(s, body)
	case compile.SiteRuntimeError:
		return r.runtimeError(s)
	case compile.SiteMapping:
		if m, ok := compile.ParseMapping(body); ok && r.env.Symbols != nil {
			r.env.Symbols.Mapped(m)
		}
	case compile.SiteNewProcess:
		if r.env.Symbols != nil && len(s.fields) > 2 {
			r.env.Symbols.Observe(uint32(s.int(0, body)), uint64(s.int(1, body)), uint64(s.int(2, body)))
		}
	}
	return nil
}

// say writes a formatted text as it is, or as an object of that type.
func (r *Runner) say(s *site, body []byte, kind string) error {
	if !r.env.JSON {
		r.buf = r.run(r.buf[:0], s, body)
		return r.write(r.buf)
	}
	r.text = r.run(r.text[:0], s, body)
	return r.writeText(kind, r.text)
}

// writeText writes a text as an object of that type.
func (r *Runner) writeText(kind string, text []byte) error {
	r.buf = append(r.buf[:0], `{"type": "`...)
	r.buf = append(r.buf, kind...)
	r.buf = append(r.buf, `", "data": `...)
	r.buf = append(quote(r.buf, text), "}\n"...)
	return r.write(r.buf)
}

func (r *Runner) printValue(s *site, body []byte) error {
	f := &s.fields[0]
	if r.env.JSON {
		r.buf = append(r.buf[:0], `{"type": "value", "data": `...)
		r.buf = append(r.appendFieldJSON(r.buf, f, body), "}\n"...)
	} else {
		r.buf = append(r.appendFieldText(r.buf[:0], f, body), '\n')
	}
	return r.write(r.buf)
}

// keepBuffer is the size up to which buffers are kept from record to record.
const keepBuffer = 256 << 10

func (r *Runner) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	r.wrote = true
	_, err := r.env.Out.Write(p)
	if cap(r.buf) > keepBuffer {
		r.buf = nil
	}
	if cap(r.text) > keepBuffer {
		r.text = nil
	}
	return err
}

// Attached tells that so many probes are on, as bpftrace does.
func (r *Runner) Attached(n int) error {
	if r.env.JSON {
		return r.write(fmt.Appendf(r.buf[:0], "{\"type\": \"attached_probes\", \"count\": %d, \"data\": {\"probes\": %d}}\n", n, n))
	}
	if n == 1 {
		return r.tell("Attached 1 probe\n")
	}
	return r.tell("Attached %d probes\n", n)
}

// Lost tells that so many records were lost since it was last told.
func (r *Runner) Lost(n uint64) error {
	if r.env.JSON {
		return r.write(fmt.Appendf(r.buf[:0], "{\"type\": \"lost_events\", \"count\": %d, \"data\": {\"events\": %d}}\n", n, n))
	}
	return r.tell("Lost %d events\n", n)
}

// tell writes to Err, behind what was written to Out before.
func (r *Runner) tell(form string, args ...any) error {
	if err := r.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.env.Err, form, args...)
	return err
}
