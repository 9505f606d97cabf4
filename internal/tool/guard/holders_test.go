package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// holds opens files in a process of its own, which ends with the test. Each is "r", "w", "rw" or "path", a colon and the name.
func holds(t *testing.T, files ...string) uint32 {
	t.Helper()
	ready, tell, err := os.Pipe()
	must(t, err)
	wait, end, err := os.Pipe()
	must(t, err)
	exe, err := os.Executable()
	must(t, err)
	env := append(os.Environ(), "SONDE_TEST_HOLDS="+strings.Join(files, "|"))
	p, err := os.StartProcess(exe, []string{"holder"}, &os.ProcAttr{Env: env, Files: []*os.File{wait, tell, os.Stderr}})
	must(t, err)
	tell.Close()
	wait.Close()
	t.Cleanup(func() {
		end.Close()
		p.Wait()
	})
	if n, err := ready.Read(make([]byte, 1)); n != 1 {
		t.Fatal(err)
	}
	return uint32(p.Pid)
}

func TestMain(m *testing.M) {
	if files, ok := os.LookupEnv("SONDE_TEST_HOLDS"); ok {
		if err := hold(strings.Split(files, "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hold is the process that holds.
func hold(files []string) error {
	flags := map[string]int{"r": unix.O_RDONLY, "w": unix.O_WRONLY, "rw": unix.O_RDWR, "path": unix.O_PATH, "map": unix.O_RDWR}
	for _, f := range files {
		how, name, _ := strings.Cut(f, ":")
		fd, err := unix.Open(name, flags[how], 0)
		if err != nil {
			return err
		}
		if how == "map" {
			if _, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
				return err
			}
			unix.Close(fd)
		}
	}
	if _, err := os.Stdout.Write([]byte{1}); err != nil {
		return err
	}
	os.Stdin.Read(make([]byte, 1))
	return nil
}

func TestKernelHolders(t *testing.T) {
	root := grow(t, "secret", "hard = secret", "t/u/f", "g.key", "other", "named", "logged", "map", "link -> secret")
	at := func(name string) string { return filepath.Join(root, name) }
	pid := holds(t, "r:"+at("secret"), "r:"+at("hard"), "rw:"+at("link"), "path:"+at("secret"), "w:"+at("t/u/f"), "r:"+at("t/u/f"),
		"r:"+at("g.key"), "r:"+at("other"), "r:"+at("named"), "r:"+at("logged"), "map:"+at("map"), "r:"+at("t/u"))
	set, err := rule.ParseWords(strings.Fields("log logged kill secret deny t deny *.key deny --read "+filepath.Base(root)+"/nothing deny named deny logged deny map"), root)
	must(t, err)
	set.Rules[1].What[0].Kind, set.Rules[1].What[0].Path = rule.File, at("secret")
	set.Rules[2].What[0].Kind, set.Rules[2].What[0].Path, set.Rules[2].Access = rule.Tree, at("t"), rule.Write
	set.Rules[3].What[0].Kind, set.Rules[3].What[0].Path = rule.Glob, root+"/*.key"
	set.Rules[7].What[0].Kind, set.Rules[7].What[0].Path = rule.File, at("map")
	armed, err := Arm(set, Env{IKnow: true})
	must(t, err)
	all, err := Holders(armed)
	if err != nil {
		t.Log(err) // of processes that are not this test's
	}
	var got []string
	for _, h := range all {
		if h.PID == pid {
			fd := "open"
			if h.FD < 0 {
				fd = "mapped"
			}
			got = append(got, fmt.Sprintf("%s %s %s %s %d", h.Comm, fd, strings.TrimPrefix(h.Path, root), h.Access, h.Rule))
		}
	}
	slices.Sort(got)
	comm := filepath.Base(os.Args[0])[:min(15, len(filepath.Base(os.Args[0])))]
	want := []string{
		comm + " mapped /map read,write 7",
		comm + " open /g.key read 3",
		comm + " open /hard read 1",
		comm + " open /named read 5",
		comm + " open /secret read 1",
		comm + " open /secret read,write,truncate 1",
		comm + " open /t/u/f write 2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	for _, tt := range []struct {
		name string
		who  ArmedWho
		want bool
	}{
		{"everybody", ArmedWho{}, true},
		{"its uid", ArmedWho{UIDs: []uint32{uint32(os.Getuid())}}, true},
		{"another uid", ArmedWho{UIDs: []uint32{12345}}, false},
		{"its pid", ArmedWho{PIDs: []uint32{1, pid}}, true},
		{"another pid", ArmedWho{PIDs: []uint32{1}}, false},
		{"its name", ArmedWho{Comms: []string{comm}}, true},
		{"another name", ArmedWho{Comms: []string{"x"}}, false},
		{"its executable", ArmedWho{Exes: []Object{objectAt(t, os.Args[0])}}, true},
		{"another executable", ArmedWho{Exes: []Object{objectAt(t, at("other"))}}, false},
		{"no executable", ArmedWho{Exes: []Object{}}, false},
		{"another container", ArmedWho{Mntns: []uint64{1}}, false},
		{"a cgroup that is none", ArmedWho{Cgroups: []string{"/sonde-test"}}, false},
		{"the command", ArmedWho{Tree: true}, false},
	} {
		a := *armed
		a.Rules = slices.Clone(armed.Rules)
		a.Rules[1].Who = tt.who
		if got := holdsBy(t, &a, pid, 1); got != tt.want {
			t.Errorf("%s: found %v", tt.name, got)
		}
		a.Rules[1].Who, a.Rules[1].Except = ArmedWho{}, []ArmedWho{{UIDs: []uint32{12345}}, tt.who}
		if got := holdsBy(t, &a, pid, 1); got == tt.want {
			t.Errorf("except %s: found %v", tt.name, got)
		}
	}
}

func holdsBy(t *testing.T, a *Armed, pid uint32, ruleIndex int) bool {
	t.Helper()
	s := newHolderSearch(a, Env{Proc: "/proc"})
	s.process(pid)
	return slices.ContainsFunc(s.found, func(h Holder) bool { return h.PID == pid && h.Rule == ruleIndex })
}

var mappingTests = []struct {
	line   string
	want   Object
	access rule.Access
	text   string
	ok     bool
}{
	{"7f5c1c000000-7f5c1c021000 r-xp 00000000 fe:01 131 /lib/x y.so", Object{0xfe<<20 | 1, 131}, rule.Read | rule.Exec, "/lib/x y.so", true},
	{"7f5c1c000000-7f5c1c021000 rw-s 00000000 00:1f 131                        /a\\012b (deleted)", Object{0x1f, 131}, rule.Read | rule.Write, "/a\nb (deleted)", true},
	{"7f5c1c000000-7f5c1c021000 rw-p 00000000 00:1f 131 /a", Object{0x1f, 131}, rule.Read, "/a", true},
	{"7f5c1c000000-7f5c1c021000 ---p 00000000 00:1f 131 /a", Object{0x1f, 131}, 0, "/a", false},
	{"7f5c1c000000-7f5c1c021000 rw-p 00000000 00:00 0 ", Object{}, 0, "", false},
	{"7f5c1c000000-7f5c1c021000 rw-p 00000000 00:00 0                          [heap]", Object{}, 0, "", false},
	{"", Object{}, 0, "", false},
	{"a b c d e", Object{}, 0, "", false},
	{"a rw 0 0:0 1 /x", Object{}, 0, "", false},
	{"a rwxp 0 fff:fffff 18446744073709551615 /x", Object{0xffffffff, 1<<64 - 1}, rule.Read | rule.Exec, "/x", true},
	{"a rwxp 0 1000:0 1 /x", Object{}, 0, "", false},
}

func TestMapping(t *testing.T) {
	for _, tt := range mappingTests {
		obj, access, text, ok := mapping(tt.line)
		if ok != tt.ok || ok && (obj != tt.want || access != tt.access || text != tt.text) {
			t.Errorf("%q: %v %v %q %v", tt.line, obj, access, text, ok)
		}
	}
}

func FuzzMapping(f *testing.F) {
	for _, tt := range mappingTests {
		f.Add(tt.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if obj, access, _, ok := mapping(line); ok && (obj.Ino == 0 || access == 0) {
			t.Errorf("%q: %v %v", line, obj, access)
		}
	})
}

// A /proc that lies is read as far as it goes.
func TestHoldersOfHostileProc(t *testing.T) {
	root := grow(t, "1/comm", "2/comm", "2/fd/", "2/fdinfo/0", "2/fdinfo/1", "2/maps", "3/fd/", "4x/comm", "99999999999/comm", "5/comm", "5/fd", "self/mountinfo", "f")
	must(t, os.Symlink("../../f", root+"/2/fd/0"), os.Symlink("/nowhere (deleted)", root+"/2/fd/1"), os.Symlink("../../f", root+"/2/fd/-1"),
		os.WriteFile(root+"/2/fdinfo/0", []byte("pos:\t0\nflags:\t0100002\n"), 0o644),
		os.WriteFile(root+"/2/fdinfo/1", []byte("flags:\tnone\n"), 0o644),
		os.WriteFile(root+"/2/maps", []byte(strings.Repeat("x", 1<<20)+"\nnonsense\n"), 0o644),
		os.WriteFile(root+"/2/comm", []byte("evil\n"), 0o644))
	armed := &Armed{Rules: []ArmedRule{{Action: rule.Deny, Access: rule.AllAccess}}, Objects: map[Object][]int{objectAt(t, root+"/f"): {0}}}
	got, err := holders(armed, Env{Proc: root})
	want := []Holder{{PID: 2, Comm: "evil", FD: 0, Path: "../../f", Access: rule.Read | rule.Write | rule.Truncate, Rule: 0}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := holders(armed, Env{Proc: root + "/none"}); err == nil {
		t.Error("no /proc, and no error")
	}
}
