package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/bench"
	"sonde/internal/bench/guard"
	"sonde/internal/bench/malloc"
	"sonde/internal/bench/open"
	"sonde/internal/bench/peers"
	"sonde/internal/bench/proc"
	"sonde/internal/bench/report"
	"sonde/internal/bench/script"
	"sonde/internal/bench/turns"
	"sonde/internal/vmtest/fetch"
)

// roots makes and mounts the roots of the peers that are asked for, each once.
type roots struct {
	log   io.Writer
	ready map[string]peers.Root
}

func (r *roots) get(ctx context.Context, suite peers.Suite) (peers.Root, error) {
	if root, ok := r.ready[suite.Name]; ok {
		return root, nil
	}
	root, err := peers.Ensure(ctx, suite, r.log)
	if err != nil {
		return peers.Root{}, err
	}
	if err := root.Mount(); err != nil {
		return peers.Root{}, err
	}
	if r.ready == nil {
		r.ready = map[string]peers.Root{}
	}
	r.ready[suite.Name] = root
	return root, nil
}

// wanted are the measures that are asked for.
func wanted[B any](o options, all []turns.Measure[B]) []turns.Measure[B] {
	return slices.DeleteFunc(slices.Clone(all), func(m turns.Measure[B]) bool { return !slices.Contains(o.measures, m.Name) })
}

// sondeKey is what all tables of tools call sonde.
const sondeKey = "sonde"

// takeExec takes the measures of sonde exec, here and in a guest.
func takeExec(ctx context.Context, roots *roots, machine string, o options, log io.Writer) (block, error) {
	measures := wanted(o, bench.Measures)
	withGuest := slices.Contains(o.measures, inGuest) && len(bench.Pick(bench.Tools(o.sonde), bench.Guest, o.tools)) > 0
	if len(measures) == 0 && !withGuest {
		return block{}, nil
	}
	root, err := roots.get(ctx, peers.Newest)
	if err != nil {
		return block{}, err
	}
	versions, err := root.Versions()
	if err != nil {
		return block{}, err
	}
	tools := bench.Pick(bench.Tools(o.sonde), bench.Here, o.tools)
	here := &report.Results{Machine: machine, Columns: bench.Columns(tools, versions), Notes: bench.Notes()}
	b := &bench.Bench{Tools: tools, Root: root.Dir, Scale: bench.Full(o.rounds), Log: log, Results: here}
	if err := b.Run(ctx, measures); err != nil {
		return block{}, err
	}
	var guest *report.Results
	if withGuest {
		guest, err = bench.RunGuest(ctx, root, o.sonde, o.tools, log)
		if err != nil {
			here.Failures = append(here.Failures, fmt.Sprintf("everything in the guest: %v", err))
		}
	}
	taken := block{name: "bench:exec", results: []*report.Results{here}}
	taken.text = heading("on "+machine) + bench.Table(bench.Full(o.rounds)).Markdown(here)
	if guest != nil {
		taken.results = append(taken.results, guest)
		taken.text += "\n" + heading("in a guest of "+guest.Machine) + bench.GuestTable().Markdown(guest)
	}
	return taken, nil
}

// takeScripts takes the measures of sonde run.
func takeScripts(ctx context.Context, roots *roots, machine string, o options, log io.Writer) (block, error) {
	measures := wanted(o, script.Measures)
	tools := script.Pick(script.Tools(o.sonde), o.tools)
	if len(measures) == 0 || len(tools) == 0 {
		return block{}, nil
	}
	b := &script.Bench{Tools: tools, Roots: map[string]peers.Root{}, Rounds: o.rounds, Log: log}
	for _, suite := range script.Suites(tools) {
		root, err := roots.get(ctx, suite)
		if err != nil {
			return block{}, err
		}
		b.Roots[suite.Name] = root
	}
	columns, err := script.Columns(tools, b.Roots)
	if err != nil {
		return block{}, err
	}
	b.Results = &report.Results{Machine: machine, Columns: columns, Notes: append(script.Notes(), bench.Busy()...)}
	if err := b.Run(ctx, measures); err != nil {
		return block{}, err
	}
	return block{
		name: "bench:run", results: []*report.Results{b.Results},
		text: heading("on "+machine) + script.Table().Markdown(b.Results),
	}, nil
}

// takeOpens takes the measures of sonde open.
func takeOpens(ctx context.Context, roots *roots, machine string, o options, log io.Writer) (block, error) {
	measures := wanted(o, open.Measures)
	tools := open.Pick(open.Tools(o.sonde), o.tools)
	if len(measures) == 0 || len(tools) == 0 {
		return block{}, nil
	}
	root, err := roots.get(ctx, open.Suite)
	if err != nil {
		return block{}, err
	}
	versions, err := root.Versions()
	if err != nil {
		return block{}, err
	}
	results := &report.Results{Machine: machine, Columns: open.Columns(tools, versions), Notes: append(open.Notes(), bench.Busy()...)}
	b := &open.Bench{Tools: tools, Root: root, Rounds: o.rounds, Log: log, Results: results}
	if err := b.Run(ctx, measures); err != nil {
		return block{}, err
	}
	return block{
		name: "bench:open", results: []*report.Results{results},
		text: heading("on "+machine) + open.Table().Markdown(results),
	}, nil
}

// takeProcs takes the measures of sonde proc.
func takeProcs(ctx context.Context, roots *roots, machine string, o options, log io.Writer) (block, error) {
	measures := wanted(o, proc.Measures)
	tools := proc.Pick(proc.Tools(o.sonde), o.tools)
	if len(measures) == 0 || len(tools) == 0 {
		return block{}, nil
	}
	root, err := roots.get(ctx, proc.Suite)
	if err != nil {
		return block{}, err
	}
	versions, err := root.Versions()
	if err != nil {
		return block{}, err
	}
	results := &report.Results{Machine: machine, Columns: proc.Columns(tools, versions), Notes: append(proc.Notes(), bench.Busy()...)}
	b := &proc.Bench{Tools: tools, Root: root, Rounds: o.rounds, Log: log, Results: results}
	if err := b.Run(ctx, measures); err != nil {
		return block{}, err
	}
	return block{
		name: "bench:proc", results: []*report.Results{results},
		text: heading("on "+machine) + proc.Table().Markdown(results),
	}, nil
}

// takeGuard takes the measures of sonde guard, which are of a guest.
func takeGuard(ctx context.Context, _ *roots, _ string, o options, log io.Writer) (block, error) {
	if !slices.Contains(o.measures, guard.Measure) || !slices.Contains(o.tools, sondeKey) {
		return block{}, nil
	}
	results, err := guard.Run(ctx, o.sonde, o.rounds, log)
	if err != nil {
		return block{}, fmt.Errorf("%s: %w", guard.Measure, err)
	}
	return block{
		name: "bench:guard", results: []*report.Results{results},
		text: heading("in a guest of "+results.Machine) + guard.Table().Markdown(results),
	}, nil
}

// takeMalloc takes the measures of sonde malloc.
func takeMalloc(ctx context.Context, roots *roots, machine string, o options, log io.Writer) (block, error) {
	measures := wanted(o, malloc.Measures)
	tools := malloc.Pick(malloc.Tools(o.sonde), o.tools)
	if len(measures) == 0 || len(tools) == 0 {
		return block{}, nil
	}
	root, err := roots.get(ctx, malloc.Suite)
	if err != nil {
		return block{}, err
	}
	versions, err := root.Versions()
	if err != nil {
		return block{}, err
	}
	results := &report.Results{Machine: machine, Columns: malloc.Columns(tools, versions), Notes: append(malloc.Notes(), bench.Busy()...)}
	b := &malloc.Bench{Tools: tools, Root: root, Rounds: o.rounds, Log: log, Results: results}
	if slices.ContainsFunc(tools, func(t malloc.Tool) bool { return t.Package == "bpfcc-tools" }) {
		if err := headers(ctx, root, log); err != nil {
			return block{}, err
		}
	}
	if err := b.Run(ctx, measures); err != nil {
		return block{}, err
	}
	return block{
		name: "bench:malloc", results: []*report.Results{results},
		text: heading("on "+machine) + malloc.Table().Markdown(results),
	}, nil
}

// headers puts headers of a kernel into a root, for what compiles against any, in the place of those of the kernel that runs.
func headers(ctx context.Context, root peers.Root, log io.Writer) error {
	cache, err := fetch.Open("", false, log)
	if err != nil {
		return err
	}
	kernel, err := cache.Kernel(ctx, newestKernel)
	if err != nil {
		return err
	}
	if err := root.Headers(ctx, kernel.Release, log); err != nil {
		return err
	}
	var running unix.Utsname
	if err := unix.Uname(&running); err != nil {
		return err
	}
	version, _, _ := strings.Cut(kernel.Release, "-")
	dir := filepath.Join(root.Dir, "usr/lib/modules", unix.ByteSliceToString(running.Release[:]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for link, to := range map[string]string{"build": "linux-headers-" + kernel.Release, "source": "linux-headers-" + version + "-common"} {
		if err := os.Symlink("/usr/src/"+to, filepath.Join(dir, link)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// newestKernel is of the suite of the peers, which has its headers.
const newestKernel = "7.2"

// heading is the line above a table.
func heading(where string) string { return "`make bench` " + where + ":\n\n" }
