package bypass

import (
	"context"
	"errors"
	"fmt"
)

// Survey is the whole list of ways, tried for each shape of rule in each place.
type Survey struct {
	Ways   []*Way
	Places []Place
	// Shapes are the shapes of rules that are tried in the first place; in the others only the first of them is.
	Shapes []Shape
	// Progress, if it is set, is told how many tries of how many have been made.
	Progress func(done, total int)
}

// NewSurvey has all ways and shapes, in all places of this machine.
func NewSurvey() *Survey { return &Survey{Ways: Ways(), Places: Places(), Shapes: Shapes} }

// Run tries the list. Without a control, arm should be Unguarded and the results are the control of later runs: ways that
// led nowhere then are not tried again.
func (s *Survey) Run(ctx context.Context, arm Arm, control []Result) (results []Result, err error) {
	total := len(s.Ways) * len(s.Shapes)
	if n := len(s.Places); n > 1 && len(s.Shapes) > 0 {
		total += len(s.Ways) * (n - 1)
	}
	if control != nil && len(control) != total {
		return nil, fmt.Errorf("a control of %d tries for a survey of %d", len(control), total)
	}
	for i, place := range s.Places {
		shapes := s.Shapes
		if i > 0 {
			shapes = shapes[:min(1, len(shapes))]
		}
		if err := s.inPlace(ctx, place, shapes, arm, control, &results, total); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (s *Survey) inPlace(ctx context.Context, place Place, shapes []Shape, arm Arm, control []Result, results *[]Result, total int) (err error) {
	stage, err := NewStage(place.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	for _, shape := range shapes {
		for _, w := range s.Ways {
			r := Result{Way: w, Shape: shape}
			if i := len(*results); control == nil || control[i].Outcome == Reached {
				if r, err = stage.Try(ctx, w, shape, arm); err != nil {
					return fmt.Errorf("trying %q: %w", w.Name, err)
				}
			}
			r.Place = place.Kind
			*results = append(*results, r)
			if s.Progress != nil {
				s.Progress(len(*results), total)
			}
		}
	}
	return nil
}

// Compare makes a column of the table from a run without any rule and one under a mechanism.
func Compare(mechanism string, control, guarded []Result) *Column {
	c := &Column{Mechanism: mechanism}
	for i, r := range guarded {
		v, why := Judge(control[i], r)
		f := Finding{Way: r.Way, Shape: r.Shape, Place: r.Place, Verdict: v, Why: why, Changed: r.Changed, Tries: r.Tries}
		if v == Covered {
			f.Errno = r.Errno
		}
		c.Findings = append(c.Findings, f)
	}
	return c
}
