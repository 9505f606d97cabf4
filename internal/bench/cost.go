package bench

import (
	"context"
	"fmt"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/workload"
)

// costBlock is how many timed execs are done in a row.
const costBlock = 1500

// untraced is the key of the samples without any tool.
const untraced = "untraced"

// cost measures what a fork, exec and exit of the smallest program takes longer while a tool watches. Blocks with and
// without a tool take turns: each tool's block is compared with the mean of the untraced ones before and after it.
func (b *Bench) cost(ctx context.Context) {
	before, err := b.timed()
	if err != nil {
		b.Results.Failures = append(b.Results.Failures, fmt.Sprintf("cost, untraced: %v", err))
		return
	}
	b.each(ctx, "cost", b.Scale.CostRounds, func(tool Tool) error {
		running, err := b.attach(tool)
		if err != nil {
			return err
		}
		defer running.Kill()
		with, errWith := b.timed()
		if _, err := running.Stop(); err != nil {
			return err
		}
		after, errAfter := b.timed()
		for _, err := range []error{errWith, errAfter} {
			if err != nil {
				return err
			}
		}
		for id, value := range with {
			b.Results.Add(id, tool.Key, value-(before[id]+after[id])/2)
			b.Results.Add(id, untraced, after[id])
		}
		before = after
		return nil
	})
}

// timed runs a block of timed execs and returns its figures in microseconds, by row.
func (b *Bench) timed() (map[string]float64, error) {
	samples, err := workload.Time(b.tiny, b.tag(), costBlock)
	if err != nil {
		return nil, err
	}
	wall, cpu := make([]float64, len(samples)), make([]float64, len(samples))
	for i, s := range samples {
		wall[i], cpu[i] = us(s.Wall), us(s.CPU)
	}
	return map[string]float64{
		"cost.wall10": measure.Percentile(wall, 10),
		"cost.wall50": measure.Percentile(wall, 50),
		"cost.cpu10":  measure.Percentile(cpu, 10),
		"cost.cpu50":  measure.Percentile(cpu, 50),
	}, nil
}
