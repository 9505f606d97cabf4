// Command benchall measures sonde beside its peers and writes the tables of the README; `make bench` runs it.
//
// It needs root (it traces the whole machine, watching only), clang and libbpf's headers and, the first time, debootstrap
// and a Debian mirror.
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
	"sonde/internal/bench/guard"
	"sonde/internal/bench/malloc"
	"sonde/internal/bench/measure"
	"sonde/internal/bench/open"
	"sonde/internal/bench/peers"
	"sonde/internal/bench/proc"
	"sonde/internal/bench/report"
	"sonde/internal/bench/script"
	"sonde/internal/bench/turns"
	"sonde/internal/bench/workload"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == workload.Role {
		os.Exit(workload.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) == 3 && inGuests[os.Args[1]] != nil {
		if err := inGuests[os.Args[1]](context.Background(), os.Args[2], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "benchall:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// inGuests is what this program does in a guest, by its first argument.
var inGuests = map[string]func(ctx context.Context, arg string, out, log io.Writer) error{
	bench.GuestRole: bench.InGuest,
	guard.GuestRole: guard.InGuest,
}

// inGuest is the name for -only of what is measured of sonde exec in a guest.
const inGuest = "guest"

// families are the names for -only of all measures of a command, with these measures.
var families = []struct {
	name     string
	measures []string
}{
	{"run", turns.Names(script.Measures)},
	{"open", turns.Names(open.Measures)},
	{"proc", turns.Names(proc.Measures)},
	{"guard", []string{guard.Measure}},
	{"malloc", turns.Names(malloc.Measures)},
}

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
	flags.IntVar(&o.rounds, "rounds", 3, "rounds; the short measures take three times as many")
	measures := append(turns.Names(bench.Measures), inGuest)
	for _, f := range families {
		measures = append(append(measures, f.name), f.measures...)
	}
	var tools []string
	for _, key := range slices.Concat(
		names(bench.Tools(""), func(t bench.Tool) string { return t.Key }),
		names(script.Tools(""), func(t script.Tool) string { return t.Key }),
		names(open.Tools(""), func(t open.Tool) string { return t.Key }),
		names(proc.Tools(""), func(t proc.Tool) string { return t.Key }),
		names(malloc.Tools(""), func(t malloc.Tool) string { return t.Key }),
	) {
		if !slices.Contains(tools, key) {
			tools = append(tools, key)
		}
	}
	only := flags.String("only", "", "take only these of "+strings.Join(measures, ","))
	which := flags.String("tools", "", "measure only these of "+strings.Join(tools, ","))
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
	if o.measures, err = choose("-only", *only, measures); err != nil {
		return options{}, err
	}
	for _, f := range families {
		if slices.Contains(o.measures, f.name) {
			o.measures = append(o.measures, f.measures...)
		}
	}
	if o.tools, err = choose("-tools", *which, tools); err != nil {
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
	machine, err := measure.Machine()
	if err != nil {
		return err
	}
	if err := peers.Tracefs(); err != nil {
		return err
	}
	suites := &roots{log: errs}
	var blocks []block
	for _, take := range []func(context.Context, *roots, string, options, io.Writer) (block, error){takeExec, takeScripts, takeOpens, takeProcs, takeGuard, takeMalloc} {
		b, err := take(ctx, suites, machine, o, errs)
		if err != nil {
			return err
		}
		if len(b.results) > 0 {
			blocks = append(blocks, b)
		}
	}
	return publish(o, blocks, out, errs)
}

// block is what is measured together, and a part of the README.
type block struct {
	name    string // of the README's markers
	text    string
	results []*report.Results
}

func publish(o options, blocks []block, out, errs io.Writer) error {
	var all []*report.Results
	for i, b := range blocks {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprint(out, b.text)
		all = append(all, b.results...)
	}
	if o.json != "" {
		if err := report.WriteJSON(o.json, all...); err != nil {
			return err
		}
	}
	if o.readme == "" {
		return nil
	}
	for _, b := range blocks {
		err := report.WriteReadme(o.readme, b.name, b.text)
		if errors.Is(err, report.ErrNoMarkers) {
			fmt.Fprintf(errs, "benchall: %s has no <!-- %s --> and <!-- /%s -->: the table is only printed\n", o.readme, b.name, b.name)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
