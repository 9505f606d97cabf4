package proc

import (
	"bufio"
	"context"
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

	"golang.org/x/sys/unix"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/report"
	"sonde/internal/bench/turns"
	"sonde/internal/bench/workload"
)

// Bench is one run of the benchmark.
type Bench struct {
	Tools   []Tool
	Root    peers.Root // where the peers live
	Rounds  int
	Log     io.Writer
	Results *report.Results

	group string // the cgroup of the processes that are watched
}

// Measure is one of the measures, by its name for -only.
type Measure = turns.Measure[*Bench]

// Measures lists the measures in the order in which they are run.
var Measures = []Measure{{Name: "proc-storm", Run: (*Bench).storm}}

// The storm: forks as fast as one shell can, in slices of which percentiles are taken. Its processes exec nothing.
const (
	stormSlices   = 20
	stormForks    = 1000
	forks         = stormSlices * stormForks
	controlSlices = 5
)

// Run takes the measures, one after the other. A round that fails is noted in the results and the rest goes on; an error is
// something that makes every measure impossible, or the end of ctx.
func (b *Bench) Run(ctx context.Context, measures []Measure) (err error) {
	top, err := cgroups()
	if err != nil {
		return err
	}
	b.group = filepath.Join(top, fmt.Sprintf("sonde-bench-%d", os.Getpid()))
	if err := os.Mkdir(b.group, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(b.group)) }()
	return turns.Take(ctx, b, measures)
}

// cgroups is where the cgroups (v2) are.
func cgroups() (string, error) {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
	}
	return "", errors.New("no cgroups (v2) are mounted below /sys/fs/cgroup")
}

// forking is the storm: a shell that goes into the cgroup first.
const forking = `echo $$ >"$1/cgroup.procs"; i=0; while [ $i -lt "$2" ]; do (exit "$3"); i=$((i+1)); done; exit 0`

// forksOf makes slices of forks.
func (b *Bench) forksOf(slices int) process.Work {
	return func() (all []workload.Slice, err error) {
		for range slices {
			cmd := exec.Command("/bin/sh", "-c", forking, "sh", b.group, strconv.Itoa(stormForks), status)
			begin := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("storm: %w: %s", err, strings.TrimSpace(string(out)))
			}
			used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			all = append(all, workload.Slice{
				Calls: stormForks, Wall: time.Since(begin), CPU: time.Duration(used.Utime.Nano() + used.Stime.Nano()),
			})
		}
		return all, nil
	}
}

// storm measures what a tool prints of a storm of forks, what each record costs the tool, and what that costs those that
// fork.
func (b *Bench) storm(ctx context.Context) {
	turns.Rounds(ctx, b.Log, "proc-storm", b.Rounds, func() {
		for _, tool := range b.Tools {
			if ctx.Err() != nil {
				return
			}
			if err := b.stormed(tool); err != nil {
				b.Results.Fail(b.Log, "proc-storm", tool.Title, err)
			}
		}
	})
}

// settled is for how long no more programs of a tool are attached once it is.
const settled = 400 * time.Millisecond

func (b *Bench) stormed(tool Tool) error {
	ready := func(p *process.Process) error { return p.Settled(settled) }
	p, w, err := process.Watch(b.command(tool), ready, b.forksOf(controlSlices), b.forksOf(stormSlices))
	if err != nil {
		return err
	}
	defer p.Close()
	printed, err := count(p.Output(), tool.ended)
	if err != nil {
		return err
	}
	remarks, err := p.Remarks()
	if err != nil {
		return err
	}
	lost := measure.Lost(remarks)
	if printed != forks {
		fmt.Fprintf(b.Log, "%s: %d of %d ends shown: %s\n", tool.Title, printed, forks, strings.TrimSpace(remarks))
	}
	b.Results.Add("storm.printed", tool.Key, float64(printed))
	b.Results.Add("storm.lost", tool.Key, float64(lost))
	if printed > 0 {
		b.Results.Add("storm.cpu", tool.Key, float64(w.CPU)/float64(printed)/float64(time.Microsecond))
	}
	b.Results.Add("storm.pays", tool.Key, workload.Longer(w.With, w.Without, workload.CPU, 10)/1000)
	b.Results.Add("storm.rss", tool.Key, float64(w.Peak)/(1<<20))
	return nil
}

// count counts the lines that are meant.
func count(r io.Reader, meant func([]byte) bool) (n int, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if meant(lines.Bytes()) {
			n++
		}
	}
	return n, lines.Err()
}
