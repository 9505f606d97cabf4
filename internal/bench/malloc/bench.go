package malloc

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/report"
	"sonde/internal/bench/turns"
)

//go:embed programs/asker.c
var askerSource []byte

//go:embed programs/mallocstacks.py
var bccSource []byte

const (
	stacks   = 1000 // of asker.c
	portions = 15
	calls    = 20_000 // in a portion
	// patience is for tools that compile C first.
	patience = 2 * time.Minute
)

// Bench is one run of the benchmark.
type Bench struct {
	Tools   []Tool
	Root    peers.Root // where the peers live
	Rounds  int
	Log     io.Writer
	Results *report.Results

	asker string // the program, in the root
}

// Measure is one of the measures, by its name for -only.
type Measure = turns.Measure[*Bench]

// Measures lists the measures in the order in which they are run.
var Measures = []Measure{
	{Name: "malloc-cost", Run: (*Bench).cost},
	{Name: "malloc-stacks", Run: (*Bench).apart},
}

// Run takes the measures, one after the other. A round that fails is noted in the results and the rest goes on; an error is
// something that makes every measure impossible, or the end of ctx.
func (b *Bench) Run(ctx context.Context, measures []Measure) error {
	dir, err := os.MkdirTemp(filepath.Join(b.Root.Dir, "tmp"), "sonde-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	source := filepath.Join(dir, "asker.c")
	if err := os.WriteFile(source, askerSource, 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "clang-14", "-O2", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-fno-optimize-sibling-calls", "-fno-builtin",
		source, "-o", filepath.Join(dir, "asker")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compiling asker.c: %w: %s", err, out)
	}
	b.asker = filepath.Join("/tmp", filepath.Base(dir), "asker")
	script := filepath.Join(b.Root.Dir, bccScript)
	if err := os.WriteFile(script, bccSource, 0o644); err != nil {
		return err
	}
	defer os.Remove(script)
	return turns.Take(ctx, b, measures)
}

// asking is the program at work.
type asking struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (b *Bench) ask() (*asking, error) {
	cmd := exec.Command(b.asker)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: b.Root.Dir, Pdeathsig: syscall.SIGKILL}
	cmd.Dir, cmd.Stderr = "/", os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &asking{cmd, in, bufio.NewReader(out)}, nil
}

func (a *asking) end() {
	a.in.Close()
	_ = a.cmd.Wait() // it has answered, or the round has failed
}

func (a *asking) answer(question string) (string, error) {
	if _, err := io.WriteString(a.in, question+"\n"); err != nil {
		return "", err
	}
	line, err := a.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

// time is the median of some portions, in nanoseconds a call.
func (a *asking) time() (float64, error) {
	var all []float64
	for range portions {
		text, err := a.answer("cost " + strconv.Itoa(calls))
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, err
		}
		all = append(all, ns)
	}
	return measure.Percentile(all, 50), nil
}

// watch starts a tool on the program and waits until it is attached.
func (b *Bench) watch(tool Tool, a *asking) (*process.Process, error) {
	c := process.Command{}
	for _, word := range tool.Argv {
		if word == pid {
			word = strconv.Itoa(a.cmd.Process.Pid)
		}
		c.Argv = append(c.Argv, word)
	}
	if tool.Package != "" {
		c.Root = b.Root.Dir
	}
	p, err := process.Launch(c)
	if err != nil {
		return nil, err
	}
	if tool.Says != "" {
		err = p.Says(tool.Says, 0, patience)
	}
	if err == nil {
		err = p.Settled(400 * time.Millisecond)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// stop ends a tool and returns what it printed.
func stop(p *process.Process) (string, error) {
	if _, err := p.Interrupt(patience); err != nil {
		return "", err
	}
	text, err := io.ReadAll(p.Output())
	return string(text), err
}

func (b *Bench) each(ctx context.Context, what string, run func(Tool) error) {
	turns.Rounds(ctx, b.Log, what, b.Rounds, func() {
		for _, tool := range b.Tools {
			if ctx.Err() != nil {
				return
			}
			if err := run(tool); err != nil {
				b.Results.Fail(b.Log, what, tool.Title, err)
			}
		}
	})
}

// cost measures a call with and without each tool.
func (b *Bench) cost(ctx context.Context) {
	b.each(ctx, "malloc-cost", func(tool Tool) error {
		a, err := b.ask()
		if err != nil {
			return err
		}
		defer a.end()
		before, err := a.time()
		if err != nil {
			return err
		}
		p, err := b.watch(tool, a)
		if err != nil {
			return err
		}
		defer p.Close()
		with, errWith := a.time()
		rss, errRSS := measure.PeakRSS(p.PID)
		_, errStop := stop(p)
		after, errAfter := a.time()
		if err := errors.Join(errWith, errRSS, errStop, errAfter); err != nil {
			return err
		}
		without := (before + after) / 2
		b.Results.Add("cost.call", tool.Key, with)
		b.Results.Add("cost.ratio", tool.Key, with/without)
		b.Results.Add("cost.longer", tool.Key, with-without)
		b.Results.Add("cost.call", untraced, without)
		b.Results.Add("tool.rss", tool.Key, float64(rss)/(1<<20))
		b.Results.Add("tool.cpu", tool.Key, float64(p.Total())/float64(time.Millisecond))
		return nil
	})
}

// apart counts how many of the different stacks each tool shows.
func (b *Bench) apart(ctx context.Context) {
	b.each(ctx, "malloc-stacks", func(tool Tool) error {
		a, err := b.ask()
		if err != nil {
			return err
		}
		defer a.end()
		p, err := b.watch(tool, a)
		if err != nil {
			return err
		}
		defer p.Close()
		if _, err := a.answer("stacks"); err != nil {
			return err
		}
		text, err := stop(p)
		if err != nil {
			return err
		}
		b.Results.Add("stacks.apart", tool.Key, float64(countApart(text, tool.Stack)))
		return nil
	})
}

// countApart counts the stacks, in what a tool printed, that go through the functions that are there to tell them apart, each of the
// thousand once.
func countApart(text, begins string) int {
	seen := map[string]bool{}
	var stack []string
	end := func() {
		if len(stack) >= 3 {
			seen[strings.Join(stack, " ")] = true
		}
		stack = nil
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, begins) {
			end()
		}
		if at := strings.Index(line, "apart_"); at >= 0 && len(line) >= at+len("apart_a0") {
			stack = append(stack, line[at:at+len("apart_a0")])
		}
	}
	end()
	return len(seen)
}
