package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// spelledOut writes out what the library for flags has no notion of: a flag whose value may be left out, though it may be the
// next word as well.
func spelledOut(root *cobra.Command, args []string) []string {
	c, rest, err := root.Find(args)
	if err != nil || c.Name() != "proc" {
		return args
	}
	return append([]string{c.Name()}, showsTree(c.Flags(), rest)...)
}

// showsTree makes --show-tree of each --tree that has no PID: it is the last word, or another flag follows, or "--".
func showsTree(f *pflag.FlagSet, args []string) []string {
	words := append([]string(nil), args...)
	for i := 0; i < len(words) && words[i] != "--"; i++ {
		if words[i] == "--tree" && (i+1 == len(words) || strings.HasPrefix(words[i+1], "-")) {
			words[i] = "--show-tree"
			continue
		}
		if len(words[i]) > 1 && words[i][0] == '-' {
			if _, next := lookupFlag(f, words[i]); next {
				i++ // a value, whatever it looks like
			}
		}
	}
	return words
}
