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

// A Control is what a survey has found without any rule: only what leads to the file then can show whether a rule holds.
type Control map[Try]Result

// Try is one line of a survey.
type Try struct {
	Way   *Way
	Shape Shape
	Place string
}

// Control tries the list without a rule.
func (s *Survey) Control(ctx context.Context) (Control, error) {
	results, err := s.run(ctx, Unguarded, nil)
	if err != nil {
		return nil, err
	}
	c := make(Control, len(results))
	for _, r := range results {
		c[Try{r.Way, r.Shape, r.Place}] = r
	}
	return c, nil
}

// Run tries the list under a mechanism. Ways that led nowhere in the control, which must have all that this survey has, are
// not tried.
func (s *Survey) Run(ctx context.Context, mechanism string, arm Arm, control Control) (*Column, error) {
	results, err := s.run(ctx, arm, control)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", mechanism, err)
	}
	c := &Column{Mechanism: mechanism}
	for _, r := range results {
		v, why := Judge(control[Try{r.Way, r.Shape, r.Place}], r)
		f := Finding{Try: Try{r.Way, r.Shape, r.Place}, Verdict: v, Why: why, Changed: r.Changed, Tries: r.Tries, Hits: r.Hits}
		if v == Covered {
			f.Errno = r.Errno
		}
		c.Findings = append(c.Findings, f)
	}
	return c, nil
}

func (s *Survey) run(ctx context.Context, arm Arm, control Control) (results []Result, err error) {
	total := len(s.Ways) * len(s.Shapes)
	if n := len(s.Places); n > 1 && len(s.Shapes) > 0 {
		total += len(s.Ways) * (n - 1)
	}
	for i, place := range s.Places {
		shapes := s.Shapes
		if i > 0 {
			shapes = shapes[:min(1, len(shapes))]
		}
		if results, err = s.inPlace(ctx, place, shapes, arm, control, results, total); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (s *Survey) inPlace(ctx context.Context, place Place, shapes []Shape, arm Arm, control Control, results []Result, total int) (_ []Result, err error) {
	stage, err := NewStage(place.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	for _, shape := range shapes {
		for _, w := range s.Ways {
			r := Result{Way: w, Shape: shape}
			if control == nil || control[Try{w, shape, place.Kind}].Outcome == Reached {
				if r, err = stage.Try(ctx, w, shape, arm); err != nil {
					return nil, fmt.Errorf("trying %q: %w", w.Name, err)
				}
			}
			r.Place = place.Kind
			results = append(results, r)
			if s.Progress != nil {
				s.Progress(len(results), total)
			}
		}
	}
	return results, nil
}
