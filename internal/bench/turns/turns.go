// Package turns is the order in which a benchmark measures: one measure after the other, and within a round every tool in its
// turn, so that what disturbs the machine for a while disturbs all of them. It touches nothing.
package turns

import (
	"context"
	"fmt"
	"io"
)

// Measure is one of the measures of a benchmark B, by its name for -only.
type Measure[B any] struct {
	Name string
	Run  func(B, context.Context)
}

// Take takes the measures. An error is the end of ctx.
func Take[B any](ctx context.Context, b B, measures []Measure[B]) error {
	for _, m := range measures {
		m.Run(b, ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped: %w", err)
		}
	}
	return nil
}

// Rounds calls run that many times, unless ctx ends, and says so in the log.
func Rounds(ctx context.Context, log io.Writer, what string, rounds int, run func()) {
	for round := range rounds {
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(log, "%s: round %d of %d\n", what, round+1, rounds)
		run()
	}
}

// Names are those of the measures.
func Names[B any](measures []Measure[B]) []string {
	var names []string
	for _, m := range measures {
		names = append(names, m.Name)
	}
	return names
}
