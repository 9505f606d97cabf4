package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// waitsThenAsks makes a program that waits for the end of its input, and then calls outer, and that malloc, twenty times.
func waitsThenAsks(t *testing.T, path string) {
	t.Helper()
	writeAllocator(t, path, 20, allocation{"malloc", 100, false})
}

var askedTwenty = []string{"4000 in 1 malloc<hidden no_frame_pointer", "2000 in 20 malloc<outer<_start complete"}

// contained starts a program as in a container: with a root, a mount namespace and process numbers of its own. Where the program is in
// there, there is another one here.
func contained(t *testing.T, program string, files ...string) (p *process, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	writeProgram(t, path, userFunction{name: "outer", number: 1})
	cmd := exec.Command(as(t, "role-contained"), append([]string{t.TempDir(), path, program + "=" + path}, files...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	p = begin(t, cmd)
	until(t, "it runs the program", func() bool {
		if p.ended() {
			t.Fatalf("it has ended: %s", p.stderr(t))
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.cmd.Process.Pid))
		return string(name) == "program\n"
	})
	return p, path
}

// deleted starts a program whose file is gone, and another is in its place.
func deleted(t *testing.T) (p *process, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	waitsThenAsks(t, path)
	p = begin(t, exec.Command(path))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeProgram(t, path, userFunction{name: "outer", number: 1})
	return p, path
}

// The memory of processes whose files are not where their paths lead from here.
func TestKernelMallocOfOtherWorlds(t *testing.T) {
	needMalloc(t)
	t.Run("deleted", func(t *testing.T) {
		p, _ := deleted(t)
		rows, stderr := mallocRowsOf(t, p)
		if diff := cmp.Diff(askedTwenty, rows); diff != "" {
			t.Errorf("(-want +got)\n%s%s", diff, stderr)
		}
	})
	t.Run("contained", func(t *testing.T) {
		static := filepath.Join(t.TempDir(), "static")
		waitsThenAsks(t, static)
		p, _ := contained(t, static)
		rows, stderr := mallocRowsOf(t, p)
		if diff := cmp.Diff(askedTwenty, rows); diff != "" {
			t.Errorf("(-want +got)\n%s%s", diff, stderr)
		}
	})
	t.Run("contained with a C library", func(t *testing.T) {
		program := compileAsker(t, "gcc", "asks.c", asksTenTimes)
		var files []string
		for _, line := range strings.Split(outputOf(t, "ldd", program), "\n") {
			for _, word := range strings.Fields(line) {
				if filepath.IsAbs(word) {
					files = append(files, word+"="+word)
				}
			}
		}
		p, path := contained(t, program, files...)
		rows, stderr := mallocRowsOf(t, p)
		if diff := cmp.Diff(askedTenTimes("memalign"), fromMain(rows)); diff != "" {
			t.Errorf("%s (-want +got)\n%s%s", path, diff, stderr)
		}
	})
	t.Run("stripped", func(t *testing.T) {
		p := begin(t, exec.Command(compileAsker(t, "gcc", "asks.c", asksTenTimes, "-s"), "waits"))
		rows, stderr := mallocRowsOf(t, p)
		var got []string
		for _, row := range rows { // the addresses in the program have no names
			got = append(got, regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(strings.Split(row, "<__libc")[0], "?"))
		}
		want := []string{
			"10485760 in 10 malloc<?<?", "4480 in 10 memalign<?<?", "660 in 10 posix_memalign<?<?", "550 in 10 calloc<?<?",
			"220 in 10 realloc<?<?", "110 in 10 malloc<?<?", "88 in 1 malloc<?",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s%s", diff, stderr)
		}
	})
	t.Run("stripped and static", func(t *testing.T) {
		p := begin(t, exec.Command(compileAsker(t, "gcc", "asks.c", asksTenTimes, "-s", "-static"), "waits"))
		pid := strconv.Itoa(p.cmd.Process.Pid)
		runScriptFor(t, "sonde", "malloc", "-p", pid).refusal(t, exitFailure, "process "+pid+": none of its files has malloc, or its like, among its symbols")
	})
}

func outputOf(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
	return string(out)
}

// traceUser traces outer of a process that waits, with a script or an object that is attached to PATH, until the process has ended;
// counted is what was counted there.
func traceUser(t *testing.T, p *process, with, path string) (counted string, stderr string) {
	t.Helper()
	pid := strconv.Itoa(p.cmd.Process.Pid)
	place := "uprobe:" + path + ":outer"
	args := []string{"run", "-p", pid, "-e", place + ` { @[func, ustack(1)] = count(); }`}
	attached := "Attached 1 probe"
	if with == "object" {
		args = []string{"run", "-p", pid, "--only", "unknown", "--attach", "unknown=uprobe/" + path + ":outer", vmtest.Object(t, "section")}
		attached = " attached\n"
	}
	s := begin(t, exec.Command(as(t, "sonde"), args...))
	var lines []string
	until(t, "the probe is on", func() bool {
		if with == "script" {
			select {
			case line := <-s.lines:
				lines = append(lines, line)
			default:
			}
		}
		if s.ended() {
			t.Fatalf("it has ended: %s", s.stderr(t))
		}
		return strings.Contains(s.stderr(t)+strings.Join(lines, "\n"), attached)
	})
	p.stdin.Close()
	lines = append(lines, s.rest(t)...)
	if code := s.wait(t); code != 0 {
		t.Errorf("status %d: %s", code, s.stderr(t))
	}
	if with == "object" {
		if m := runsOfPrograms.FindStringSubmatch(s.stderr(t)); m != nil {
			return m[1], s.stderr(t)
		}
		return "", s.stderr(t)
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.TrimSpace(l) == "" || strings.Contains(l, attached) })
	return strings.Join(lines, "\n"), s.stderr(t)
}

// Probes in programs whose files are not where their paths lead from here.
func TestKernelObjectsAndScriptsOfOtherWorlds(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe, kernel.BTF)
	static := filepath.Join(t.TempDir(), "static")
	waitsThenAsks(t, static)
	for with, want := range map[string]string{"script": "@[outer, \n        outer+0\n]: 20", "object": "20"} {
		t.Run(with, func(t *testing.T) {
			check := func(t *testing.T, p *process, path string) {
				got, stderr := traceUser(t, p, with, path)
				if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
					t.Errorf("(-want +got)\n%s%s", diff, stderr)
				}
			}
			t.Run("contained", func(t *testing.T) {
				p, path := contained(t, static)
				check(t, p, path)
			})
			t.Run("deleted", func(t *testing.T) {
				p, _ := deleted(t)
				check(t, p, "/proc/"+strconv.Itoa(p.cmd.Process.Pid)+"/exe")
			})
		})
	}
}

// A stripped program has no functions by name, but places.
func TestKernelObjectsAndScriptsOfStripped(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe, kernel.BTF)
	if _, err := exec.LookPath("strip"); err != nil {
		t.Skip("there is no strip here")
	}
	program := filepath.Join(t.TempDir(), "program")
	writeProgram(t, program, userFunction{name: "outer", number: 1})
	outputOf(t, "strip", program)
	sonde, object := as(t, "sonde"), vmtest.Object(t, "section")
	got := runAll(t, exec.Command(sonde, "run", "-e", "uprobe:"+program+":outer { @ = count(); }"))
	if got.status != exitFailure || !strings.Contains(got.stderr, program+" has no function outer") || !strings.Contains(got.stderr, "it may be stripped") {
		t.Errorf("%+v", got)
	}
	runAll(t, exec.Command(sonde, "run", "--only", "unknown", "--attach", "unknown=uprobe/"+program+":outer", object)).
		refusal(t, exitFailure, "program unknown (section uprobe/"+program+":outer)", program+" has no function outer, or is stripped")
}

// A probe on returns can crash a program of Go: it is warned of, also where the program has no symbols left; no other probe is, and no other
// program.
func TestKernelObjectsAndScriptsWarnOfGo(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe, kernel.BTF)
	other := filepath.Join(t.TempDir(), "program")
	writeProgram(t, other, userFunction{name: "outer", number: 1})
	goes := callsProgram(t)
	const leaf = "sonde/internal/cli.calledLeaf"
	sonde, object := as(t, "sonde"), vmtest.Object(t, "section")
	type row struct {
		kind, path, function string
		warned               bool
	}
	rows := []row{
		{"uretprobe", goes, leaf, true}, {"uprobe", goes, leaf, false}, {"uretprobe", other, "outer", false},
	}
	if _, err := exec.LookPath("strip"); err == nil {
		stripped := callsProgram(t)
		outputOf(t, "strip", stripped)
		rows = append(rows, row{"uretprobe", stripped, leaf, true})
	}
	for _, c := range rows {
		commands := map[string][]string{
			"script": {"-e", c.kind + ":" + c.path + ":" + c.function + " { @ = count(); }"},
			"object": {"-q", "--only", "unknown", "--attach", "unknown=" + c.kind + "/" + c.path + ":" + c.function, object},
		}
		if has(t, kernel.UprobeMulti) {
			commands["object, multi"] = []string{"--only", "unknown", "--attach", "unknown=" + c.kind + ".multi/" + c.path + ":" + c.function, object}
		}
		for name, args := range commands {
			got := runAll(t, exec.Command(sonde, append([]string{"run", "--dry-run"}, args...)...))
			if n := strings.Count(got.stderr, "is a program of Go"); got.status != exitOK || (n == 1) != c.warned || n > 1 {
				t.Errorf("%s, %s on %s: %+v; warned of: want %v", name, c.kind, c.path, got, c.warned)
			}
		}
	}
}

// A process that ends between two stages of a run: one sentence and a failure, or a run without events; and never is anything waited for.
func TestKernelObjectsAndToolsEndWhileAttaching(t *testing.T) {
	needMalloc(t)
	program := filepath.Join(t.TempDir(), "program")
	waitsThenAsks(t, program)
	sonde, object := as(t, "sonde"), vmtest.Object(t, "section")
	commands := map[string][]string{
		"malloc":             {"malloc"},
		"malloc outstanding": {"malloc", "--outstanding"},
		"script":             {"run", "-e", "uprobe:" + program + ":outer { @ = count(); }"},
		"object":             {"run", "--only", "unknown", "--attach", "unknown=uprobe/" + program + ":outer", object},
	}
	for name, argv := range commands {
		for _, stage := range []string{stageFound, stageLoaded, stageProbing, stageProbed} {
			if stage == stageProbing && argv[0] != "malloc" {
				continue
			}
			if vmtest.Guest() != "" && (stage == stageFound || stage == stageProbed || name == "malloc outstanding") {
				continue // it is for the machine that has the time: no kernel is another there
			}
			for _, reaped := range []bool{true, false} {
				if vmtest.Guest() != "" && !reaped {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, %v", name, stage, reaped), func(t *testing.T) {
					cmd := exec.Command(program)
					if reaped {
						begin(t, cmd)
					} else {
						beginUnreaped(t, cmd)
					}
					pid := strconv.Itoa(cmd.Process.Pid)
					s := exec.Command(sonde, append(argv, "-p", pid)...)
					s.Env = append(os.Environ(), stageEnv+"="+stage+" "+pid)
					endedHonestly(t, runAll(t, s), pid)
				})
			}
		}
	}
}

// beginUnreaped starts a program that stays a zombie when it has ended, as long as the test runs.
func beginUnreaped(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
}

// endedHonestly looks at how a run ended whose process was killed before it did anything.
func endedHonestly(t *testing.T, got ran, pid string) {
	t.Helper()
	if got.status == exitOK {
		if strings.Contains(got.stdout+got.stderr, "outer") || regexp.MustCompile(`[1-9]\d* (events|runs)`).MatchString(got.stderr) {
			t.Errorf("it saw what was not: %+v", got)
		}
		return
	}
	if got.status != exitFailure && got.status != exitUsage || strings.Count(got.stderr, "\n") != 1 ||
		!strings.Contains(got.stderr, "process "+pid) && !strings.Contains(got.stderr, "-p "+pid) {
		t.Errorf("status %d, %q, %q: it is not one line about process %s", got.status, got.stdout, got.stderr, pid)
	}
}

// Processes that end at any moment of the attaching.
func TestKernelObjectsAndToolsEndAtAnyMoment(t *testing.T) {
	needMalloc(t)
	times := 48
	if vmtest.Guest() != "" {
		times = 3 // it is slow there
	}
	program := filepath.Join(t.TempDir(), "program")
	waitsThenAsks(t, program)
	sonde, object := as(t, "sonde"), vmtest.Object(t, "section")
	ends := map[int]int{}
	for i := range times {
		cmd := exec.Command(program)
		begin(t, cmd)
		pid := strconv.Itoa(cmd.Process.Pid)
		argv := [][]string{
			{"malloc", "-p", pid}, {"run", "-p", pid, "-e", "uprobe:" + program + ":outer { @ = count(); }"},
			{"run", "-p", pid, "--only", "unknown", "--attach", "unknown=uprobe/" + program + ":outer", object},
		}[i%3]
		timer := time.AfterFunc(time.Duration(i)*4*time.Millisecond, func() { cmd.Process.Kill() })
		got := runAll(t, exec.Command(sonde, argv...))
		timer.Stop()
		endedHonestly(t, got, pid)
		ends[got.status]++
	}
	t.Logf("by status: %v", ends)
}
