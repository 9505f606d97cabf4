package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"sonde/internal/tool/guard"
)

// guardCheckCommand is `sonde guard check`: what would be armed, without arming it.
func guardCheckCommand(io streams) *cobra.Command {
	var file string
	var iKnow, show bool
	c := &cobra.Command{
		Use:   "check -f FILE | RULE...",
		Short: "Read rules and resolve them, and arm nothing",
		Long: `Reads rules and finds out what they mean here: says what is wrong with them, which paths are not there, what else is to be known.
Nothing is armed, and no privileges are needed (files that only root may reach are found by root only).`,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			words, err := splitGuardArgs(c.Flags(), args)
			if err != nil {
				return err
			}
			if err := c.Flags().Parse(words.flags); err != nil {
				return usage("%w (see %s --help)", err, c.CommandPath())
			}
			if help, err := c.Flags().GetBool("help"); err == nil && help {
				return c.Help()
			}
			if words.command != nil {
				return usage("unexpected %q: nothing is armed, so there is nothing to run", words.command[0])
			}
			if err := emptyValues(c.Flags()); err != nil {
				return err
			}
			var files []string
			if file != "" {
				files = []string{file}
			}
			source, err := newRuleSource(files, words.rules)
			if err != nil {
				return err
			}
			return checkRules(io, c.Root().Name(), source, iKnow, show)
		},
	}
	f := c.Flags()
	f.StringVarP(&file, "file", "f", "", "take the rules from this `FILE`")
	f.BoolVar(&iKnow, "i-know", false, "as guard has it")
	f.BoolVar(&show, "show", false, "print the rules in full, as a rule file")
	f.BoolP("help", "h", false, "help for check")
	return c
}

func checkRules(io streams, name string, source *ruleSource, iKnow, show bool) error {
	set, err := source.read()
	if err != nil {
		return tellProblems(io, name, err)
	}
	armed, err := guard.Arm(set, guard.Env{IKnow: iKnow})
	if err != nil {
		return tellProblems(io, name, err)
	}
	for _, n := range armed.Notes {
		say(io.err, "%s: %s", name, n)
	}
	if show {
		_, err := fmt.Fprint(io.out, set.YAML())
		return err
	}
	say(io.err, "%s: %s: %s", name, source.describe(), armedSize(armed))
	return nil
}

// armedSize says how much rules are about.
func armedSize(a *guard.Armed) string {
	text := rulesOf(len(a.Rules))
	for _, n := range []struct {
		n         int
		one, more string
	}{
		{len(a.Objects), "file", "files"}, {len(a.Entries), "path", "paths"}, {len(a.Trees), "tree", "trees"},
		{len(a.Names), "name", "names"}, {len(a.Globs), "glob", "globs"},
	} {
		switch {
		case n.n == 1:
			text += ", 1 " + n.one
		case n.n > 1:
			text += fmt.Sprintf(", %d %s", n.n, n.more)
		}
	}
	return text
}
