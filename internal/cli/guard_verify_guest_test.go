//go:build guest

package cli

import (
	"bytes"
	"context"
	"os"
	"slices"
	"sync"
	"testing"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
	"sonde/internal/vmtest/fetch"
)

// guardBy loads guard by one mechanism, for the length of a test.
func guardBy(t *testing.T, m guard.Mechanism) *guardSession {
	t.Helper()
	g, err := openGuard(t.Context(), []guard.Mechanism{m}, func(m guard.Mechanism) (*prog.Spec, error) {
		return guard.Spec(guardOptions(m))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.close() })
	return g
}

// shapesHere are the shapes of rules that are tried in this guest: the oldest and the newest kernel stand for those between.
func shapesHere() []bypass.Shape {
	if g := vmtest.Guest(); g == "6.1" || g == "6.12" {
		return []bypass.Shape{bypass.File, bypass.Create}
	}
	return bypass.Shapes
}

// control is what the whole list finds without a rule, for all tests of this binary.
var control = sync.OnceValues(func() (bypass.Control, error) {
	s := bypass.NewSurvey()
	s.Shapes = shapesHere()
	return s.Control(context.Background())
})

// verifierOf tries ways of these groups against rules of these shapes.
func verifierOf(t *testing.T, shapes []bypass.Shape, groups ...bypass.Group) *verifier {
	t.Helper()
	v := newVerifier(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	v.survey.Shapes = shapes
	v.survey.Ways = slices.DeleteFunc(slices.Clone(bypass.Ways()), func(w *bypass.Way) bool { return !slices.Contains(groups, w.Group) })
	var err error
	if v.control, err = control(); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *verifier) column(t *testing.T, g *guardSession) *bypass.Column {
	t.Helper()
	c, err := v.under(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		return c
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		var b bytes.Buffer
		if err := (&bypass.Report{Columns: []*bypass.Column{c}}).WriteText(&b); err == nil {
			t.Log("\n" + b.String())
		}
	})
	return c
}

var everyGroup = []bypass.Group{bypass.Opens, bypass.More, bypass.Changes, bypass.Creates, bypass.Held}

// left are the ways that guard does not cover, on any kernel, and says so.
var left = []string{
	"mount over it", "read", "io_uring read", "sendfile", "splice", "copy_file_range", "mapping", "write", "fallocate",
}

// leftOn are ways that guard covers on newer kernels only, under rules of some shapes: until 6.4 overlayfs opened the file below itself under the path above.
var leftOn = map[string][]string{"overlay": {"5.10", "6.1"}}

// absent are the ways that some kernel of the tests does not have. All others must be possible in all guests.
var absent = map[string][]string{
	"file_setattr":   {"5.10", "6.1", "6.12"},
	"ioctl of flags": {"5.10"},
}

// The best mechanism is gone through with rules of all shapes; the other, whose hooks run the same programs, with a rule
// about the file.
func TestGuestVerify(t *testing.T) {
	best := true
	for _, m := range []struct {
		mechanism guard.Mechanism
		feature   kernel.Feature
	}{{guard.LSM, kernel.LSM}, {guard.FmodRet, kernel.FmodRet}} {
		t.Run(string(m.mechanism), func(t *testing.T) {
			vmtest.Need(t, m.feature)
			g := guardBy(t, m.mechanism)
			if !best {
				everyWay(t, g, []bypass.Shape{bypass.File}, []bypass.Group{bypass.Opens, bypass.More, bypass.Changes, bypass.Held})
				return
			}
			best = false
			everyWay(t, g, shapesHere(), everyGroup)
		})
	}
}

// Rules that forbid less are seen to, and so are rules that are worse.
func TestGuestEndsVerify(t *testing.T) {
	m := guard.FmodRet
	if attach.Try(kernel.LSM).State == kernel.Present {
		m = guard.LSM
	}
	vmtest.Need(t, kernel.FmodRet)
	g := guardBy(t, m)
	t.Run("nothing but that access", func(t *testing.T) { onlyThatAccess(t, g) })
	t.Run("another access", func(t *testing.T) { anotherAccess(t, g) })
	t.Run("worse rules", func(t *testing.T) { worseRules(t, g) })
}

func everyWay(t *testing.T, g *guardSession, shapes []bypass.Shape, groups []bypass.Group) {
	v := verifierOf(t, shapes, groups...)
	c := v.column(t, g)
	if !c.Enforces() {
		t.Error("not every way to open a file is covered")
	}
	for _, w := range v.survey.Ways {
		want := bypass.Covered
		switch {
		case slices.Contains(absent[w.Name], vmtest.Guest()):
			want = bypass.NotHere
		case slices.Contains(left, w.Name) || len(shapes) > 1 && slices.Contains(leftOn[w.Name], vmtest.Guest()):
			want = bypass.NotCovered
		}
		cell := c.Cell(w)
		if cell.Verdict == bypass.NotMeant && len(shapes) < len(bypass.Shapes) {
			continue // only a rule of another shape means it
		}
		if cell.Verdict != want {
			t.Errorf("%s: %v (%s), want %v", w.Name, cell, cell.Why, want)
		}
	}
}

// accessOf is what a rule forbids that is about the way alone.
func accessOf(m bypass.Meant) rule.Access {
	for i, name := range rule.AllAccess.Names() {
		if name == m.Access {
			return 1 << i
		}
	}
	return 0
}

// A rule that forbids just what a way does covers it.
func onlyThatAccess(t *testing.T, g *guardSession) {
	for shape, groups := range map[bypass.Shape][]bypass.Group{
		bypass.File:   {bypass.Opens, bypass.More, bypass.Changes},
		bypass.Create: {bypass.Creates},
	} {
		v := verifierOf(t, []bypass.Shape{shape}, groups...)
		v.access = accessOf
		c := v.column(t, g)
		for _, w := range v.survey.Ways {
			cell := c.Cell(w)
			if cell.Verdict == bypass.NotCovered && !slices.Contains(left, w.Name) || cell.Verdict == bypass.Unproven {
				t.Errorf("%s, where %s is forbidden: %v (%s)", w.Name, w.Access, cell, cell.Why)
			}
		}
	}
}

// A rule that forbids all but what a way does lets it through: what it does is not taken for something else.
func anotherAccess(t *testing.T, g *guardSession) {
	v := verifierOf(t, []bypass.Shape{bypass.File}, bypass.Opens)
	v.access = func(m bypass.Meant) rule.Access { return rule.AllAccess &^ accessOf(m) }
	c := v.column(t, g)
	for _, w := range v.survey.Ways {
		if cell := c.Cell(w); cell.Verdict != bypass.NotCovered {
			t.Errorf("%s, where all but %s is forbidden: %v (%s)", w.Name, w.Access, cell, cell.Why)
		}
	}
}

// Rules that go by names only, as the blockers of tutorials do, or by nothing, are seen to be worse.
func worseRules(t *testing.T, g *guardSession) {
	for _, tc := range []struct {
		name   string
		worse  func(*guard.Armed)
		around []string
	}{
		{"without the file's identity", func(a *guard.Armed) { clear(a.Objects) }, []string{"hard link"}},
		{"by its last name", func(a *guard.Armed) {
			a.Names = make(map[string][]int)
			for e, rules := range a.Entries {
				a.Names[e.Name] = rules
			}
			clear(a.Objects)
			clear(a.Entries)
		}, []string{"hard link"}},
		{"without anything", func(a *guard.Armed) {
			clear(a.Objects)
			clear(a.Entries)
		}, []string{"openat", "hard link", "bind mount", "io_uring", "execve", "flipped string"}},
	} {
		v := verifierOf(t, []bypass.Shape{bypass.File}, bypass.Opens)
		v.weaken = tc.worse
		c := v.column(t, g)
		if c.Enforces() {
			t.Errorf("%s: it is said to be enforced", tc.name)
		}
		for _, name := range tc.around {
			if cell := c.Cell(bypass.Find(name)); cell.Verdict != bypass.NotCovered {
				t.Errorf("%s: %s: %v (%s)", tc.name, name, cell, cell.Why)
			}
		}
	}
}

// A kill comes late: the process dies, and what it asked for is done.
func TestGuestVerifyKill(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe)
	g := guardBy(t, guard.Kill)
	v := verifierOf(t, []bypass.Shape{bypass.File}, bypass.Opens, bypass.More, bypass.Changes)
	c := v.column(t, g)
	if c.Enforces() {
		t.Error("it is said to be enforced")
	}
	for _, w := range v.survey.Ways {
		cell := c.Cell(w)
		switch {
		case cell.Verdict == bypass.NotHere || cell.Verdict == bypass.NotMeant || slices.Contains(left, w.Name):
		case cell.Verdict != bypass.Late:
			t.Errorf("%s: %v (%s), want late", w.Name, cell, cell.Why)
		case w.Access == "truncate" && cell.Why != "changed: contents":
			t.Errorf("%s: the file was not emptied: %v (%s)", w.Name, cell, cell.Why)
		}
	}
}

// written are the ways that the path as it is written gives away: override covers them. Those that are about a descriptor
// without a path are covered by the file that it is for.
var written = map[bypass.Group][]string{
	bypass.Opens: {"openat", "open", "openat2", "double slash", "dot-dot", "relative name", "dirfd", "chroot", "execve"},
	bypass.More: {
		"for writing", "O_TRUNC", "O_TRUNC, read-only", "creat", "another thread", "RESOLVE_IN_ROOT", "linked, then opened", "renamed, then opened", "execveat", "fexecve",
	},
	bypass.Changes: {
		"truncate", "link", "rename", "rename onto it", "exchange", "exchange, first", "rename of its directory", "unlink", "rmdir", "chmod", "chown", "utimensat",
		"setxattr", "removexattr", "access control list", "file_setattr",
	},
	bypass.Creates: {"O_CREAT", "creat, new", "mknod", "mkdir", "symlink, new", "link to there", "rename to there", "O_TMPFILE"},
	bypass.Held:    {"ftruncate", "fchmod", "fchown", "fsetxattr"},
}

// around are some of the ways that get around override, as everybody is told.
var around = []string{"symlink", "hard link", "/proc/self/root", "bind mount of the file", "O_PATH", "file handle", "io_uring"}

// Override goes by what the caller writes. What that gives away is covered, and what it does not is seen to be a hole.
func TestGuestVerifyOverride(t *testing.T) {
	vmtest.Need(t, whatItNeeds(guard.Override))
	g := guardBy(t, guard.Override)
	try := func(shape bypass.Shape, access func(bypass.Meant) rule.Access, names ...string) (*bypass.Column, []*bypass.Way) {
		v := newVerifier(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
		v.survey.Places, v.survey.Shapes, v.survey.Ways = v.survey.Places[:1], []bypass.Shape{shape}, nil
		for _, name := range names {
			v.survey.Ways = append(v.survey.Ways, bypass.Find(name))
		}
		var err error
		if v.control, err = v.survey.Control(t.Context()); err != nil {
			t.Fatal(err)
		}
		if access != nil {
			v.access = access
		}
		return v.column(t, g), v.survey.Ways
	}
	for _, tc := range []struct {
		name   string
		shape  bypass.Shape
		access func(bypass.Meant) rule.Access
		groups []bypass.Group
	}{
		{"file", bypass.File, nil, []bypass.Group{bypass.Opens, bypass.More, bypass.Changes, bypass.Held}},
		{"file, only that access", bypass.File, accessOf, []bypass.Group{bypass.Opens, bypass.Changes}},
		{"tree", bypass.Tree, nil, []bypass.Group{bypass.Opens, bypass.Changes}},
		{"name", bypass.Base, nil, []bypass.Group{bypass.Opens}},
		{"create", bypass.Create, accessOf, []bypass.Group{bypass.Creates}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var names []string
			for _, group := range tc.groups {
				names = append(names, written[group]...)
			}
			c, ways := try(tc.shape, tc.access, names...)
			for _, w := range ways {
				if cell := c.Cell(w); cell.Verdict == bypass.NotHere && vmtest.Guest() == fetch.OwnImage {
					t.Logf("%s: %s", w.Name, cell.Why) // what there is in that kernel is not known
				} else if cell.Verdict != bypass.Covered && cell.Verdict != bypass.NotMeant {
					t.Errorf("%s: %v (%s)", w.Name, cell, cell.Why)
				}
			}
		})
	}
	t.Run("around it", func(t *testing.T) {
		c, ways := try(bypass.File, nil, around...)
		for _, w := range ways {
			if cell := c.Cell(w); cell.Verdict != bypass.NotCovered {
				t.Errorf("%s: %v (%s)", w.Name, cell, cell.Why)
			}
		}
		if c.Enforces() {
			t.Error("it is said to be enforced")
		}
	})
	t.Run("another access", func(t *testing.T) {
		others := func(m bypass.Meant) rule.Access { return rule.AllAccess &^ accessOf(m) }
		c, ways := try(bypass.File, others, written[bypass.Opens]...)
		for _, w := range ways {
			if cell := c.Cell(w); cell.Verdict != bypass.NotCovered {
				t.Errorf("%s, where all but %s is forbidden: %v (%s)", w.Name, w.Access, cell, cell.Why)
			}
		}
	})
}

// The mechanism that is chosen is the strongest that works, and why the stronger ones do not is told.
func TestGuestChoice(t *testing.T) {
	vmtest.Need(t, kernel.FmodRet)
	g, err := openGuard(t.Context(), guard.Mechanisms(), func(m guard.Mechanism) (*prog.Spec, error) {
		return guard.Spec(guardOptions(m))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if attach.Try(kernel.LSM).State == kernel.Present {
		if g.mechanism != guard.LSM || len(g.refused) > 0 {
			t.Errorf("%s, because %v", g.mechanism, g.refused)
		}
		return
	}
	// On 5.10 LSM programs are attached without an error, and never asked.
	if g.mechanism != guard.FmodRet || len(g.refused) != 1 || g.refused[0].mechanism != guard.LSM {
		t.Fatalf("%s, because %v", g.mechanism, g.refused)
	}
	if why := g.refused[0].err.Error(); !bytes.Contains([]byte(why), []byte("attached and never asked, because bpf is not among the active security modules (")) {
		t.Error(why)
	}
}
