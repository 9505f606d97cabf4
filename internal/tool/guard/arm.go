package guard

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/target"
	"sonde/internal/tool/guard/rule"
)

// Limits of what is armed.
const (
	maxRulesOf   = 256     // about one and the same thing: LIST_MAX in guard.h
	maxWideGlobs = 32      // of any directory: WIDE_MAX in guard.h
	maxMatches   = 10_000  // files that one glob matches, without IKnow
	maxSeen      = 500_000 // names looked at for one rule
	maxDepth     = 256     // of directories below a tree: CLIMB_MAX in guard.h
	maxWatched   = 4096    // directories
	maxNotes     = 100
)

// Env is the machine that rules are armed on. The zero Env is the one that sonde runs on.
type Env struct {
	Root   string                                                                              // the directory that paths start from, "" for /
	Proc   string                                                                              // "" for /proc
	User   func(name string) (uint32, error)                                                   // nil: looked up in /etc/passwd
	Groups func(cgroups []string, container string) (dirs []string, mntns []uint64, err error) // nil: target.Groups
	IKnow  bool                                                                                // rules that would do harm are armed, and noted
}

// Arm resolves rules to what is there now. Of paths it follows links as the kernel would; what they lead to is taken from
// descriptors, not looked up by name again. The error is a rule.Problems: all of it, with places.
func Arm(set *rule.Set, env Env) (*Armed, error) {
	if env.Proc == "" {
		env.Proc = "/proc"
	}
	ids := &identities{proc: env.Proc}
	w, err := newWalker(ids, env.Root)
	if err != nil {
		return nil, err
	}
	defer w.close()
	a := &armer{
		env: env, set: set, walker: w,
		out: &Armed{
			Objects: make(map[Object][]int), Entries: make(map[Entry][]int), Trees: make(map[Object][]int), Names: make(map[string][]int),
			Steps: make(map[Entry]Step),
		},
		watch: make(map[string]map[string]Object),
		globs: make(map[GlobAt]bool),
		wide:  make(map[wideGlob]bool),
	}
	a.findVital()
	for i := range set.Rules {
		a.arm(i)
	}
	if set.File != "" {
		if a.out.File, err = filepath.Abs(set.File); err != nil {
			return nil, fmt.Errorf("%s: %w", set.File, err)
		}
	}
	if len(a.problems) > 0 {
		return nil, a.problems
	}
	a.finish()
	return a.out, nil
}

type armer struct {
	env      Env
	set      *rule.Set
	walker   *walker
	out      *Armed
	problems rule.Problems
	watch    map[string]map[string]Object // WatchFor; nil: all names
	vital    []vital
	globs    map[GlobAt]bool
	wide     map[wideGlob]bool // of the globs, those of more than one directory
	mounts   *mountTable       // nil: not needed yet

	// Of the rule at hand.
	index   int
	rule    *rule.Rule
	pattern rule.Pattern
	caught  []*vital        // by the pattern at hand
	crowded map[string]bool // what it was refused for already
	unnoted int
	noted   map[string]bool
}

// problem says what is wrong with the rule at hand.
func (a *armer) problem(pos rule.Pos, what, todo string) {
	a.problems = append(a.problems, &rule.Problem{File: a.set.File, Pos: pos, What: fmt.Sprintf("rule %s: %s", a.rule.Name, what), Todo: todo})
}

// failed is a problem with the path at hand.
func (a *armer) failed(err error) {
	what, todo := err.Error(), "write a path that can be reached"
	switch {
	case errors.Is(err, unix.ELOOP):
		todo = "links lead in a circle there"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		todo = "run sonde as root"
	case errors.Is(err, unix.ENOTDIR):
		todo = "write a path through directories"
	}
	a.problem(a.pattern.Pos, what, todo)
}

// note tells the user something about the rule at hand.
func (a *armer) note(format string, args ...any) {
	text := fmt.Sprintf("rule %s: ", a.rule.Name) + fmt.Sprintf(format, args...)
	if a.noted == nil {
		a.noted = make(map[string]bool)
	}
	switch {
	case a.noted[text]:
	case len(a.out.Notes) == maxNotes:
		a.unnoted++
	default:
		a.noted[text] = true
		a.out.Notes = append(a.out.Notes, text)
	}
}

func (a *armer) arm(i int) {
	r := &a.set.Rules[i]
	a.index, a.rule, a.crowded = i, r, make(map[string]bool)
	armed := ArmedRule{Name: r.Name, Access: r.Access, Action: r.Action, Errno: r.Errno, Who: a.who(&r.Who)}
	for j := range r.Except {
		armed.Except = append(armed.Except, a.who(&r.Except[j]))
	}
	a.out.Rules = append(a.out.Rules, armed)
	for _, a.pattern = range r.What {
		switch a.pattern.Kind {
		case rule.BaseName:
			a.baseName(a.pattern.Path)
		case rule.Glob:
			a.glob(a.pattern.Path)
		case rule.File, rule.Tree:
			a.path(a.pattern.Path, a.pattern.Kind == rule.Tree, a.pattern.Exact)
		}
		a.judge()
	}
}

// path arms a file, or a directory with all below it. The path itself is armed by its last step, and by that of each link
// at its end, so that it is kept true whatever comes to be there.
func (a *armer) path(name string, tree, exact bool) {
	f, err := a.walker.walk(name)
	if err != nil {
		a.failed(err)
		return
	}
	defer f.close()
	a.watchSteps(f)
	for _, end := range f.ends {
		a.addEntry(end)
	}
	switch {
	case len(f.missing) > 0:
		a.notThere(name, f, tree)
		return
	case tree && !f.obj.isDir():
		a.problem(a.pattern.Pos, fmt.Sprintf("%q is no directory", name), "write the path without a / at its end, or file: before it")
		return
	}
	if links := linked(f); links != "" {
		a.note("%s is a link: armed for %s and for the link's own name", links, f.name)
	}
	if f.obj.isDir() && !exact {
		a.tree(f.top())
	} else {
		a.identified(f.fd, f.name)
		a.addObject(f.obj.Object, f.name)
	}
}

// linked returns the link at the end of the path, "" if there is none.
func linked(f *found) string {
	if len(f.ends) < 2 {
		return ""
	}
	for _, s := range f.steps {
		if s.link && s.dir == f.ends[0].Dir && s.name == f.ends[0].Name {
			return path.Join(s.path, s.name)
		}
	}
	return ""
}

// notThere arms a path that does not exist.
func (a *armer) notThere(name string, f *found, tree bool) {
	at := f.top()
	switch {
	case len(f.missing) > 1:
		a.note("%s is not there, nor is %s: armed as soon as that is made", name, path.Join(at.path, f.missing[0]))
	case tree:
		a.note("%s is not there: its creation is armed; what is below it, as soon as it is made", name)
	default:
		a.note("%s is not there: armed for its creation", name)
	}
}

// tree arms a directory with all below it.
func (a *armer) tree(d dir) {
	if d.obj.Ino == subvolumeRoot && subvolumes(d.fd) {
		a.problem(a.pattern.Pos, fmt.Sprintf("%s is the top of a subvolume, and all of those have the same number in the kernel: the rule would be about every one", d.path),
			"name the directories in it, or a glob of them")
		return
	}
	a.identified(d.fd, d.path)
	a.addTree(d.obj.Object, d.path)
	if !a.harmful() {
		a.hardLinks(d)
		a.mountedTree(d)
	}
}

// baseName arms a name wherever it is.
func (a *armer) baseName(name string) {
	if rule.HasMeta(name) {
		if !hasLiteral(name) {
			a.danger(fmt.Sprintf("%q matches every name there is", name), "put a part of the name into it")
		}
		a.addGlob(GlobAt{Pattern: name, Rule: a.index})
		return
	}
	name = rule.Unescape(name)
	a.checkName(name)
	a.out.Names[name] = a.with(a.out.Names[name], "files called "+name)
}

// hasLiteral says whether a pattern has anything in it that not every byte matches.
func hasLiteral(p string) bool { return strings.Trim(p, "*?") != "" }

// identified notes what cannot be told of a file on its file system.
func (a *armer) identified(fd int, name string) {
	if subvolumes(fd) {
		a.note("%s is on a file system with subvolumes: a file of another one that has the same inode number is taken for it", name)
	}
}

// with appends the rule at hand to the rules about a thing.
func (a *armer) with(rules []int, what string) []int {
	if n := len(rules); n > 0 && rules[n-1] == a.index {
		return rules
	}
	if len(rules) == maxRulesOf {
		if !a.crowded[what] {
			a.crowded[what] = true
			a.problem(a.pattern.Pos, fmt.Sprintf("there are %d rules about %s already", maxRulesOf, what), "join some of them")
		}
		return rules
	}
	return append(rules, a.index)
}

func (a *armer) addObject(o Object, name string) {
	a.checkObject(o)
	a.out.Objects[o] = a.with(a.out.Objects[o], name)
}

func (a *armer) addEntry(e Entry) {
	a.checkEntry(e)
	a.out.Entries[e] = a.with(a.out.Entries[e], e.Name)
}

func (a *armer) addTree(o Object, name string) {
	a.checkTree(o)
	a.out.Trees[o] = a.with(a.out.Trees[o], "all below "+name)
}

func (a *armer) addGlob(g GlobAt) {
	if a.globs[g] {
		return
	}
	a.globs[g] = true
	a.checkGlob(g)
	a.out.Globs = append(a.out.Globs, g)
	if !g.Below && g.Dir != (Object{}) {
		return
	}
	wide := wideGlob{g.Pattern, g.Rule, g.Dir == Object{}}
	if a.wide[wide] {
		return
	}
	a.wide[wide] = true
	if n := len(a.wide); n == maxWideGlobs+1 {
		a.problem(a.pattern.Pos, fmt.Sprintf("%q is glob number %d that is not of one directory", a.pattern.Path, n),
			fmt.Sprintf("at most %d; write directories, trees or names without * instead", maxWideGlobs))
	}
}

// watchSteps watches each directory that a path leads through for the name that it leads to. The last name is the kernel's
// affair, unless it is a link or a directory.
func (a *armer) watchSteps(f *found) {
	a.addSteps(f)
	for i, s := range f.steps {
		if i == len(f.steps)-1 && len(f.missing) == 0 && !f.obj.isDir() {
			break
		}
		a.watchDir(s.path, s.name, s.obj)
	}
}

// watchDir watches a directory for a change of name in it, where now is obj.
func (a *armer) watchDir(dir, name string, obj Object) {
	of, there := a.watch[dir]
	if !there {
		of = make(map[string]Object)
		a.watch[dir] = of
	}
	if of != nil {
		of[name] = obj
	}
}

// watchAll watches a directory for any change of names.
func (a *armer) watchAll(dir string) { a.watch[dir] = nil }

func (a *armer) finish() {
	if a.unnoted > 0 {
		a.out.Notes = append(a.out.Notes, fmt.Sprintf("and %d notes more", a.unnoted))
	}
	a.out.Watch = slices.Sorted(maps.Keys(a.watch))
	if n := len(a.out.Watch); n > maxWatched {
		a.out.Watch = a.out.Watch[:maxWatched]
		a.out.Notes = append(a.out.Notes, fmt.Sprintf("%d directories lead to what the rules name, and %d are watched: reload after changes of others (SIGHUP)", n, maxWatched))
	}
	a.out.WatchFor = make(map[string]map[string]Object)
	for _, dir := range a.out.Watch {
		if of := a.watch[dir]; of != nil {
			a.out.WatchFor[dir] = of
		}
	}
}

func (e Env) groups(cgroups []string, container string) ([]string, []uint64, error) {
	if e.Groups != nil {
		return e.Groups(cgroups, container)
	}
	return target.Groups(cgroups, container)
}
