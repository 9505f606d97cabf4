//go:build guest

package cli

import (
	"os"
	"testing"

	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tool/guard/rule"
)

// verified is what guard verify finds on this kernel.
func verified(t *testing.T, v *verifier, mechanisms ...guard.Mechanism) *bypass.Report {
	t.Helper()
	v.io = streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	if v.access == 0 {
		v.access = rule.AllAccess
	}
	if v.survey == nil {
		v.survey = bypass.NewSurvey()
	}
	report, err := v.run(mechanisms)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestGuestVerify(t *testing.T) {
	survey := bypass.NewSurvey()
	survey.Shapes = survey.Shapes[:1]
	report := verified(t, &verifier{survey: survey}, guard.Mechanisms()...)
	if err := report.WriteText(os.Stdout); err != nil {
		t.Fatal(err)
	}
	if best := report.Best(); best == nil || !best.Enforces() {
		t.Error("not every way to open a file is covered")
	}
}
