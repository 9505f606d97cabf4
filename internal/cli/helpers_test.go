package cli

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

func notify(signals chan<- os.Signal) {
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// process is a program that runs beside the test. It is killed when the test ends.
type process struct {
	cmd   *exec.Cmd
	stdin *os.File
	lines chan string // of standard output; closed at its end
	err   *os.File    // what it wrote to standard error; no pipe, so that nobody waits for its end
	done  chan struct{}
}

func begin(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, lines: make(chan string, 1<<16), done: make(chan struct{})}
	in, stdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.err, err = os.CreateTemp(t.TempDir(), "stderr"); err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, p.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	go p.read(stdout)
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // ProcessState tells
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.done
		p.stdin.Close()
		p.err.Close()
	})
	return p
}

func (p *process) read(stdout *os.File) {
	defer close(p.lines)
	defer stdout.Close()
	r := bufio.NewReader(stdout)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			p.lines <- strings.TrimSuffix(line, "\n")
		}
		if err != nil {
			return
		}
	}
}

// stderr is what it has written to standard error so far.
func (p *process) stderr(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(p.err.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// line returns the next line of standard output.
func (p *process) line(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.wait(t)
			t.Fatalf("no more output; status %d, stderr: %s", p.cmd.ProcessState.ExitCode(), p.stderr(t))
		}
		return line
	case <-time.After(30 * time.Second):
		t.Fatal("no output within 30 s")
	}
	return ""
}

// rest waits for the end of standard output and returns what was left of it.
func (p *process) rest(t *testing.T) (lines []string) {
	t.Helper()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return lines
			}
			lines = append(lines, line)
		case <-time.After(30 * time.Second):
			t.Fatalf("standard output does not end within 30 s; so far: %q", lines)
		}
	}
}

// wait returns the status of the process once it has ended, 128 and more for a signal.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not end within 30 s; children gone: %v", childless(p.cmd.Process.Pid))
	}
	return status(p.cmd.ProcessState)
}

func status(s *os.ProcessState) int {
	if ws := s.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

func (p *process) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// ran is how a program ended.
type ran struct {
	status         int
	stdout, stderr string
}

// runAll runs a program to its end.
func runAll(t *testing.T, cmd *exec.Cmd) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
	_ = cmd.Wait() // ProcessState tells
	if !timer.Stop() {
		t.Errorf("%q had to be killed after a minute", cmd.Args)
	}
	return ran{status(cmd.ProcessState), stdout.String(), stderr.String()}
}

// refusal checks that a run ended with the status, one line of its own on standard error, and nothing else.
func (r ran) refusal(t *testing.T, status int, words ...string) {
	t.Helper()
	line, rest, ended := strings.Cut(r.stderr, "\n")
	if r.status != status || r.stdout != "" || !ended || rest != "" || !strings.HasPrefix(line, "sonde: ") {
		t.Errorf("status %d, stdout %q, stderr %q; want %d and one line on stderr", r.status, r.stdout, r.stderr, status)
	}
	for _, w := range words {
		if !strings.Contains(line, w) {
			t.Errorf("%q does not say %q", line, w)
		}
	}
}
