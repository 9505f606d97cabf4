package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"sonde/internal/bench"
	"sonde/internal/bench/guard"
	"sonde/internal/bench/open"
	"sonde/internal/bench/peers"
	"sonde/internal/bench/proc"
	"sonde/internal/bench/report"
	"sonde/internal/bench/script"
	"sonde/internal/bench/turns"
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

// heading is the line above a table.
func heading(where string) string { return "`make bench` " + where + ":\n\n" }
