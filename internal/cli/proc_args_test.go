package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// --tree of sonde proc is whom to trace if a PID follows, and else that the tree is to be shown.
func TestSpelledOut(t *testing.T) {
	for _, c := range []struct{ name, args, want string }{
		{"nothing", "", ""},
		{"the last word", "proc -p 1 --tree", "proc -p 1 --show-tree"},
		{"before COMMAND", "proc --tree -- make -j4", "proc --show-tree -- make -j4"},
		{"before a long flag", "proc --tree --args", "proc --show-tree --args"},
		{"before a short flag", "proc --tree -x", "proc --show-tree -x"},
		{"a PID", "proc --tree 12", "proc --tree 12"},
		{"several PIDs", "proc --tree 12,13 -x", "proc --tree 12,13 -x"},
		{"a PID in the word", "proc --tree=12 --tree= -x", "proc --tree=12 --tree= -x"},
		{"what is no PID is for the flag to refuse", "proc --tree make", "proc --tree make"},
		{"both", "proc --tree 12 --tree", "proc --tree 12 --show-tree"},
		{"both, the other way round", "proc --tree --tree 12", "proc --show-tree --tree 12"},
		{"in COMMAND", "proc -- make --tree", "proc -- make --tree"},
		{"the value of a flag", "proc -o --tree -x", "proc -o --tree -x"},
		{"the value of several flags in a word", "proc -xo --tree -d 1", "proc -xo --tree -d 1"},
		{"a flag with its value", "proc -ofile --tree", "proc -ofile --show-tree"},
		{"a flag without a value", "proc -x --tree", "proc -x --show-tree"},
		{"another tool", "exec --tree -x", "exec --tree -x"},
		{"help", "help proc --tree", "help proc --tree"},
		{"an unknown flag", "proc --nonsense --tree", "proc --nonsense --show-tree"},
		{"no command", "nonsense --tree", "nonsense --tree"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := strings.Fields(c.args)
			got := spelledOut(rootCommand(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, append([]string{"sonde"}, args...)), args)
			if diff := cmp.Diff(strings.Fields(c.want), append([]string{}, got...)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(strings.Fields(c.args), append([]string{}, args...)); diff != "" {
				t.Errorf("the caller's words changed: %s", diff)
			}
		})
	}
}
