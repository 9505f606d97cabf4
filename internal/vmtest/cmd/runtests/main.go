// Command runtests runs the project's tests on the machine and in a guest of each stock kernel, and counts what ran.
// It is what "make test" and "make vm" call; see package vmtest for which test runs where.
//
// It ends with the counts of each place, the skips by reason, and the total alone on the last line. It fails when a test
// failed, when a guest did not report, when something does not build, and when nothing ran.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/report"
)

// options are the command line.
type options struct {
	kernels  []string // names; fetch.OwnImage among them is the image
	image    string
	host     bool
	guest    bool
	run      string
	timeout  time.Duration
	refresh  bool
	parallel int
	verbose  bool
	packages []string
}

func main() {
	opts, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	// A closed terminal or a CI that gives up must not leave guests behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ok, err := runAll(ctx, opts, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtests:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var kernels string
	f := flag.NewFlagSet("runtests", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&kernels, "kernels", strings.Join(fetch.Names(), ","), "guest `kernels`, comma-separated")
	f.StringVar(&o.image, "image", "", "run the guests' tests on the kernel in this `file`, and on others only with -kernels")
	f.BoolVar(&o.host, "host", true, "run the tests on this machine")
	f.BoolVar(&o.guest, "guest", true, "run the TestKernel and TestGuest tests in guests")
	f.StringVar(&o.run, "run", "", "run only tests that match this `regexp`, as in go test")
	f.DurationVar(&o.timeout, "timeout", 30*time.Minute, "give up on a package on this machine, and on a whole guest, after this `time`")
	f.BoolVar(&o.refresh, "refresh", false, "download kernels and qemu anew, even those in the cache")
	// A guest keeps one processor busy. With more of them, a kernel that preempts tracing programs leaves out more of their runs.
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "run at most this `number` of guests at once")
	f.BoolVar(&o.verbose, "v", false, "show the output of tests on this machine that pass, and when each test starts")
	f.Usage = func() {
		fmt.Fprintln(stderr, "usage: runtests [flags] [packages]    (packages as in go test; default ./...)")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.packages = f.Args()
	if len(o.packages) == 0 {
		o.packages = []string{"./..."}
	}
	complain := func(err error) (options, error) {
		fmt.Fprintln(stderr, "runtests:", err)
		return o, err
	}
	if o.image != "" {
		if info, err := os.Stat(o.image); err != nil || !info.Mode().IsRegular() {
			return complain(fmt.Errorf("-image: %s is not a file; it wants the image that a kernel's build makes: arch/x86/boot/bzImage", o.image))
		}
		if !given(f, "kernels") {
			kernels = ""
		}
		o.kernels = []string{fetch.OwnImage}
	}
	if o.guest && (kernels != "" || o.image == "") {
		for name := range strings.SplitSeq(kernels, ",") {
			name = strings.TrimSpace(name)
			if !slices.Contains(fetch.Names(), name) {
				return complain(fmt.Errorf("-kernels: no stock kernel %q: there are %s", name, strings.Join(fetch.Names(), ", ")))
			}
			if !slices.Contains(o.kernels, name) {
				o.kernels = append(o.kernels, name)
			}
		}
	}
	for part := range strings.SplitSeq(o.run, "/") {
		if _, err := regexp.Compile(part); err != nil {
			return complain(fmt.Errorf("-run: %w", err))
		}
	}
	if o.timeout <= 0 || o.parallel <= 0 {
		return complain(errors.New("-timeout and -parallel must be above zero"))
	}
	return o, nil
}

// longestShown is how many of the longest tests are listed.
const longestShown = 15

func given(f *flag.FlagSet, name string) (yes bool) {
	f.Visit(func(one *flag.Flag) { yes = yes || one.Name == name })
	return yes
}

// runAll runs everything that was asked for and writes the table. It reports whether all is well.
func runAll(ctx context.Context, o options, stdout, stderr io.Writer) (bool, error) {
	scratch, err := os.MkdirTemp("", "sonde-runtests-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	out := &shared{w: stdout}
	build := report.NewCollector("build")
	b, err := prepare(ctx, o, scratch, build, stderr)
	if err != nil {
		return false, err
	}
	places := []string{}
	collectors := []*report.Collector{build}
	if o.host {
		c := report.NewCollector("host")
		places, collectors = append(places, "host"), append(collectors, c)
		if err := runHost(ctx, o, b, c, out, stderr); err != nil {
			return false, err
		}
	}
	if o.guest && len(b.tests) > 0 && ctx.Err() == nil {
		places = append(places, o.kernels...)
		guests, err := runGuests(ctx, o, b, out, stderr)
		if err != nil {
			return false, err
		}
		collectors = append(collectors, guests...)
	}
	var results []report.Result
	var times []report.Time
	for _, c := range collectors {
		results, times = append(results, c.Results()...), append(times, c.Times()...)
	}
	if len(build.Results()) > 0 {
		places = append(places, "build")
	}
	if ctx.Err() != nil {
		return false, errors.New("stopped before everything had run")
	}
	if err := report.WriteLongest(stdout, times, longestShown); err != nil {
		return false, err
	}
	fmt.Fprintln(stdout)
	if err := report.Write(stdout, places, results); err != nil {
		return false, err
	}
	total := report.Count(results)
	if !total.Any() {
		return false, errors.New("nothing ran: no test matches")
	}
	return total.Failed == 0, nil
}

// goOutput runs the go command and returns its standard output.
func goOutput(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
