package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sonde/internal/print"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
)

func guardCommand(io streams) *cobra.Command {
	var x guardFlags
	c := &cobra.Command{
		Use:   "guard [flags] RULE... [-- COMMAND [ARG...]]",
		Short: "Report, deny or kill what must not be done to files",
		Long: `Reports, denies or kills what must not be done to files, as rules say. A rule is an action (log, kill, deny, deny+kill, allow),
what it is about (--read, --write, --create, --delete, --rename, --link, --truncate, --exec, --metadata; all if none is given) and
paths: a file, a directory with all below it, a glob, or a name without a slash, which is meant wherever it is. The first rule
that matches decides. With -f the rules are in a file, which is read again when it changes or on SIGHUP.

How well it guards depends on the kernel: it is tried out at the start, and told. Ctrl-C disarms at once.
With -- COMMAND only that command and its descendants are meant.`,
		Example: `  sonde guard deny /etc/shadow
  sonde guard kill 'block_test.c'
  sonde guard deny --write /etc -- ./installer
  sonde guard --for 10m --max-denies 100/s -f rules.yaml
  sonde guard --persist=web -f rules.yaml; sonde guard status; sonde guard stop web
  sonde guard verify`,
		// The flags of rules belong to their place among the words.
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return guardActions, cobra.ShellCompDirectiveDefault // and files
		},
		RunE: func(c *cobra.Command, args []string) error {
			words, err := splitGuardArgs(c.Flags(), args)
			if err != nil {
				return err
			}
			if err := c.Flags().Parse(words.flags); err != nil {
				return usage("%w (see %s --help)", err, c.CommandPath())
			}
			if x.help {
				return c.Help()
			}
			return runGuard(io, c, &x, words)
		},
	}
	x.add(c.Flags())
	c.AddCommand(guardStatusCommand(io), guardStopCommand(io), guardCheckCommand(io), guardVerifyCommand(io))
	return c
}

// runGuard is `sonde guard RULE...` and `sonde guard -f FILE`.
func runGuard(io streams, c *cobra.Command, x *guardFlags, words guardArgs) error {
	if err := emptyValues(c.Flags()); err != nil {
		return err
	}
	if x.output.fields == "help" {
		_, err := fmt.Fprint(io.out, print.FieldsHelp(guard.RowType))
		return err
	}
	files, format, err := splitFiles(x.files)
	if err != nil {
		return err
	}
	if format != "" {
		if c.Flags().Changed("format") && x.output.format != format {
			return usage("-f %s and --format %s: one format only", format, x.output.format)
		}
		x.output.format = format
	}
	if err := x.check(c.Flags()); err != nil {
		return err
	}
	out, err := x.output.resolve(guard.RowType)
	if err != nil {
		return err
	}
	source, err := newRuleSource(files, words.rules)
	if err != nil {
		return err
	}
	set, err := source.read()
	if err != nil {
		return tellProblems(io, c.Root().Name(), err)
	}
	x.target.Command = words.command
	g := &guardRun{
		flags: x, source: source, out: out, io: io, name: c.Root().Name(),
		onTerminal: terminalWidth(io.err) > 0, names: newRuleNames(),
	}
	return g.do(set)
}

// tellProblems says what is wrong with rules, each fault on a line of its own.
func tellProblems(io streams, name string, err error) error {
	var problems rule.Problems
	if !errors.As(err, &problems) {
		return err
	}
	tellLines(io, name, problems.Error())
	return &statusError{exitUsage}
}

// tellLines says several lines, each for itself.
func tellLines(io streams, name, text string) {
	for line := range strings.Lines(text) {
		say(io.err, "%s: %s", name, strings.TrimSuffix(line, "\n"))
	}
}
