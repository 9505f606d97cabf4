package script

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"sonde/internal/bench/workload"
)

// Slices of calls of which the 10th percentile is taken.
const (
	costSlices = 20
	costCalls  = 15_000
)

// costs are the scripts whose cost is measured.
var costs = []script{byComm, total, byPID, latency, never, chain}

// cost measures what a getppid takes longer under a script, in CPU time of the calling thread, as a multiple of what
// an empty program in C adds.
func (b *Bench) cost(ctx context.Context) {
	b.rounds(ctx, "run-cost", b.Rounds, func() {
		loader := Tool{Title: "empty program", Reference: true}
		unit, err := b.added(loader, empty)
		if err == nil && unit <= 0 {
			err = fmt.Errorf("it costs %.0f ns: the machine is too busy", unit)
		}
		if err != nil {
			b.failed("run-cost", loader, err)
			return
		}
		b.Results.Add("cost.empty", inC, unit)
		round := map[string]float64{} // by script and tool
		for _, s := range costs {
			b.each(ctx, "run-cost "+s.key, s, func(tool Tool) error {
				added, err := b.added(tool, s)
				if err != nil {
					return err
				}
				round[s.key+tool.Key] = added
				b.Results.Add("cost."+s.key, tool.Key, added/unit)
				if without, ok := round[never.key+tool.Key]; ok && s.key == chain.key {
					b.Results.Add("cost.above", tool.Key, (added-without)/unit)
				}
				return nil
			})
		}
	})
}

// added is what a getppid takes longer under a tool's script, in nanoseconds: the difference of 10th percentiles.
func (b *Bench) added(tool Tool, s script) (float64, error) {
	before, err := b.caller.Parents(costSlices, costCalls)
	if err != nil {
		return 0, err
	}
	p, err := b.watching(tool, s)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	with, err := b.caller.Parents(costSlices, costCalls)
	if err != nil {
		return 0, err
	}
	if _, err := p.Interrupt(patience); err != nil {
		return 0, err
	}
	after, err := b.caller.Parents(costSlices, costCalls)
	if err != nil {
		return 0, err
	}
	if slices.Contains(counting, s.key) {
		if seen := counted(p.Output()); seen != costSlices*costCalls {
			return 0, fmt.Errorf("it counted %d of %d calls: %w", seen, costSlices*costCalls, p.Said())
		}
	}
	b.Results.Add("cost.untraced", untraced, workload.PerCall(after, workload.CPU, 10))
	return workload.Longer(with, slices.Concat(before, after), workload.CPU, 10), nil
}

// counting are the scripts whose output tells how many calls they have seen.
var counting = []string{byComm.key, total.key, byPID.key, latency.key}

var (
	count  = regexp.MustCompile(`^@(?:\[.*\])?: (\d+)$`)
	bucket = regexp.MustCompile(`^[\[(].*[\])] +(\d+) \|`)
)

// counted adds up the counts of a map, or the buckets of a histogram, that a tool has printed.
func counted(output io.Reader) int {
	sum := 0
	for lines := bufio.NewScanner(output); lines.Scan(); {
		match := count.FindSubmatch(lines.Bytes())
		if match == nil {
			match = bucket.FindSubmatch(lines.Bytes())
		}
		if match == nil {
			continue
		}
		n, err := strconv.Atoi(string(match[1]))
		if err != nil {
			continue // beyond what an int holds: no count
		}
		sum += n
	}
	return sum
}
