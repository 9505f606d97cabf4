package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"sonde/internal/tool/guard/rule"
)

// guardArgs is a command line of sonde guard taken apart. A rule has flags of its own, which belong to its place among the
// words of the rules; all others belong to the run, wherever they stand.
type guardArgs struct {
	flags   []string // with their values
	rules   []string // words of rules, with the flags that are theirs
	command []string // behind "--"; nil where there is none
}

// splitGuardArgs takes a command line apart. Behind the first word of a rule, flags that rules know are rules' (--uid is
// both's: before the rules it is the run's). A flag that nobody knows is left to the rules, whose messages say so.
func splitGuardArgs(f *pflag.FlagSet, args []string) (a guardArgs, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			if a.command = args[i+1:]; len(a.command) == 0 {
				return a, usage("no COMMAND after --")
			}
			return a, nil
		case len(word) < 2 || word[0] != '-':
			a.rules = append(a.rules, word)
			continue
		}
		if len(a.rules) > 0 {
			name, _, valued := strings.Cut(strings.TrimPrefix(word, "--"), "=")
			if takes, ok := rule.Flag(name); ok && strings.HasPrefix(word, "--") {
				a.rules = append(a.rules, word)
				if takes && !valued && i+1 < len(args) {
					i++
					a.rules = append(a.rules, args[i])
				}
				continue
			}
		}
		flag, takesNext := lookupFlag(f, word)
		if flag == nil {
			a.rules = append(a.rules, word)
			continue
		}
		if flag.Name == persistFlag && word == "--"+persistFlag && i+1 < len(args) && persistName(args[i+1]) {
			i++
			if len(a.rules) > 0 { // it might be a file's name as well
				return a, usage("--persist %s behind a rule: write --persist=%s, or ./%s if that is a file of the rule", args[i], args[i], args[i])
			}
			a.flags = append(a.flags, word+"="+args[i])
			continue
		}
		a.flags = append(a.flags, word)
		if takesNext {
			if i+1 == len(args) {
				return a, usage("flag needs an argument: %s (see sonde guard --help)", word)
			}
			i++
			a.flags = append(a.flags, args[i])
		}
	}
	return a, nil
}

// lookupFlag finds the flag that a word like --name, --name=value, -n, -nvalue is; next says that its value is the next word.
// Of several short flags in one word, the last is meant.
func lookupFlag(f *pflag.FlagSet, word string) (flag *pflag.Flag, next bool) {
	if name, long := strings.CutPrefix(word, "--"); long {
		name, _, valued := strings.Cut(name, "=")
		flag = f.Lookup(name)
		return flag, flag != nil && !valued && flag.NoOptDefVal == ""
	}
	for i := 1; i < len(word); i++ {
		if flag = f.ShorthandLookup(word[i : i+1]); flag == nil {
			return nil, false
		}
		if flag.NoOptDefVal == "" { // it takes a value: the rest of the word, or the next one
			return flag, i == len(word)-1
		}
	}
	return flag, false
}

// persistName says whether a word behind --persist is the name that it may have there: not the beginning of a rule.
func persistName(word string) bool {
	return validGuardName(word) && !slices.Contains(guardActions, word)
}

// guardActions are the words that a rule begins with.
var guardActions = []string{"log", "kill", "deny", "deny+kill", "allow"}

// validGuardName says whether a persistent guard may be called so: it becomes the name of a directory.
func validGuardName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return name != "" && len(name) <= 63 && name[0] != '-' && strings.Trim(name, letters) == ""
}

// splitFiles tells rule files from formats among the values of -f: text and json are formats unless a file of that name
// is there.
func splitFiles(values []string) (files []string, format string, err error) {
	for _, v := range values {
		if v == "text" || v == "json" {
			if _, err := os.Lstat(v); err != nil {
				if format != "" && format != v {
					return nil, "", usage("-f %s and -f %s: one format only", format, v)
				}
				format = v
				continue
			}
		}
		files = append(files, v)
	}
	if len(files) > 1 {
		return nil, "", usage("-f %q: one rule file only, and it is %q already", files[1], files[0])
	}
	return files, format, nil
}
