//go:build guest

package cli

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
)

// guardBy loads guard by one mechanism, for the length of a test.
func guardBy(t *testing.T, m guard.Mechanism) *guardSession {
	t.Helper()
	g, err := openGuard(t.Context(), []guard.Mechanism{m}, func(m guard.Mechanism) (*prog.Spec, error) {
		return guard.Spec(guard.Options{Mechanism: m})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.close() })
	return g
}

// verifierOf tries ways of these groups against rules of these shapes.
func verifierOf(shapes []bypass.Shape, groups ...bypass.Group) *verifier {
	v := newVerifier(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	v.survey.Shapes = shapes
	v.survey.Ways = slices.DeleteFunc(slices.Clone(bypass.Ways()), func(w *bypass.Way) bool { return !slices.Contains(groups, w.Group) })
	return v
}

func (v *verifier) column(t *testing.T, g *guardSession) *bypass.Column {
	t.Helper()
	if err := v.free(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := v.under(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func show(t *testing.T, c *bypass.Column) {
	t.Helper()
	var b bytes.Buffer
	if err := (&bypass.Report{Columns: []*bypass.Column{c}}).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
}

var everyGroup = []bypass.Group{bypass.Opens, bypass.More, bypass.Changes, bypass.Creates, bypass.Held}

func TestGuestVerify(t *testing.T) {
	for m, feature := range map[guard.Mechanism]kernel.Feature{guard.LSM: kernel.LSM, guard.FmodRet: kernel.FmodRet} {
		t.Run(string(m), func(t *testing.T) {
			vmtest.Need(t, feature)
			g := guardBy(t, m)
			c := verifierOf(bypass.Shapes, everyGroup...).column(t, g)
			show(t, c)
			if !c.Enforces() {
				t.Error("not every way to open a file is covered")
			}
		})
	}
}

var _ = context.Background
var _ = rule.AllAccess
