package open

import (
	"context"
	"time"

	"sonde/internal/bench/process"
	"sonde/internal/bench/workload"
)

// The pace, and slices of which percentiles are taken.
const (
	pace         = 50 * time.Microsecond
	pacedSlices  = 600
	pacedCalls   = 40 // short slices: on a busy machine some of them are left alone
	pacedControl = 150
)

// paced measures what an open takes longer when there is time between one and the next: then a reader that is woken for each
// record makes the traced program pay for it.
func (b *Bench) paced(ctx context.Context) {
	work := func(slices int) process.Work {
		return func() ([]workload.Slice, error) { return b.caller.OpenFiles(b.files, slices, pacedCalls, pace) }
	}
	b.rounds(ctx, "open-paced", b.Rounds, func() {
		unit, err := b.empty("paced.empty", work(pacedControl), work(pacedSlices), workload.Wall)
		if err != nil {
			b.Results.Fail(b.Log, "open-paced", "empty program", err)
			return
		}
		b.each(ctx, "open-paced", func(tool Tool) error {
			p, w, err := process.Watch(b.command(tool), attached, work(pacedControl), work(pacedSlices))
			if err != nil {
				return err
			}
			defer p.Close()
			b.Results.Add("paced.pays", tool.Key, workload.Longer(w.With, w.Without, workload.Wall, 10)/unit)
			b.Results.Add("paced.longer", tool.Key, workload.Longer(w.With, w.Without, workload.Wall, 50))
			b.Results.Add("paced.cpu", tool.Key, float64(w.CPU)/(pacedSlices*pacedCalls*float64(time.Microsecond)))
			return nil
		})
	})
}
