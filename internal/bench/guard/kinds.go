package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sonde/internal/bench/workload"
)

// kind is a set of rules, and which files are opened under it.
type kind struct {
	key, title string
	rules      int
	others     bool // the guard is about another process
	deep       bool // the rule is about a tree, and the files lie deep in it
}

// inForce is what sonde says of the rules when it has taken them up.
func (k kind) inForce() string {
	if k.rules == 1 {
		return "1 rule in force"
	}
	return fmt.Sprintf("%d rules in force", k.rules)
}

// few and many are the kinds that must not differ, nobody is about another process.
var (
	nobody = kind{key: "0", title: "no rule for the process that opens", rules: 1, others: true}
	few    = kind{key: "1", title: "1 rule", rules: 1}
	many   = kind{key: "10000", title: "10,000 rules", rules: 10_000}
)

var kinds = []kind{
	nobody,
	few,
	{key: "100", title: "100 rules", rules: 100},
	many,
	{key: "tree", title: "1 rule of a tree, the file " + fmt.Sprint(depth) + " directories deep in it", rules: 1, deep: true},
}

// depth is how many directories are between a tree and the files in it that are opened.
const depth = 20

// layout is the files of a run, below its folder.
type layout struct{ dir string }

// plain is the folder of files that no rule is about.
func (l layout) plain() string { return filepath.Join(l.dir, "usr/lib") }

func (l layout) tree() string { return filepath.Join(l.dir, "tree") }

// deep is a folder that many directories below tree.
func (l layout) deep() string {
	return l.tree() + strings.Repeat("/d", depth)
}

// guarded is the n-th file that has a rule of its own.
func (l layout) guarded(n int) string { return filepath.Join(l.dir, "guarded", fmt.Sprintf("%05d", n)) }

// opened is the folder of the files that are opened under a kind of rules.
func (l layout) opened(k kind) string {
	if k.deep {
		return l.deep()
	}
	return l.plain()
}

// inUse is the file with the rules of the moment.
func (l layout) inUse() string { return filepath.Join(l.dir, "rules.yaml") }

// use puts other rules into that file, at once.
func (l layout) use(k kind) error {
	draft := l.inUse() + ".new"
	if err := os.WriteFile(draft, []byte(l.text(k)), 0o644); err != nil {
		return err
	}
	return os.Rename(draft, l.inUse())
}

// make makes all files, so many with a rule of their own.
func (l layout) make(guarded int) error {
	for _, dir := range []string{l.plain(), l.deep()} {
		if err := workload.MakeFiles(dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(l.dir, "guarded"), 0o755); err != nil {
		return err
	}
	for n := range guarded {
		if err := os.WriteFile(l.guarded(n), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// text is the rules of a kind: they forbid writing, and the files are opened for reading.
func (l layout) text(k kind) string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for n := range k.rules {
		what := fmt.Sprintf("{file: %s}", l.guarded(n))
		if k.deep {
			what = fmt.Sprintf("{tree: %s}", l.tree())
		}
		fmt.Fprintf(&b, "  - {action: deny, access: write, files: [%s]}\n", what)
	}
	return b.String()
}
