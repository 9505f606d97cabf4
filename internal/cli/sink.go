package cli

import (
	"fmt"
	"time"

	"sonde/internal/print"
	"sonde/internal/prog"
)

func (r *run) openOutput() (err error) {
	if r.out.file != "" {
		if r.file, err = print.OpenOutput(r.out.file); err != nil {
			return fmt.Errorf("-o: %w", err)
		}
		return nil
	}
	r.file = print.NewOutput(r.io.out)
	return nil
}

func (r *run) sink() print.Sink {
	if r.hooks.sink != nil && !r.out.json {
		return r.hooks.sink(r.file)
	}
	if len(r.also) == 0 {
		return r.sinkOf(r.rowType, r.columnOptions())
	}
	opt := r.columnOptions()
	sinks := []print.Typed{{Type: r.rowType, Sink: r.sinkOf(r.rowType, opt)}}
	opt.NoHeading = true
	for _, t := range r.also {
		sinks = append(sinks, print.Typed{Type: t, Sink: r.sinkOf(t, opt)})
	}
	return print.NewMixed(sinks...)
}

func (r *run) sinkOf(t *prog.RowType, opt print.ColumnOptions) print.Sink {
	if r.out.json {
		return print.NewJSON(r.file, t, r.out.fields)
	}
	return print.NewColumns(r.file, t, r.columns, opt)
}

func (r *run) columnOptions() print.ColumnOptions {
	opt := print.ColumnOptions{Exact: r.exact, Start: time.Now()}
	if r.out.file == "" {
		if opt.Width = terminalWidth(r.io.out); opt.Width > 0 {
			opt.Colour = colour()
		}
	}
	return opt
}
