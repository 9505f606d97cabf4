package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tool/guard/rule"
)

func guardVerifyCommand(io streams) *cobra.Command {
	var mechanism, format string
	c := &cobra.Command{
		Use:   "verify [flags]",
		Short: "Prove what guard covers on this kernel",
		Long: `Proves what guard covers on this kernel: tries every known way to reach, change or remove a file, first without a rule and
then against a rule that denies it, under each mechanism that this kernel has. It only touches decoys in a private directory
that it removes at the end, and only processes that it started itself.

Each way is tried against four kinds of rules: about a file, a directory tree, a name anywhere, and a path where nothing was
when the rule was armed. It is covered if it led to the decoy without a rule, was refused with one, and left the decoy as it was.
The exit status is 0 if all ways to open a file are covered by the best mechanism, else 1.`,
		Example: `  sonde guard verify
  sonde guard verify --mechanism fmod_ret -f json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unexpected %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usage("-f %q: the formats are text and json", format)
			}
			mechanisms := guard.Mechanisms()
			if mechanism != "all" {
				if !slices.Contains(mechanisms, guard.Mechanism(mechanism)) {
					return usage("--mechanism %q: the mechanisms are lsm, fmod_ret, override and kill; or all", mechanism)
				}
				mechanisms = []guard.Mechanism{guard.Mechanism(mechanism)}
			}
			if os.Geteuid() != 0 {
				return errors.New("verify loads programs into the kernel and reads files by their handles; run it as root")
			}
			if err := needProc(); err != nil {
				return err
			}
			v := newVerifier(io)
			report, err := v.run(mechanisms)
			if err != nil {
				return err
			}
			write := report.WriteText
			if format == "json" {
				write = report.WriteJSON
			}
			if err := write(io.out); err != nil {
				return fmt.Errorf("writing: %w", err)
			}
			if best := report.Best(); best == nil || !best.Enforces() {
				return &statusError{exitFailure}
			}
			return nil
		},
	}
	c.Flags().StringVar(&mechanism, "mechanism", "all", "try only this `MECHANISM`: lsm, fmod_ret, override or kill")
	c.Flags().StringVarP(&format, "format", "f", "text", "`FORMAT` of the report: text or json")
	return c
}

// verifier is one run of guard verify.
type verifier struct {
	io      streams
	survey  *bypass.Survey
	control bypass.Control                 // what the survey finds without a rule
	access  func(bypass.Meant) rule.Access // what a rule denies
	weaken  func(*guard.Armed)             // in tests: makes rules worse than they are
}

func newVerifier(io streams) *verifier {
	return &verifier{io: io, survey: bypass.NewSurvey(), access: func(bypass.Meant) rule.Access { return rule.AllAccess }}
}

func (v *verifier) run(mechanisms []guard.Mechanism) (*bypass.Report, error) {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	defer stop()
	report := &bypass.Report{}
	report.Release, _ = kernel.Release()
	for _, m := range mechanisms {
		column := &bypass.Column{Mechanism: string(m)}
		report.Columns = append(report.Columns, column)
		g, err := openGuard(ctx, []guard.Mechanism{m}, func(m guard.Mechanism) (*prog.Spec, error) {
			return guard.Spec(guardOptions(m))
		})
		var refused *noMechanism
		switch {
		case errors.As(err, &refused):
			column.Refused = oneLine(refused.refused[0].err.Error())
			continue
		case err != nil:
			return nil, interrupted(ctx, err)
		}
		// Not before one mechanism works: without, there is nothing to compare with.
		if err = v.free(ctx); err == nil {
			report.Columns[len(report.Columns)-1], err = v.under(ctx, g)
		}
		if err = errors.Join(err, g.close()); err != nil {
			return nil, interrupted(ctx, err)
		}
	}
	return report, nil
}

// free tries the list without a rule, once.
func (v *verifier) free(ctx context.Context) (err error) {
	if v.control == nil {
		v.survey.Progress = v.progress("without a rule")
		v.control, err = v.survey.Control(ctx)
	}
	return err
}

// under tries the list under a mechanism.
func (v *verifier) under(ctx context.Context, g *guardSession) (*bypass.Column, error) {
	name := string(g.mechanism)
	v.survey.Progress = v.progress(name)
	return v.survey.Run(ctx, name, v.arm(g), v.control)
}

// interrupted says of a run that a signal has ended just that.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; the decoys are removed")
	}
	return err
}

// arm is how tries get their rule.
func (v *verifier) arm(g *guardSession) bypass.Arm {
	return func(m bypass.Meant) (func() error, error) {
		armed, err := guard.Arm(decoyRules(m, v.access(m)), guard.Env{IKnow: true})
		if err != nil {
			return nil, fmt.Errorf("a rule for a decoy: %w", err)
		}
		if v.weaken != nil {
			v.weaken(armed)
		}
		_, disarm, err := g.arm(armed)
		return disarm, err
	}
}

// verifyTells is how often a terminal is told.
const verifyTells = 100 * time.Millisecond

// progress shows on a terminal how far a part of the run is.
func (v *verifier) progress(part string) func(done, total int) {
	if terminalWidth(v.io.err) == 0 {
		return nil
	}
	var last time.Time
	return func(done, total int) {
		if done < total && time.Since(last) < verifyTells {
			return
		}
		last = time.Now()
		fmt.Fprintf(v.io.err, "\r\x1b[K%s: %d of %d", part, done, total)
		if done == total {
			fmt.Fprint(v.io.err, "\r\x1b[K")
		}
	}
}
