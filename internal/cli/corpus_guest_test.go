//go:build guest

package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
	"sonde/internal/vmtest/wire"
)

// TestGuestCorpus runs every script that Debian's bpftrace packages ship, unmodified, while work of all kinds goes on: it
// loads, attaches, shows what it should, and ends by SIGINT with status 0 and nothing unexpected on standard error. A
// script that is about something that this kernel does not have has to say so, and nothing else may keep it from running.
func TestGuestCorpus(t *testing.T) {
	userSide(t)
	sonde := vmtest.Sonde(t)
	for _, suite := range []string{"bookworm", "sid"} {
		files, err := filepath.Glob(filepath.Join(wire.CorpusDir, suite, "*.bt"))
		if err != nil || len(files) < 30 {
			t.Fatalf("%s: %d scripts, %v", suite, len(files), err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".bt")
			t.Run(suite+"/"+name, func(t *testing.T) {
				tool, ok := corpus[suite+"/"+name]
				if !ok {
					tool = corpus[name]
				}
				tool.run(t, sonde, file)
			})
		}
	}
}

// tool is what is known of a script of the corpus.
type tool struct {
	// needs are what it is about; "|" is between names of which one is enough.
	needs []string
	// spares are needs that the script itself says it can do without: it then has nothing to wait for, and ends.
	spares []string
	// wants are expressions that its output has to match.
	wants []string
	// shows is what the kernel must have for there to be anything to show.
	shows string
	// live: wants appear while it runs, and not at once.
	live bool
	// seconds that it has to run, for what comes by the clock.
	seconds int
	// work of its own.
	work func(*testing.T)
	// warns are expressions for further lines of standard error.
	warns []string
}

func (x tool) run(t *testing.T, sonde, file string) {
	var lacks []string
	for _, need := range x.needs {
		if !anyPresent(t, need) {
			lacks = append(lacks, need)
		}
	}
	stdout, stderr := filepath.Join(t.TempDir(), "stdout"), filepath.Join(t.TempDir(), "stderr")
	p := beginScript(t, exec.Command(sonde, "run", file), stdout, stderr)
	defer func() {
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", clip(read(t, stdout)), clip(read(t, stderr)))
		}
	}()
	if len(lacks) > 0 {
		x.refused(t, p, stderr, lacks)
		return
	}
	for _, spare := range x.spares {
		if !anyPresent(t, spare) {
			await(t, "it to end", 60*time.Second, p.ended)
			x.wants = nil
			x.check(t, p, stdout, stderr)
			return
		}
	}
	attached := regexp.MustCompile(`(?m)^Attached \d+ probes?$`)
	await(t, "the probes to be on", 60*time.Second, func() bool { return p.ended() || attached.MatchString(read(t, stderr)) })
	if x.shows != "" && !anyPresent(t, x.shows) {
		x.wants = nil
	}
	// Not before: it would only keep the script from getting ready.
	start := time.Now()
	rounds, end := beginWork(t)
	if x.work != nil {
		x.work(t)
	}
	await(t, "work to be done", 60*time.Second, func() bool { return p.ended() || rounds.Load() > 0 })
	time.Sleep(time.Until(start.Add(time.Duration(x.seconds)*time.Second + 100*time.Millisecond)))
	if x.live {
		await(t, "it to show what it should", 20*time.Second, func() bool { return p.ended() || x.unmatched(read(t, stdout)) == "" })
	}
	end()
	if p.ended() {
		t.Fatalf("it ended by itself, with status %d", p.status())
	}
	p.cmd.Process.Signal(unix.SIGINT)
	await(t, "it to end", 60*time.Second, p.ended)
	x.check(t, p, stdout, stderr)
}

// check looks at what a script has left that has run.
func (x tool) check(t *testing.T, p *scriptProcess, stdout, stderr string) {
	if got := p.status(); got != 0 {
		t.Errorf("status %d", got)
	}
	if w := x.unmatched(read(t, stdout)); w != "" {
		t.Errorf("the output does not match %s", w)
	}
	if rest := x.unexpected(t, read(t, stderr)); rest != "" {
		t.Errorf("on standard error:\n%s", rest)
	}
}

// refused checks that a script that cannot run here says why.
func (x tool) refused(t *testing.T, p *scriptProcess, stderr string, lacks []string) {
	await(t, "it to end", 60*time.Second, p.ended)
	text := read(t, stderr)
	t.Logf("this kernel has no %s", strings.Join(lacks, ", no "))
	if p.status() != 1 {
		t.Errorf("status %d, and the kernel has no %q; stderr:\n%s", p.status(), lacks, text)
	}
	for _, lack := range lacks {
		told := false
		for name := range strings.SplitSeq(lack, "|") {
			_, last, _ := cutLast(name, ":")
			told = told || strings.Contains(text, last)
		}
		if !told {
			t.Errorf("nothing of %s on standard error:\n%s", lack, text)
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// unmatched returns the first expression that the output does not match, "" if there is none.
func (x tool) unmatched(output string) string {
	for _, w := range x.wants {
		if !regexp.MustCompile("(?m)" + w).MatchString(output) {
			return w
		}
	}
	return ""
}

var missingFunction = regexp.MustCompile(`warning: (?:the kernel has no function |kprobe:)(\S+?)(?: that can be probed|: the kernel does not let this code be probed;.*)$`)

// unexpected returns what is on standard error beyond the number of probes and what has to be there: a warning, with the
// lines under it, of a function that the kernel really does not have, or one of x.warns.
func (x tool) unexpected(t *testing.T, text string) string {
	var rest []string
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		expected := regexp.MustCompile(`^Attached \d+ probes?$`).MatchString(lines[i])
		warned := false
		if m := missingFunction.FindStringSubmatch(lines[i]); m != nil {
			warned = !present(t, "kprobe:"+m[1])
		}
		for _, w := range x.warns {
			warned = warned || regexp.MustCompile(w).MatchString(lines[i])
		}
		if warned && !strings.HasPrefix(lines[i], "sonde: ") {
			i += 2 // the source line, and what is under it
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "hint: ") {
				i++
			}
		}
		if !expected && !warned {
			rest = append(rest, lines[i])
		}
	}
	return strings.Join(rest, "\n")
}

// clip shortens what nobody will read to its end.
func clip(s string) string {
	if len(s) > 3000 {
		return s[:3000] + "..."
	}
	return s
}

var thisKernel = kernel.Live(nil)

func anyPresent(t *testing.T, need string) bool {
	for name := range strings.SplitSeq(need, "|") {
		if present(t, name) {
			return true
		}
	}
	return false
}

// present says whether the kernel has something: "kprobe:NAME", "tracepoint:GROUP:NAME", "field:STRUCT:NAME",
// "constant:ENUM:NAME" or "argument:GROUP:NAME:ARGUMENT" of a tracepoint.
func present(t *testing.T, name string) bool {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "kprobe":
		return probable(t, rest)
	case "tracepoint":
		group, event, _ := strings.Cut(rest, ":")
		_, err := thisKernel.Tracepoint(group, event)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	case "argument":
		event, argument, _ := cutLast(rest, ":")
		group, tracepoint, _ := strings.Cut(event, ":")
		format, err := thisKernel.Tracepoint(group, tracepoint)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range format.Fields {
			if f.Name == argument {
				return true
			}
		}
		return false
	case "constant":
		enum, constant, _ := strings.Cut(rest, ":")
		return hasConstant(t, enum, constant)
	case "field":
		structure, field, _ := strings.Cut(rest, ":")
		return hasField(t, structure, field)
	}
	t.Fatalf("%s: what is that?", name)
	return false
}

var functions = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile("/sys/kernel/tracing/available_filter_functions")
	return "\n" + string(b), err
})

// probable says whether there is a function that can be probed; "*" at the end stands for anything.
func probable(t *testing.T, name string) bool {
	all, err := functions()
	if err != nil {
		t.Fatal(err)
	}
	if begin, wild := strings.CutSuffix(name, "*"); wild {
		return strings.Contains(all, "\n"+begin)
	}
	return strings.Contains(all, "\n"+name+"\n") || strings.Contains(all, "\n"+name+" [")
}

// scriptProcess is a running script whose output goes to files.
type scriptProcess struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func beginScript(t *testing.T, cmd *exec.Cmd, stdout, stderr string) *scriptProcess {
	t.Helper()
	out, err := os.Create(stdout)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	complaints, err := os.Create(stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer complaints.Close()
	cmd.Stdout, cmd.Stderr = out, complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &scriptProcess{cmd, make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // ProcessState tells
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.done
	})
	return p
}

func (p *scriptProcess) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *scriptProcess) status() int { return status(p.cmd.ProcessState) }

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// await waits until something is so.
func await(t *testing.T, what string, limit time.Duration, f func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting for %s: not within %v", what, limit)
		}
	}
}

// beginWork goes on with work of all kinds until end is called, and counts the rounds.
func beginWork(t *testing.T) (rounds *atomic.Int64, end func()) {
	rounds = new(atomic.Int64)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- workRounds(rounds, stop) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			close(stop)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(end)
	return rounds, end
}

func workRounds(rounds *atomic.Int64, stop <-chan struct{}) error {
	for {
		for _, kind := range []string{"files", "opens", "execs", "sleeps", "kills", "setuids", "tcp", "unix", "syncs", "disk", "user"} {
			select {
			case <-stop:
				return nil
			default:
			}
			work := toils[kind]
			if kind == "user" {
				work = runUserSide
			}
			if err := work(); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
		}
		rounds.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
}
