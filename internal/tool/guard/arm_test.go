package guard

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// grow makes files in a new root: "dir/", "file", "link -> target", "name = other" for a hard link.
func grow(t *testing.T, lines ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, line := range lines {
		var err error
		if name, target, ok := strings.Cut(line, " -> "); ok {
			err = os.Symlink(target, filepath.Join(root, name))
		} else if name, other, ok := strings.Cut(line, " = "); ok {
			err = os.Link(filepath.Join(root, other), filepath.Join(root, name))
		} else if strings.HasSuffix(line, "/") {
			err = os.MkdirAll(filepath.Join(root, line), 0o755)
		} else {
			err = os.MkdirAll(filepath.Dir(filepath.Join(root, line)), 0o755)
			if err == nil {
				err = os.WriteFile(filepath.Join(root, line), []byte(line), 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func parse(t *testing.T, line string) *rule.Set {
	t.Helper()
	set, err := rule.ParseWords(strings.Fields(line), "/")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func objectAt(t *testing.T, name string) Object {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		t.Fatal(err)
	}
	return Object{kernelDev(unix.Major(st.Dev), unix.Minor(st.Dev)), st.Ino}
}

// show writes what is armed with paths in place of numbers, one line each, sorted.
func show(t *testing.T, root string, a *Armed) string {
	t.Helper()
	paths := map[Object]string{{}: "anywhere"}
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err == nil {
			o := objectAt(t, name)
			name = "/" + strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
			if other, again := paths[o]; !again || len(name) < len(other) {
				paths[o] = name
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	at := func(o Object) string {
		if p, ok := paths[o]; ok {
			return p
		}
		return fmt.Sprintf("unknown %+v", o)
	}
	var lines []string
	for o, rules := range a.Objects {
		lines = append(lines, fmt.Sprintf("object %s %v", at(o), rules))
	}
	for e, rules := range a.Entries {
		lines = append(lines, fmt.Sprintf("entry %s : %s %v", at(e.Dir), e.Name, rules))
	}
	for o, rules := range a.Trees {
		lines = append(lines, fmt.Sprintf("tree %s %v", at(o), rules))
	}
	for n, rules := range a.Names {
		lines = append(lines, fmt.Sprintf("name %s %v", n, rules))
	}
	for _, g := range a.Globs {
		where := "glob"
		if g.Below {
			where = "glob below"
		}
		lines = append(lines, fmt.Sprintf("%s %s : %s %d", where, at(g.Dir), g.Pattern, g.Rule))
	}
	slices.Sort(lines)
	for _, n := range a.Notes {
		lines = append(lines, "note "+n)
	}
	for _, dir := range a.Watch {
		for _, n := range slices.Sorted(maps.Keys(a.WatchFor[dir])) {
			lines = append(lines, "watch "+dir+" : "+n)
		}
		if a.WatchFor[dir] == nil {
			lines = append(lines, "watch "+dir)
		}
	}
	return strings.Join(lines, "\n")
}

var armTests = []struct {
	name, files, rules string
	want               []string
}{
	{"a file", "etc/shadow", "deny /etc/shadow", []string{
		"entry /etc : shadow [0]", "object /etc/shadow [0]", "watch / : etc",
	}},
	{"several rules about one", "a/b", "deny /a/b kill /a/b log /a", []string{
		"entry / : a [2]", "entry /a : b [0 1]", "object /a/b [0 1]", "tree /a [2]", "watch / : a",
	}},
	{"a link at the end", "a/real|l -> a/real", "deny /l", []string{
		"entry / : l [0]", "entry /a : real [0]", "object /a/real [0]",
		"note rule rule-1: /l is a link: armed for /a/real and for the link's own name", "watch / : a", "watch / : l",
	}},
	{"a link on the way", "run/x|var -> run", "deny /var/x", []string{
		"entry /run : x [0]", "object /run/x [0]", "watch / : run", "watch / : var",
	}},
	{"a link up and out", "a/b/|a/b/l -> ../../../../../c/./d|c/d", "deny /a/b/l", []string{
		"entry /a/b : l [0]", "entry /c : d [0]", "object /c/d [0]",
		"note rule rule-1: /a/b/l is a link: armed for /c/d and for the link's own name",
		"watch / : a", "watch / : c", "watch /a : b", "watch /a/b : l",
	}},
	{"an absolute link stays in the root", "l -> /x|x", "deny /l", []string{
		"entry / : l [0]", "entry / : x [0]", "object /x [0]",
		"note rule rule-1: /l is a link: armed for /x and for the link's own name", "watch / : l",
	}},
	{"a link that leads nowhere", "l -> gone/x", "deny /l", []string{
		"entry / : l [0]", "note rule rule-1: /l is not there, nor is /gone: armed as soon as that is made", "watch / : gone", "watch / : l",
	}},
	{"not there yet", "a/", "deny /a/new", []string{
		"entry /a : new [0]", "note rule rule-1: /a/new is not there: armed for its creation", "watch / : a", "watch /a : new",
	}},
	{"nothing of it there", "a/", "deny /a/b/c/d", []string{
		"note rule rule-1: /a/b/c/d is not there, nor is /a/b: armed as soon as that is made", "watch / : a", "watch /a : b",
	}},
	{"a tree", "a/b/c|a/d|out", "deny /a/", []string{"entry / : a [0]", "tree /a [0]", "watch / : a"}},
	{"a tree with hard links from outside", "a/b/c|a/d|out = a/b/c|a/e = a/d", "deny /a", []string{
		"entry / : a [0]", "object /out [0]", "tree /a [0]", "watch / : a",
	}},
	{"a tree that is not there", "x", "deny tree:/a", []string{
		"entry / : a [0]", "note rule rule-1: /a is not there: its creation is armed; what is below it, as soon as it is made", "watch / : a",
	}},
	{"a directory as a file", "a/b", "deny file:/a", []string{"entry / : a [0]", "object /a [0]", "watch / : a"}},
	{"a base name", "a/b", "kill b kill b*.[ch]", []string{"glob anywhere : b*.[ch] 1", "name b [0]"}},
	{"a glob", "a/x.c|a/y.c|a/z.h|a/d.c/", "deny /a/*.c", []string{
		"glob /a : *.c 0", "object /a/d.c [0]", "object /a/x.c [0]", "object /a/y.c [0]", "watch / : a",
	}},
	{"a glob of directories", "home/u/.ssh/id|home/v/.ssh/id|home/w/|home/l -> u|home/f", "deny /home/*/.ssh/id*", []string{
		"glob /home/u/.ssh : id* 0", "glob /home/v/.ssh : id* 0", "object /home/u/.ssh/id [0]", "object /home/v/.ssh/id [0]",
		"watch / : home", "watch /home", "watch /home/u : .ssh", "watch /home/v : .ssh", "watch /home/w : .ssh",
	}},
	{"a link behind a glob is not followed", "home/u/|home/u/.ssh -> ../../etc|etc/id", "deny /home/*/.ssh/id", []string{
		"watch / : home", "watch /home", "watch /home/u : .ssh",
	}},
	{"a name behind a glob", "home/u/|home/v/key", "deny /home/*/key", []string{
		"entry /home/u : key [0]", "entry /home/v : key [0]", "object /home/v/key [0]", "watch / : home", "watch /home",
	}},
	{"anywhere below", "s/a/k.key|s/k.key|s/a/b/x", "deny /s/**/*.key", []string{
		"glob below /s : *.key 0", "object /s/a/k.key [0]", "object /s/k.key [0]", "watch / : s",
	}},
	{"all below", "s/a/k|s/b", "deny /s/*/**", []string{"tree /s/a [0]", "watch / : s", "watch /s"}},
	{"directories anywhere below", "s/a/conf/k|s/conf/k", "deny /s/**/conf/k", []string{
		"entry /s/a/conf : k [0]", "entry /s/conf : k [0]", "object /s/a/conf/k [0]", "object /s/conf/k [0]",
		"note rule rule-1: /s/**/conf/k: directories made later below /s are taken up a moment after they are made",
		"watch / : s", "watch /s", "watch /s/a", "watch /s/a/conf", "watch /s/conf",
	}},
	{"a glob in what is not there", "x", "deny /no/*.c", []string{"note rule rule-1: /no is not there: /no/*.c is armed as soon as it is made", "watch / : no"}},
	{"escapes", "a*/b|ax/b", `deny /a\*/[b]`, []string{"glob /a* : [b] 0", "object /a*/b [0]", "watch / : a*"}},
}

func TestArm(t *testing.T) {
	for _, tt := range armTests {
		t.Run(tt.name, func(t *testing.T) {
			root := grow(t, strings.Split(tt.files, "|")...)
			armed, err := Arm(parse(t, tt.rules), Env{Root: root})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Join(tt.want, "\n"), show(t, root, armed)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestArmRefuses(t *testing.T) {
	tests := []struct{ name, files, rules, want string }{
		{"a file on the way", "a", "deny /a/b", `rule rule-1: /a/b: /a: not a directory; write a path through directories`},
		{"a circle", "a -> b|b -> a", "deny /a", `rule rule-1: /a: too many levels of symbolic links; links lead in a circle there`},
		{"a file as a tree", "a", "deny /a/", `rule rule-1: "/a" is no directory; write the path without a / at its end, or file: before it`},
		{"a glob in a file", "a", "deny /a/*", `rule rule-1: "/a" is no directory; write a glob in a directory`},
		{"a user", "etc/passwd", "deny --uid nobody /x", `rule rule-1: unknown user "nobody"; give a name from /etc/passwd, or a number`},
		{"a directory as executable", "bin/", "deny --exe /bin /x", `rule rule-1: "/bin" is a directory; an executable is a file; write a path for each`},
		{"every name", "a", "deny *", `rule rule-1: "*" matches every name there is; put a part of the name into it; --i-know arms it nevertheless`},
		{"every name, told", "a", "log ?*", `rule rule-1: "?*" matches every name there is; put a part`},
		{"the root", "a", "deny /", `rule rule-1: / would catch /; name what is meant more closely (fewer files, or only some accesses); --i-know arms it nevertheless`},
		{"all below the root", "a", "deny /**", `rule rule-1: /** would catch /; name what`},
		{"a device", "dev/null", "kill /dev/null", `rule rule-1: /dev/null would catch /dev/null; name what`},
		{"devices", "dev/null", "deny /dev", `rule rule-1: /dev would catch /dev and /dev/null; name`},
		{"by a glob", "dev/null", "deny /de?", `rule rule-1: /de? would catch /dev; name`},
		{"by a glob below", "lib/dev/|dev/null", "deny /**/nul*", `rule rule-1: /**/nul* would catch /dev/null; name`},
		{"by name", "sys/fs/bpf/", "deny bpf", `rule rule-1: bpf would catch /sys/fs/bpf; name`},
		{"by a link", "proc/|p -> proc", "deny /p", `rule rule-1: /p would catch /proc; name`},
		{"by a hard link", "dev/tty|a/|a/x = dev/tty", "deny /a", `rule rule-1: /a would catch /dev/tty; name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := grow(t, strings.Split(tt.files, "|")...)
			_, err := Arm(parse(t, tt.rules), Env{Root: root})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// What is only told, what is allowed, and writing to what others run do no harm; and who knows may do all.
func TestArmHarmless(t *testing.T) {
	root := grow(t, "dev/null", "etc/ld.so.cache")
	for _, rules := range []string{"log /", "allow /", "deny --write /etc", "deny --exec /etc/ld.so.cache"} {
		if _, err := Arm(parse(t, rules), Env{Root: root}); err != nil {
			t.Errorf("%s: %v", rules, err)
		}
	}
	armed, err := Arm(parse(t, "deny / kill *"), Env{Root: root, IKnow: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(armed.Trees) != 1 || len(armed.Globs) != 1 || !slices.Contains(armed.Notes, "rule rule-1: / would catch /, /dev, /dev/null and the dynamic loader's cache, and is armed (--i-know)") {
		t.Errorf("%+v", armed)
	}
}

func TestArmWho(t *testing.T) {
	root := grow(t, "bin/real", "bin/link -> real", "etc/passwd")
	passwd := "root:x:0:0:root:/root:/bin/sh\nbad:x:no:0::/:\nweb:x:33:33::/:\n"
	if err := os.WriteFile(root+"/etc/passwd", []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	set := parse(t, "deny --exe /bin/link --exe /bin/none --uid web --uid 7 --comm sh --except-exe /bin/none x")
	set.Rules[0].Who.Cgroups = []string{"a"}
	set.Rules[0].Who.Container = "b"
	env := Env{Root: root, Groups: func(cgroups []string, container string) ([]string, []uint64, error) {
		return []string{"/cg/" + cgroups[0] + container}, []uint64{5}, nil
	}}
	armed, err := Arm(set, env)
	if err != nil {
		t.Fatal(err)
	}
	want := ArmedRule{
		Name: "rule-1", Access: rule.AllAccess, Action: rule.Deny, Errno: rule.EACCES,
		Who: ArmedWho{
			Exes: []Object{objectAt(t, root+"/bin/real")}, UIDs: []uint32{7, 33}, Comms: []string{"sh"}, Cgroups: []string{"/cg/ab"}, Mntns: []uint64{5},
		},
		Except: []ArmedWho{{Exes: []Object{}}},
	}
	if diff := cmp.Diff(want, armed.Rules[0]); diff != "" {
		t.Error(diff)
	}
	watched := map[string]Object{"link": objectAt(t, root+"/bin/link"), "none": {}, "real": objectAt(t, root+"/bin/real")}
	if diff := cmp.Diff(watched, armed.WatchFor["/bin"]); diff != "" {
		t.Error(diff)
	}
	if len(set.Rules[0].Who.UIDs) != 1 {
		t.Error("the set was changed")
	}
	if _, err := Arm(parse(t, "deny --uid bad x"), env); err == nil || !strings.Contains(err.Error(), "has no number") {
		t.Error(err)
	}
}

func TestArmLimits(t *testing.T) {
	root := grow(t, "a")
	var b strings.Builder
	for range maxRulesOf + 5 {
		b.WriteString("log /a ")
	}
	_, err := Arm(parse(t, b.String()), Env{Root: root})
	if err == nil || !strings.HasPrefix(err.Error(), "rule rule-257: there are 256 rules about a already; join some of them") {
		t.Error(err)
	}
	b.Reset()
	for i := range maxWideGlobs + 1 {
		fmt.Fprintf(&b, "log *.%d ", i)
	}
	_, err = Arm(parse(t, b.String()), Env{Root: root})
	if err == nil || err.Error() != `rule rule-33: "*.32" is glob number 33 that is not of one directory; at most 32; write directories, trees or names without * instead` {
		t.Error(err)
	}
	many := make([]string, 0, maxMatches+1)
	for i := range maxMatches + 1 {
		many = append(many, fmt.Sprintf("d/%d", i))
	}
	root = grow(t, many...)
	_, err = Arm(parse(t, "log /d/*"), Env{Root: root})
	if err == nil || !strings.HasPrefix(err.Error(), "rule rule-1: /d/* matches more than 10000 files; name a tree") {
		t.Error(err)
	}
	armed, err := Arm(parse(t, "log /d/*"), Env{Root: root, IKnow: true})
	if err != nil || len(armed.Objects) != maxMatches+1 {
		t.Error(err)
	}
}

// Problems of a file have their places.
func TestArmPlaces(t *testing.T) {
	root := grow(t, "a")
	set, err := rule.ParseFile("r.yaml", []byte("rules:\n  - name: n\n    action: deny\n    files:\n      - /a/\n      - /a\n    who: {user: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Arm(set, Env{Root: root, User: func(name string) (uint32, error) { return 0, fmt.Errorf("unknown user %q", name) }})
	want := "r.yaml:7:10: rule n: unknown user \"x\"; give a name from /etc/passwd, or a number\n" +
		"r.yaml:5:9: rule n: \"/a\" is no directory; write the path without a / at its end, or file: before it"
	if err == nil || err.Error() != want {
		t.Error(err)
	}
}

// A path whose directories are moved about while it is resolved leads to one of the files that it named at some moment, and
// its entry is in the directory of that file.
func TestArmRace(t *testing.T) {
	root := grow(t, "a/s/f", "b/s/f", "cur -> a")
	files := map[Object]Object{
		objectAt(t, root+"/a/s/f"): objectAt(t, root+"/a/s"),
		objectAt(t, root+"/b/s/f"): objectAt(t, root+"/b/s"),
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			next := []string{"a", "b"}[i%2]
			os.Symlink(next, root+"/next")
			os.Rename(root+"/next", root+"/cur")
			os.Rename(root+"/a/s", root+"/a/t")
			os.Rename(root+"/a/t", root+"/a/s")
		}
	}()
	met := make(map[Object]int)
	for range 500 {
		armed, err := Arm(parse(t, "deny /cur/s/f"), Env{Root: root})
		if err != nil {
			t.Error(err)
			break
		}
		for _, o := range slices.Collect(maps.Keys(armed.Objects)) {
			met[o]++
			if armed.Entries[Entry{files[o], "f"}] == nil {
				t.Errorf("%v is armed, and not its place: %v", o, armed.Entries)
			}
		}
	}
	close(stop)
	<-done
	if len(met) != 2 {
		t.Errorf("met %v of %v", met, files)
	}
}
