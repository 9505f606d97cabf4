package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
)

// ruleSource is where the rules come from.
type ruleSource struct {
	file  string // "" for the command line
	words []string
}

func newRuleSource(files, words []string) (*ruleSource, error) {
	switch {
	case len(files) == 0 && len(words) == 0:
		return nil, usage("no rules; give some, such as deny /etc/shadow, or a file of them: -f rules.yaml (see sonde guard --help)")
	case len(files) > 0 && len(words) > 0:
		return nil, usage("rules on the command line (%q) and in %s; give them in one place", words[0], files[0])
	case len(files) > 0:
		return &ruleSource{file: files[0]}, nil
	}
	return &ruleSource{words: words}, nil
}

// mostRuleBytes is how large a rule file may be.
const mostRuleBytes = 16 << 20

// read parses the rules. Problems with them are rule.Problems.
func (s *ruleSource) read() (*rule.Set, error) {
	if s.file == "" {
		dir, err := unix.Getwd()
		if err != nil {
			return nil, fmt.Errorf("the working directory: %w; go to one that is there", err)
		}
		return rule.ParseWords(s.words, dir)
	}
	data, err := readRules(s.file)
	if err != nil {
		return nil, &usageError{err}
	}
	return rule.ParseFile(s.file, data)
}

// readRules reads a rule file. It may be a pipe, but not something that never ends.
func readRules(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("-f %s: %w", name, unwrapPath(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostRuleBytes+1))
	if err != nil {
		return nil, fmt.Errorf("-f %s: %w", name, unwrapPath(err))
	}
	if len(data) > mostRuleBytes {
		return nil, fmt.Errorf("-f %s: more than %d bytes; is it a rule file?", name, mostRuleBytes)
	}
	return data, nil
}

// unwrapPath takes the path off an error that names it a second time.
func unwrapPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// describe is the source as people know it.
func (s *ruleSource) describe() string {
	if s.file != "" {
		return s.file
	}
	return "the command line"
}

// reload puts rules in force in the place of the old ones, without a moment between them. Rules that cannot be armed leave
// the old ones as they are. Where nothing came of a change it is not told, unless somebody asked.
func (g *guardRun) reload(why string, asked bool) {
	set, armed, err := g.next()
	if err != nil {
		g.keepOld(why, err)
		return
	}
	// Watched even if they do not fit the tables: the next change may mend that.
	if err := g.watcher.Update(armed); err != nil {
		g.tell("%v", err)
	}
	if !asked && reflect.DeepEqual(set, g.set) && reflect.DeepEqual(armed, g.armed) {
		return
	}
	known := g.armed.Notes
	if err := g.replace(set, armed); err != nil {
		g.keepOld(why, err)
		return
	}
	g.tell("%s: %s in force (generation %d)", why, rulesOf(len(set.Rules)), g.loaded.Generation)
	g.tellNotes(slices.DeleteFunc(slices.Clone(armed.Notes), func(n string) bool { return slices.Contains(known, n) }))
	if err := g.tellHolders(); err != nil {
		g.tell("%v", err)
	}
	if g.pins != nil {
		if err := g.pins.write(g.state()); err != nil {
			g.tell("%v", err)
		}
	}
}

// next makes the rules that are to be in force next.
func (g *guardRun) next() (*rule.Set, *guard.Armed, error) {
	set, err := g.source.read()
	if err != nil {
		return nil, nil, err
	}
	if err := g.needsCommand(set, g.run.target); err != nil {
		return nil, nil, err
	}
	if err := g.canDo(set); err != nil {
		return nil, nil, err
	}
	armed, err := guard.Arm(set, g.env)
	return set, armed, err
}

// keepOld says why new rules are not in force.
func (g *guardRun) keepOld(why string, err error) {
	tellLines(g.io, g.name, err.Error())
	g.tell("%s: nothing of it is armed; the rules of before stay in force (%s, generation %d)", why, rulesOf(len(g.set.Rules)), g.loaded.Generation)
}

// replace writes the new rules beside the old, switches, and takes the old out.
func (g *guardRun) replace(set *rule.Set, armed *guard.Armed) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.run.session
	next, err := guard.Load(s, armed, g.loaded.Generation+1)
	if err != nil {
		return err
	}
	g.names.add(next)
	if err := next.Switch(s); err != nil {
		return err
	}
	old := g.loaded
	g.set, g.armed, g.loaded = set, armed, next
	counts, err := old.Drop(s)
	g.past.add(old.Rules, counts)
	return err
}

// terminalGone says whether the terminal that sonde was started on has been closed, which is what a hangup meant before it
// was used to ask for a reload.
func (g *guardRun) terminalGone() bool {
	if !g.onTerminal {
		return false
	}
	_, err := unix.IoctlGetTermios(int(g.io.err.Fd()), unix.TCGETS)
	return err != nil
}
