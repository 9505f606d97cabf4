//go:build guest

package guard_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/stream"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
)

const childEnv = "SONDE_GUARD_TEST_CHILD"

// TestGuestChild is what child processes do: open the files that come on their standard input, a line each, and say what
// came of it.
func TestGuestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("only by other tests")
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fd, err := unix.Open(in.Text(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		fmt.Printf("child: %v\n", err)
	}
	os.Exit(0)
}

// child is another process that opens what it is told.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func beginChild(t *testing.T, exe string, prepare func(*exec.Cmd)) *child {
	t.Helper()
	cmd := exec.Command(exe, "-test.run=^TestGuestChild$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	if prepare != nil {
		prepare(cmd)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd, in, bufio.NewScanner(out)}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return c
}

// open returns what the child says, "" if it is gone.
func (c *child) open(t *testing.T, path string) string {
	t.Helper()
	_, _ = fmt.Fprintln(c.in, path)
	for c.out.Scan() {
		if said, ok := strings.CutPrefix(c.out.Text(), "child: "); ok {
			return said
		}
	}
	return ""
}

func testBinary(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// A rule is about those that it describes, and not about those that its exceptions describe.
func TestGuestWho(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		file := write(t, filepath.Join(t.TempDir(), "secret"))
		if err := os.Chmod(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		content, err := os.ReadFile(testBinary(t))
		if err == nil {
			err = os.WriteFile(copied, content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		outer := filepath.Join("/sys/fs/cgroup", "sonde-guard-"+string(g.mechanism))
		inner := filepath.Join(outer, "in", "ner")
		if err := os.MkdirAll(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		defer func() {
			for _, dir := range []string{inner, filepath.Dir(inner), outer} {
				os.Remove(dir)
			}
		}()
		plain := beginChild(t, testBinary(t), nil)
		special := beginChild(t, copied, func(c *exec.Cmd) {
			c.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		})
		for _, c := range []*child{plain, special} {
			if said := c.open(t, file); said != "<nil>" {
				t.Fatalf("without a rule: %s", said)
			}
		}
		if err := os.WriteFile(filepath.Join(inner, "cgroup.procs"), fmt.Append(nil, special.cmd.Process.Pid), 0); err != nil {
			t.Fatal(err)
		}
		var ns unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/mnt", special.cmd.Process.Pid), &ns); err != nil {
			t.Fatal(err)
		}
		for name, who := range map[string]guard.ArmedWho{
			"exe":      {Exes: []guard.Object{{Dev: 1, Ino: 1}, objectOf(t, copied)}},
			"pid":      {PIDs: []uint32{uint32(special.cmd.Process.Pid)}},
			"comm":     {Comms: []string{"other", "copy"}},
			"cgroup":   {Cgroups: []string{outer}},
			"mntns":    {Mntns: []uint64{ns.Ino}},
			"all":      {Exes: []guard.Object{objectOf(t, copied)}, UIDs: []uint32{0}, Comms: []string{"copy"}, Cgroups: []string{inner}},
			"not both": {Exes: []guard.Object{objectOf(t, copied)}, UIDs: []uint32{1}},
			"nobody":   {UIDs: []uint32{}},
		} {
			t.Run(name, func(t *testing.T) {
				wantSpecial, wantPlain := "permission denied", "<nil>"
				if name == "not both" || name == "nobody" {
					wantSpecial = "<nil>"
				}
				r := deny(unix.EACCES, rule.Read)
				r.Who = who
				g.load(t, objectRule(objectOf(t, file), r))
				if a, b := special.open(t, file), plain.open(t, file); a != wantSpecial || b != wantPlain {
					t.Errorf("who: %s and %s, want %s and %s", a, b, wantSpecial, wantPlain)
				}
				// As an exception, among others, it is the other way round.
				r.Who, r.Except = guard.ArmedWho{}, []guard.ArmedWho{{UIDs: []uint32{4711}}, {PIDs: []uint32{1}, Comms: []string{"x"}}, who}
				g.load(t, objectRule(objectOf(t, file), r))
				a, b := special.open(t, file), plain.open(t, file)
				if denied := wantSpecial != "<nil>"; (a == "<nil>") != denied || b != "permission denied" {
					t.Errorf("except: %s and %s", a, b)
				}
			})
		}
		g.off(t)
	})
}

// Directories deeper than the programs climb count as below every tree; those that are not so deep do not.
func TestGuestDepth(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		top, elsewhere := t.TempDir(), t.TempDir()
		descend := func(from string, depth int) int {
			fd, err := unix.Open(from, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			for range depth {
				if err == nil {
					err = unix.Mkdirat(fd, "d", 0o755)
				}
				if errors.Is(err, unix.EEXIST) {
					err = nil
				}
				below := -1
				if err == nil {
					below, err = unix.Openat(fd, "d", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
				}
				unix.Close(fd)
				fd = below
			}
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}
		readIn := func(dir int) error {
			fd, err := unix.Openat(dir, "file", unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}
		shallow := t.TempDir()
		dirs := map[string]int{
			"20 below": descend(top, 20), "300 below": descend(filepath.Join(top, "d"), 280),
			"elsewhere": descend(elsewhere, 200), "600 elsewhere": descend(shallow, 600),
		}
		for _, fd := range dirs {
			defer unix.Close(fd)
			if err := readIn(fd); err != nil {
				t.Fatal(err)
			}
		}
		g.load(t, guard.Armed{Rules: []guard.ArmedRule{deny(unix.EPERM, rule.Read)}, Trees: map[guard.Object][]int{objectOf(t, top): {0}}})
		for name, fd := range dirs {
			want := error(unix.EPERM)
			if name == "elsewhere" {
				want = nil
			}
			if err := readIn(fd); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
		g.off(t)
	})
}

// Ten thousand rules, and the last of them.
func TestGuestManyRules(t *testing.T) {
	vmtest.Need(t, kernel.FmodRet)
	file := write(t, filepath.Join(t.TempDir(), "secret"))
	a := guard.Armed{Objects: map[guard.Object][]int{}}
	for i := range 9999 {
		a.Rules = append(a.Rules, deny(unix.EPERM, rule.AllAccess))
		a.Objects[guard.Object{Dev: 1, Ino: uint64(i)}] = []int{i}
	}
	a.Rules = append(a.Rules, deny(unix.EACCES, rule.Read))
	a.Objects[objectOf(t, file)] = []int{9999}
	g := begin(t, guard.Options{Mechanism: guard.FmodRet, Sizes: guard.SizesFor(&a)})
	for range 3 { // of which two are there at once
		g.load(t, a)
		if err := reads(file); !errors.Is(err, unix.EACCES) {
			t.Errorf("%v", err)
		}
	}
	if n := g.counts(t)[9999]; n.Denied != 1 {
		t.Errorf("%+v", n)
	}
	g.off(t)
}

// While rules are loaded again and again, none of them is ever not in force.
func TestGuestReload(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		dir := t.TempDir()
		file := write(t, filepath.Join(dir, "secret"))
		sets := []guard.Armed{
			objectRule(objectOf(t, file), deny(unix.EACCES, rule.Read)),
			{Rules: []guard.ArmedRule{deny(unix.EPERM, rule.Read), deny(unix.EACCES, rule.Read)}, Trees: map[guard.Object][]int{objectOf(t, dir): {1}}},
			{Rules: []guard.ArmedRule{deny(unix.EACCES, rule.Read)}, Entries: map[guard.Entry][]int{{Dir: objectOf(t, dir), Name: "secret"}: {0}}},
			{Rules: []guard.ArmedRule{deny(unix.EACCES, rule.Read)}, Globs: []guard.GlobAt{{Pattern: "sec*", Rule: 0}}},
		}
		g.load(t, sets[0])
		var done atomic.Bool
		var tried, through atomic.Uint64
		ended := make(chan struct{})
		for range 2 {
			go func() {
				for !done.Load() {
					fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
					if err == nil {
						unix.Close(fd)
					}
					if !errors.Is(err, unix.EACCES) {
						through.Add(1)
					}
					tried.Add(1)
				}
				ended <- struct{}{}
			}()
		}
		for i := range 60 {
			g.load(t, sets[i%len(sets)])
		}
		done.Store(true)
		<-ended
		<-ended
		// LSM programs always run. Others the kernel leaves out while they are preempted on the CPU, and counts that.
		left := uint64(0)
		if g.mechanism != guard.LSM {
			cost, err := g.Cost()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range cost.Missed {
				left += m.N
			}
		}
		if tried.Load() < 60 || through.Load() > left {
			t.Errorf("%d of %d opens were not denied while rules were loaded, %d were left out", through.Load(), tried.Load(), left)
		}
		if left > 0 && !attach.PreemptsRawTracepoints() {
			t.Errorf("%d left out, on a kernel that does not preempt such programs", left)
		}
		g.off(t)
	})
}

// Kills, denials with a kill, dry runs, the deadline, the limit; each counted and told.
func TestGuestActions(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		file := write(t, filepath.Join(t.TempDir(), "secret"))
		object := objectOf(t, file)
		with := func(a rule.Action) guard.Armed {
			r := deny(unix.EACCES, rule.Read)
			r.Action = a
			return objectRule(object, r)
		}
		records := g.records(t)
		for _, c := range []struct {
			name    string
			action  rule.Action
			mode    uint64
			outcome guard.Outcome
			count   guard.Counts
			said    string // by the child
		}{
			{"log", rule.Log, guard.ModeArmed, guard.Logged, guard.Counts{Matches: 1, Logged: 1}, "<nil>"},
			{"deny", rule.Deny, guard.ModeArmed, guard.Denied, guard.Counts{Matches: 1, Denied: 1}, "permission denied"},
			{"kill", rule.Kill, guard.ModeArmed, guard.Killed, guard.Counts{Matches: 1, Killed: 1}, ""},
			{"deny and kill", rule.DenyKill, guard.ModeArmed, guard.Denied, guard.Counts{Matches: 1, Denied: 1, Killed: 1}, ""},
			{"dry", rule.DenyKill, guard.ModeDry, guard.DryRun, guard.Counts{Matches: 1, Dry: 1}, "<nil>"},
			{"off", rule.Deny, guard.ModeOff, 0, guard.Counts{}, "<nil>"},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := beginChild(t, testBinary(t), nil)
				p.open(t, "/")
				g.load(t, with(c.action))
				g.set(guard.ModeWord, c.mode)
				if said := p.open(t, file); said != c.said {
					t.Errorf("the child says %q, want %q", said, c.said)
				}
				g.set(guard.ModeWord, guard.ModeArmed)
				if n := g.counts(t)[0]; n != c.count {
					t.Errorf("counted %+v, want %+v", n, c.count)
				}
				told := records()
				if c.outcome == 0 {
					if len(told) != 0 {
						t.Errorf("told of %+v", told)
					}
					return
				}
				if len(told) != 1 {
					t.Fatalf("%d records", len(told))
				}
				e := told[0]
				if e.Outcome != c.outcome || e.Action != c.action || e.Access != rule.Read || e.Mechanism != g.mechanism || e.Match != guard.ByObject ||
					e.PID != uint32(p.cmd.Process.Pid) || e.Ino != object.Ino || e.Dev != object.Dev || string(e.AppendFile(nil)) != file {
					t.Errorf("record %+v of %s", e, e.AppendFile(nil))
				}
				if want := int32(0); c.outcome == guard.Denied {
					want = -int32(unix.EACCES)
					if e.Ret != want {
						t.Errorf("it says %d was returned", e.Ret)
					}
				}
			})
		}
		t.Run("by a name", func(t *testing.T) {
			r := deny(unix.EACCES, rule.Delete)
			g.load(t, guard.Armed{Rules: []guard.ArmedRule{r}, Trees: map[guard.Object][]int{objectOf(t, filepath.Dir(file)): {0}}})
			records()
			if err := os.Remove(file); !errors.Is(err, unix.EACCES) {
				t.Errorf("%v", err)
			}
			told := records()
			if len(told) != 1 || told[0].Access != rule.Delete || told[0].Match != guard.ByTree {
				t.Fatalf("told of %+v", told)
			}
			// From the root of its file system on: this hook does not know the mount.
			if name := string(told[0].AppendFile(nil)); !strings.HasSuffix(file, name) || !strings.HasSuffix(name, "/secret") {
				t.Errorf("%q, want an end of %q", name, file)
			}
		})
		t.Run("self", func(t *testing.T) {
			g.load(t, with(rule.Deny))
			g.set(guard.SelfWord, uint64(os.Getpid()))
			if err := reads(file); err != nil {
				t.Error(err)
			}
			p := beginChild(t, testBinary(t), nil)
			p.open(t, "/")
			g.set(guard.SelfWord, uint64(p.cmd.Process.Pid))
			if said := p.open(t, file); said != "<nil>" {
				t.Errorf("the process that is exempt: %s", said)
			}
			p.in.Close()
			_ = p.cmd.Wait()
			if n, err := g.Word(guard.SelfWord); err != nil || n != 0 {
				t.Errorf("after its end process %d is exempt (%v)", n, err)
			}
		})
		t.Run("deadline", func(t *testing.T) {
			g.load(t, with(rule.Deny))
			var now unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
				t.Fatal(err)
			}
			g.set(guard.DeadlineWord, uint64(now.Nano())+uint64(time.Hour))
			if err := reads(file); !errors.Is(err, unix.EACCES) {
				t.Errorf("before: %v", err)
			}
			g.set(guard.DeadlineWord, uint64(now.Nano()))
			if err := reads(file); err != nil {
				t.Errorf("after: %v", err)
			}
			g.set(guard.DeadlineWord, 0)
		})
		t.Run("limit", func(t *testing.T) {
			records()
			g.load(t, with(rule.Deny))
			g.set(guard.MaxDeniesWord, 5)
			const tries = 300
			var denied uint64
			began := time.Now()
			for range tries {
				if err := reads(file); errors.Is(err, unix.EACCES) {
					denied++
				}
			}
			seconds := uint64(time.Since(began)/time.Second) + 2 // those that it touched
			g.set(guard.MaxDeniesWord, 0)
			n := g.counts(t)[0]
			if n.Matches != tries || n.Denied != denied || n.Limited != tries-denied || denied < 5 || denied > 5*seconds {
				t.Errorf("%d denied in %d s, counted %+v", denied, seconds, n)
			}
			var limited uint64
			for _, e := range records() {
				if e.Outcome == guard.Limited {
					limited++
				}
			}
			if limited+n.Unsent != n.Limited {
				t.Errorf("%d records of %d", limited, n.Limited)
			}
		})
		g.off(t)
	})
}

// records returns a function that reads what has come since it was last called, from both rings.
func (g *armed) records(t *testing.T) func() []*guard.Event {
	t.Helper()
	var readers []*stream.Reader
	for _, ring := range []string{"urgent", "records"} {
		r, err := stream.NewReader(g.Map(ring))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		readers = append(readers, r)
	}
	return func() (events []*guard.Event) {
		t.Helper()
		for _, r := range readers {
			if _, err := r.Drain(func(rec prog.Record) error {
				e := new(guard.Event)
				if err := e.Decode(rec.Body); err != nil {
					return err
				}
				events = append(events, e)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		return events
	}
}

// A denial is counted where nobody reads and its record finds no room.
func TestGuestRingFull(t *testing.T) {
	vmtest.Need(t, kernel.FmodRet)
	g := begin(t, guard.Options{Mechanism: guard.FmodRet, RingBytes: 4096, UrgentBytes: 4096})
	file := write(t, filepath.Join(t.TempDir(), "secret"))
	g.load(t, objectRule(objectOf(t, file), deny(unix.EACCES, rule.Read)))
	const tries = 200
	for range tries {
		if err := reads(file); !errors.Is(err, unix.EACCES) {
			t.Fatal(err)
		}
	}
	n := g.counts(t)[0]
	told := uint64(len(g.records(t)()))
	if n.Denied != tries || n.Unsent == 0 || told+n.Unsent != tries {
		t.Errorf("%d records of %d, counted %+v", told, tries, n)
	}
	g.off(t)
}
