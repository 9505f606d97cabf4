package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
	"sonde/internal/object"
	"sonde/internal/symbol"
	"sonde/internal/target"
)

// liveKernel is the running kernel, as compilers and listers ask it.
func liveKernel() kernel.Target { return strippedToo{kernel.Live(attach.Trials())} }

// strippedToo is a kernel whose programs may have their functions elsewhere: in a separate debug file, a compressed section,
// the tables of Go.
type strippedToo struct{ kernel.Target }

func (k strippedToo) Functions(path, pattern string) ([]kernel.UserSymbol, error) {
	found, err := k.Target.Functions(path, pattern)
	if err != nil || len(found) > 0 {
		return found, err
	}
	more, err := symbol.Functions(path, pattern, false)
	for _, s := range more {
		found = append(found, kernel.UserSymbol{Name: s.Name, Address: s.Address, Offset: s.Offset, Size: s.Size})
	}
	return found, err
}

func (k strippedToo) Address(path, name string) (kernel.UserSymbol, bool) {
	if s, ok := k.Target.Address(path, name); ok {
		return s, true
	}
	s, ok, _ := symbol.Address(path, name)
	return kernel.UserSymbol{Name: s.Name, Address: s.Address, Offset: s.Offset, Size: s.Size}, ok
}

// classicVersion is the version of bpftrace whose language and command line these are.
const classicVersion = "0.27.1"

// runScript is sonde run, and the name bpftrace.
//
// y is nil for the latter: bpftrace runs no objects.
func runScript(io streams, c *cobra.Command, x *scriptFlags, y *objectFlags, args []string, name string) error {
	if err := emptyValues(c.Flags()); err != nil {
		return err
	}
	switch {
	case x.version:
		_, err := fmt.Fprintf(io.out, "bpftrace v%s (sonde %s)\n", classicVersion, version)
		return err
	case x.info:
		doctor := doctorCommand(io)
		return doctor.RunE(doctor, nil)
	case x.format != "text" && x.format != "json":
		return usage("-f %q: the formats are text and json", x.format)
	case x.buffering != "" && !slices.Contains([]string{bufferLine, bufferFull, bufferNone}, x.buffering):
		return usage("-B %q: the modes are line, full and none", x.buffering)
	case y != nil && y.cleanStale:
		if x.expr != "" || len(args) > 0 {
			return usage("--clean-stale is given alone, or with --dry-run")
		}
		return cleanStale(io, x.dryRun)
	case x.list && x.expr == "" && (len(args) == 0 || !isScript(args[0])):
		pid, err := parsePID(x.pid)
		if err != nil {
			return err
		}
		err = listProbes(io.out, liveKernel(), args, pid, x.verbose > 0)
		var none *unmatchedError
		if name == classicName && errors.As(err, &none) {
			say(io.err, "%s: %v", name, err)
			return nil
		}
		return err
	}
	if err := x.refuse(); err != nil {
		return err
	}
	src, err := x.source(io.in, args)
	if err != nil {
		return err
	}
	if object.Is(src.text) && x.expr == "" {
		if y == nil {
			return fmt.Errorf("%q is a compiled object; sonde run runs those", src.name)
		}
		if err := onlyForScripts(c.Flags()); err != nil {
			return err
		}
		command, err := objectArgs(src.args, c.ArgsLenAtDash())
		if err != nil {
			return err
		}
		return runObject(io, x, y, src, command)
	}
	if y != nil {
		if err := onlyForObjects(c.Flags()); err != nil {
			return err
		}
	}
	if x.fmt || x.mode == "format" {
		return formatScript(io, src)
	}
	s := &script{name: name, io: io, flags: x, kernel: liveKernel()}
	return s.run(src)
}

// isScript says whether what stands behind -l is a script, rather than a pattern.
func isScript(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// formatScript is --fmt: it needs no privileges and asks the kernel nothing.
func formatScript(io streams, in scriptSource) error {
	src := syntax.NewSource(in.name, in.text)
	tree, diags := syntax.Parse(src)
	bad, _ := report(src, diags, false)
	if len(bad) > 0 {
		return complain(io, bad)
	}
	if _, err := io.out.Write(syntax.Format(tree, src)); err != nil {
		return quietPipe(err)
	}
	return nil
}

// complain writes messages that were rendered already, and ends the run.
func complain(io streams, messages []string) error {
	for _, m := range messages {
		fmt.Fprintln(io.err, strings.TrimSuffix(m, "\n"))
	}
	return &statusError{exitFailure}
}

// options turns the command line into what the compiler takes.
func (x *scriptFlags) options(in scriptSource) (o compile.Options, err error) {
	o.Positional, o.Named = scriptArgs(in.args)
	if o.PID, err = parsePID(x.pid); err != nil {
		return o, err
	}
	if x.pid != "" && x.command != "" {
		return o, usage("-p and -c exclude each other")
	}
	if x.tree && x.pid == "" && x.command == "" {
		return o, usage("--tree needs a command (-c) or a process (-p)")
	}
	if o.Keep, err = x.filter(); err != nil {
		return o, err
	}
	if o.Includes, err = x.includeSources(); err != nil {
		return o, err
	}
	if o.RingSize, err = parseBuffer(x.buffer); err != nil {
		return o, err
	}
	o.Unsafe, o.NoWarnings, o.Warnings, o.NoOptimize = x.unsafe, x.noWarnings, x.warnings > 0, x.noOptimize
	o.Settings = settings(os.Environ())
	o.Demangle = demangle
	o.Without = map[string]bool{}
	for _, f := range x.noFeature {
		if !slices.Contains(switchable, f) {
			return o, usage("--no-feature %q: the features are %s", f, strings.Join(switchable, ", "))
		}
		o.Without[f] = true
	}
	for _, d := range x.debug {
		o.Stages = append(o.Stages, stagesOf(d)...)
	}
	for _, st := range o.Stages {
		if _, ok := (&compile.Program{}).Stage(st); !ok {
			return o, usage("-d %q: the stages are ast, types, ir, asm and all", st)
		}
	}
	return o, nil
}

// stagesOf are the stages that a value of -d means, by bpftrace's names too.
func stagesOf(name string) []string {
	switch name {
	case "all":
		return []string{"ast", "types", "ir", "asm"}
	case "parse":
		return []string{"ast"}
	case "codegen", "codegen-opt":
		return []string{"ir"}
	case "dis", "verifier", "libbpf":
		return []string{"asm"}
	}
	return []string{name}
}

// compile compiles the script, says what there is to say about it, and returns nil if that is all there is to do.
func (s *script) compile(in scriptSource, o compile.Options) (*compile.Program, error) {
	text, k := in.text, s.kernel
	own := 0
	if s.flags.tree {
		text, own = follow(text, k.Types() != nil)
		o.Tree = treeMap
		if o.PID != 0 { // the tree's root, not the only process
			o.Binary, o.PID = fmt.Sprintf("/proc/%d/exe", o.PID), 0
		}
	}
	p, diags := compile.Compile(text, in.name, k, o)
	if p != nil {
		// What --tree added is not the user's to see.
		p.Points = p.Points[:max(len(p.Points)-own, 0)]
		s.treeMap = mapName(p, treeMap)
		p.Maps = slices.DeleteFunc(p.Maps, func(m compile.Map) bool { return m.Name == treeMap })
	}
	src := syntax.NewSource(in.name, text)
	bad, warnings := report(src, diags, s.colour())
	if !s.flags.noWarnings && !s.flags.quiet {
		for _, w := range warnings {
			fmt.Fprintln(s.io.err, strings.TrimSuffix(w, "\n"))
		}
	}
	if p != nil && len(o.Stages) > 0 {
		if err := s.showStages(p, o.Stages); err != nil || len(bad) == 0 {
			return nil, err
		}
	}
	if len(bad) > 0 {
		return nil, complain(s.io, bad)
	}
	if o.Named["help"] == "true" && p != nil {
		return nil, s.scriptHelp(in.name, p)
	}
	if err := unknownOptions(o.Named, p); err != nil {
		return nil, err
	}
	if s.flags.list {
		return nil, newLister(s.io.out, k, s.pid, s.flags.verbose > 0).points(p.Points)
	}
	return p, nil
}

// showStages prints the text forms of phases, with a heading where there are several.
func (s *script) showStages(p *compile.Program, stages []string) error {
	var b strings.Builder
	for i, st := range stages {
		text, _ := p.Stage(st)
		if len(stages) > 1 {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "// %s\n", st)
		}
		b.WriteString(text)
	}
	if _, err := s.io.out.WriteString(b.String()); err != nil {
		return quietPipe(err)
	}
	return nil
}

// colour says whether messages are coloured: on a terminal, unless the environment says otherwise.
func (s *script) colour() bool {
	switch os.Getenv(settingPrefix + "COLOR") {
	case "always":
		return true
	case "never":
		return false
	}
	return terminalWidth(s.io.err) > 0 && colour()
}

// unknownOptions refuses --name=value behind the script where the script asks for no such option.
func unknownOptions(given map[string]string, p *compile.Program) error {
	known := make([]string, len(p.Help))
	for i, h := range p.Help {
		known[i] = h.Name
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case slices.Contains(known, name):
		case len(known) == 0:
			return usage("--%s: the script has no options", name)
		default:
			return usage("--%s: the script has no such option; it has --%s", name, strings.Join(known, ", --"))
		}
	}
	return nil
}

// scriptHelp lists the script's own options.
func (s *script) scriptHelp(name string, p *compile.Program) error {
	if len(p.Help) == 0 {
		_, err := fmt.Fprintf(s.io.out, "%s has no options of its own.\n", oneLine(name))
		return err
	}
	fmt.Fprintf(s.io.out, "Options of %s, to be given behind --:\n", oneLine(name))
	for _, h := range p.Help {
		text := "--" + h.Name
		if h.Default != "" {
			text += "=" + h.Default
		}
		fmt.Fprintf(s.io.out, "  %-24s %s\n", oneLine(text), oneLine(h.Help))
	}
	return nil
}

// startCommand starts COMMAND of -c held, before the script is compiled: cpid is its number.
func (s *script) startCommand() error {
	if s.flags.command == "" {
		return nil
	}
	words, err := splitWords(s.flags.command)
	if err != nil {
		return err
	}
	s.command, err = target.Start(words, [3]*os.File{os.Stdin, os.Stdout, os.Stderr})
	return err
}

// demangle gives the name that a symbol has in its source, with its parameters or without.
func demangle(name string, params bool) string {
	if params {
		return symbol.Demangle(name)
	}
	return symbol.DemangleBare(name)
}
