package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"sonde/internal/vmtest/report"
)

// runHost runs the packages' tests on this machine. Results go to c; err is only for what is not a test's doing.
func runHost(ctx context.Context, o options, b built, c *report.Collector, out *shared, stderr io.Writer) error {
	// -count=1: what a test finds depends on the kernel, which the go command's cache knows nothing of.
	args := []string{"test", "-json", "-count=1", "-timeout=" + o.timeout.String()}
	if o.guest {
		// The tests of booting itself need what guests need, so they go with them.
		args = append(args, "-tags=boot")
	}
	if o.run != "" {
		args = append(args, "-run="+o.run)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, o.packages...)...)
	cmd.Env = append(os.Environ(), "SONDE_BIN="+b.sonde)
	cmd.Stderr = stderr
	// The go command passes an interrupt on to the tests; they clean up after themselves.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go test: %w", err)
	}
	say := out.lines("[host] ")
	readErr := c.Read(stdout, func(e report.Event) { showHost(e, c, o.verbose, say) })
	say.flush()
	err = cmd.Wait()
	if readErr != nil {
		return readErr
	}
	total := report.Count(c.Results())
	if err != nil && ctx.Err() == nil && total.Failed == 0 {
		c.Fail("", "go test: "+err.Error())
	}
	fmt.Fprintf(say, "%s in %.1f s\n", total, time.Since(start).Seconds())
	return nil
}

// showHost shows what a person wants to see of an event: packages as they end, failures with their output, and, when
// verbose, everything.
func showHost(e report.Event, c *report.Collector, verbose bool, say io.Writer) {
	switch {
	case e.Action == "build-output", e.Action == "output" && (verbose || e.Package == ""):
		_, _ = io.WriteString(say, e.Output)
	case e.Action == "output" && e.Test == "":
		if line := strings.TrimSpace(e.Output); line != "PASS" && !strings.HasPrefix(line, "?") && !strings.HasSuffix(line, "[no test files]") {
			_, _ = io.WriteString(say, e.Output)
		}
	case e.Action == "fail" && e.Test != "" && !verbose:
		_, _ = io.WriteString(say, c.Output(e.Package, e.Test))
	}
}
