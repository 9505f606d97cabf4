package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"sonde/internal/vmtest"
	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/report"
	"sonde/internal/vmtest/wire"
)

// runGuests boots the kernels, a few at a time, each with all test binaries. The collectors are in the order of o.kernels.
func runGuests(ctx context.Context, o options, b built, out *shared, stderr io.Writer) ([]*report.Collector, error) {
	cache, err := fetch.Open("", o.refresh, stderr)
	if err != nil {
		return nil, err
	}
	// The path, so that its first run does not build it once for each guest.
	converter, err := goOutput(ctx, "tool", "-n", "test2json")
	if err != nil {
		return nil, err
	}
	collectors := make([]*report.Collector, len(o.kernels))
	places := make(chan struct{}, o.parallel)
	var wg sync.WaitGroup
	// The newest first: it takes longest, and nothing is to wait for it alone at the end.
	for i, name := range slices.Backward(o.kernels) {
		c := report.NewCollector(name)
		collectors[i] = c
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if ctx.Err() == nil {
				g := guest{name, o, b, cache, strings.TrimSpace(converter), c, out}
				g.run(ctx)
			}
		})
	}
	wg.Wait()
	return collectors, nil
}

// guest is one boot with the test binaries.
type guest struct {
	kernel    string
	o         options
	b         built
	cache     *fetch.Cache
	converter string // path of test2json
	c         *report.Collector
	out       *shared
}

// run boots the guest and collects what its tests said. Whatever goes wrong is a failure at this place.
func (g guest) run(ctx context.Context) {
	say := g.out.lines(fmt.Sprintf("[%s] ", g.kernel))
	config := vmtest.Config{
		Cache: g.cache, Kernel: g.kernel, Image: g.o.image, Archives: []string{g.b.payload}, Timeout: g.o.timeout,
	}
	var streams []*stream
	for _, t := range g.b.tests {
		s, err := g.open(ctx, t, say)
		if err != nil {
			g.c.Fail(t.pkg, err.Error())
			return
		}
		defer s.close()
		streams = append(streams, s)
		config.Jobs = append(config.Jobs, g.job(t, s))
	}
	result, err := vmtest.Boot(ctx, config)
	for _, s := range streams {
		if err := s.close(); err != nil {
			g.c.Fail(s.pkg, err.Error())
		}
	}
	say.flush()

	for i, t := range g.b.tests {
		g.c.Expect(t.pkg, onKernel(t.names, g.kernel))
		if exit, ended := result.Exits[i]; ended {
			g.account(t.pkg, exit)
		}
	}
	if err != nil {
		g.c.Fail("", strings.TrimPrefix(err.Error(), "guest "+g.kernel+": "))
		fmt.Fprintln(say, err)
		var broken *vmtest.GuestError
		if errors.As(err, &broken) && broken.Console != "" {
			fmt.Fprintf(say, "the last lines of its console:\n%s\n", indent(broken.Console))
		}
		return
	}
	fmt.Fprintf(say, "%s in %.1f s (%s)\n", report.Count(g.c.Results()), result.Elapsed.Seconds(), result.Release)
}

// job is the way a test binary is run in the guest. Its own time-out comes before the guest's, so that a test that hangs
// is named with its goroutines.
func (g guest) job(t guestTest, output io.Writer) vmtest.Job {
	env := []string{"SONDE_GUEST_KERNEL=" + g.kernel}
	if g.b.sonde != "" {
		env = append(env, "SONDE_BIN=/bin/sonde")
	}
	return vmtest.Job{
		Job: wire.Job{
			Args: []string{
				t.binary,
				"-test.v=test2json",
				"-test.run=" + runExpression(onKernel(t.names, g.kernel), g.o.run),
				"-test.timeout=" + (g.o.timeout * 9 / 10).String(),
			},
			Dir: t.dir,
			Env: env,
		},
		Output: output,
	}
}

// account makes sure that an exit status which says "failed" counts as a failure, whatever the output said.
func (g guest) account(pkg string, exit wire.Exit) {
	if exit == (wire.Exit{}) {
		return
	}
	for _, r := range g.c.Results() {
		if r.Package == pkg && r.Outcome == report.Failed {
			return
		}
	}
	if exit.Signal != 0 {
		g.c.Fail(pkg, fmt.Sprintf("its test binary was killed by signal %d", exit.Signal))
		return
	}
	g.c.Fail(pkg, fmt.Sprintf("its test binary ended with status %d", exit.Code))
}

// stream takes a test binary's output through test2json into the collector, and shows it.
type stream struct {
	io.Writer
	pkg    string
	stdin  io.Closer
	once   sync.Once
	err    error
	finish func() error
}

func (g guest) open(ctx context.Context, t guestTest, say *lines) (*stream, error) {
	cmd := exec.CommandContext(ctx, g.converter, "-t", "-p", t.pkg) // -t: with how long each test took
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting test2json: %w", err)
	}
	read := make(chan error, 1)
	go func() {
		read <- g.c.Read(stdout, func(e report.Event) {
			if e.Action == "output" && (g.o.verbose || !strings.HasPrefix(e.Output, "=== ")) {
				_, _ = io.WriteString(say, e.Output)
			}
		})
	}()
	return &stream{Writer: stdin, pkg: t.pkg, stdin: stdin, finish: func() error {
		readErr := <-read
		return errors.Join(readErr, cmd.Wait())
	}}, nil
}

// close ends the stream and waits until all of it is collected.
func (s *stream) close() error {
	s.once.Do(func() {
		s.stdin.Close()
		s.err = s.finish()
	})
	return s.err
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }
