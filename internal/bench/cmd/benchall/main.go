// Command benchall measures sonde beside its peers and writes the table of the README; `make bench` runs it.
//
// It needs root (it traces the whole machine, watching only) and, the first time, debootstrap and a Debian mirror.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sonde/internal/bench"
	"sonde/internal/bench/peers"
	"sonde/internal/bench/report"
	"sonde/internal/bench/workload"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == workload.Role {
		os.Exit(workload.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// block is the name of the README's markers.
const block = "bench:exec"

type options struct {
	sonde, readme, json string
	rounds              int
	measures, tools     []string
}

func run(args []string, out, errs io.Writer) int {
	options, err := parse(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(errs, "benchall:", err)
		return 2
	}
	private, status, err := peers.Private()
	if err == nil && !private {
		return status
	}
	if err == nil {
		err = measureAll(options, out, errs)
	}
	if err != nil {
		fmt.Fprintln(errs, "benchall:", err)
		return 1
	}
	return 0
}

func parse(args []string, errs io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("benchall", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.sonde, "sonde", "build/sonde", "the sonde to measure, stripped")
	flags.StringVar(&o.readme, "readme", "", "write the table between the markers of this `FILE`")
	flags.StringVar(&o.json, "json", "", "write all samples to this `FILE`")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of the storms; the short measures take three times as many")
	only := flags.String("only", "", "take only these measures: "+strings.Join(names(bench.Measures, func(m bench.Measure) string { return m.Name }), ","))
	tools := flags.String("tools", "", "measure only these tools: "+strings.Join(names(bench.Tools(""), func(t bench.Tool) string { return t.Key }), ","))
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if o.rounds < 1 || o.rounds > 1000 {
		return options{}, fmt.Errorf("-rounds %d: want 1 to 1000", o.rounds)
	}
	var err error
	if o.measures, err = choose("-only", *only, names(bench.Measures, func(m bench.Measure) string { return m.Name })); err != nil {
		return options{}, err
	}
	if o.tools, err = choose("-tools", *tools, names(bench.Tools(""), func(t bench.Tool) string { return t.Key })); err != nil {
		return options{}, err
	}
	if o.sonde, err = filepath.Abs(o.sonde); err != nil {
		return options{}, err
	}
	return o, nil
}

func names[T any](all []T, name func(T) string) []string {
	var list []string
	for _, one := range all {
		list = append(list, name(one))
	}
	return list
}

// choose splits a list and refuses what is not among all. Nothing means all.
func choose(flag, list string, all []string) ([]string, error) {
	if list == "" {
		return all, nil
	}
	chosen := strings.Split(list, ",")
	for _, one := range chosen {
		if !slices.Contains(all, one) {
			return nil, fmt.Errorf("%s: %q is none of %s", flag, one, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}

func measureAll(o options, out, errs io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := peers.Ensure(ctx, errs)
	if err != nil {
		return err
	}
	if err := root.Mount(); err != nil {
		return err
	}
	versions, err := root.Versions()
	if err != nil {
		return err
	}
	machine, err := bench.Machine()
	if err != nil {
		return err
	}
	results := &report.Results{Command: "make bench", Machine: machine, Notes: bench.Notes}
	b := &bench.Bench{Root: root.Dir, Rounds: o.rounds, Log: errs, Results: results}
	for _, tool := range bench.Tools(o.sonde) {
		if !slices.Contains(o.tools, tool.Key) {
			continue
		}
		b.Tools = append(b.Tools, tool)
		results.Columns = append(results.Columns, report.Column{Key: tool.Key, Title: tool.Title, Version: versions[tool.Package]})
	}
	if err := b.Run(ctx, func(name string) bool { return slices.Contains(o.measures, name) }); err != nil {
		return err
	}
	return publish(o, results, out, errs)
}

func publish(o options, results *report.Results, out, errs io.Writer) error {
	table := bench.Table().Markdown(results)
	fmt.Fprint(out, table)
	if o.json != "" {
		if err := results.WriteJSON(o.json); err != nil {
			return err
		}
	}
	if o.readme == "" {
		return nil
	}
	err := report.WriteReadme(o.readme, block, table)
	if errors.Is(err, report.ErrNoMarkers) {
		fmt.Fprintf(errs, "benchall: %s has no <!-- %s --> and <!-- /%s -->: the table is only printed\n", o.readme, block, block)
		return nil
	}
	return err
}
