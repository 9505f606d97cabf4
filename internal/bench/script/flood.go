package script

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/workload"
)

// The flood: opens as fast as one thread can.
const (
	floodSlices = 100
	floodCalls  = 10_000
	floodEvents = floodSlices * floodCalls
)

// flood measures what a script that prints every openat prints of a flood of them, what each costs the tool, and what
// it costs the program that is traced.
func (b *Bench) flood(ctx context.Context) {
	b.rounds(ctx, "run-flood", b.Rounds, func() {
		b.each(ctx, "run-flood", opens, b.flooded)
	})
}

func (b *Bench) flooded(tool Tool) error {
	before, err := b.caller.Opens(costSlices, floodCalls)
	if err != nil {
		return err
	}
	p, err := b.watching(tool, opens)
	if err != nil {
		return err
	}
	defer p.close()
	idle, err := measure.CPUTime(p.pid)
	if err != nil {
		return err
	}
	with, err := b.caller.Opens(floodSlices, floodCalls)
	if err != nil {
		return err
	}
	if err := p.idle(); err != nil {
		return err
	}
	used, err := measure.CPUTime(p.pid)
	if err != nil {
		return err
	}
	peak, err := measure.PeakRSS(p.pid)
	if err != nil {
		return err
	}
	if _, err := p.interrupt(patience); err != nil {
		return err
	}
	after, err := b.caller.Opens(costSlices, floodCalls)
	if err != nil {
		return err
	}
	without, lines := slices.Concat(before, after), delivered(p.output())
	b.Results.Add("flood.delivered", tool.Key, float64(lines))
	if lines > 0 {
		b.Results.Add("flood.cpu", tool.Key, float64(used-idle)/float64(lines))
	}
	b.Results.Add("flood.rss", tool.Key, float64(peak)/mib)
	b.Results.Add("flood.slow10", tool.Key, longer(with, without, cpu, 10))
	b.Results.Add("flood.slow50", tool.Key, longer(with, without, wall, 50))
	b.Results.Add("flood.untraced", untraced, measure.Percentile(perCall(without, cpu), 10))
	return nil
}

// delivered counts the different opens of a flood in what a tool has printed.
func delivered(output io.Reader) int {
	prefix := []byte(workload.MissingPath(0))
	prefix = prefix[:bytes.LastIndexByte(prefix, '/')+1]
	seen, count := make([]bool, floodEvents), 0
	for lines := bufio.NewScanner(output); lines.Scan(); {
		_, number, ok := bytes.Cut(lines.Bytes(), prefix)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(string(number))
		if err == nil && n >= 0 && n < len(seen) && !seen[n] {
			seen[n] = true
			count++
		}
	}
	return count
}
