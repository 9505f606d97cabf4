package bench

import (
	"context"
	"path/filepath"

	"sonde/internal/bench/measure"
)

// size measures what a tool takes on disk: its program file, and that with the shared libraries it maps.
func (b *Bench) size(ctx context.Context) {
	b.each(ctx, "size", 1, func(tool Tool) error {
		running, err := b.attach(tool)
		if err != nil {
			return err
		}
		defer running.Kill()
		files, err := measure.CodeFiles(running.PID)
		if err != nil {
			return err
		}
		program := tool.Argv[0]
		if tool.Package != "" {
			program = filepath.Join(b.Root, program)
		}
		var all int64
		for _, size := range files {
			all += size
		}
		b.Results.Add("size.program", tool.Key, float64(files[program])/mib)
		b.Results.Add("size.all", tool.Key, float64(all)/mib)
		return nil
	})
}
