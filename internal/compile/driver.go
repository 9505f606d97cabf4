package compile

import (
	"fmt"
	"slices"

	"sonde/internal/compile/check"
	"sonde/internal/compile/codegen"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// Compile turns a script into a Program. The Spec of the Program is nil where a diagnostic is an error; what else is in
// it, texts of the stages above all, is as far as it got.
func Compile(src []byte, name string, t kernel.Target, o Options) (*Program, []syntax.Diagnostic) {
	source := syntax.NewSource(name, src)
	out := &Program{Source: source}
	show := func(stage string) bool { return slices.Contains(o.Stages, stage) }

	tree, diags := syntax.Parse(source)
	if show("ast") && tree != nil {
		out.stages.ast = syntax.Dump(tree)
	}
	if failed(diags) {
		return out, diags
	}

	info, more := check.Check(tree, source, t, o.Options)
	diags = append(diags, more...)
	if show("types") && info != nil {
		out.stages.types = typesText(info)
	}
	if info != nil {
		out.Config, out.Help = info.Config, info.Help
	}
	if failed(diags) {
		return out, diags
	}

	l := &lowerer{t: t, info: info, opt: o, out: out}
	l.chooseStorage()
	l.foresee()
	for _, p := range info.Programs {
		l.lower(p)
	}
	if diags = append(diags, l.diags...); failed(diags) {
		return out, diags
	}

	for _, lw := range l.programs {
		if err := l.generate(lw); err != nil {
			diags = append(diags, syntax.Diagnostic{Span: lw.points[0].Span, Message: err.Error()})
		}
		if show("ir") {
			out.stages.ir += lw.ir.String() + "\n"
		}
		if show("asm") && lw.code != nil {
			out.stages.asm += asmText(source, lw)
		}
	}
	if failed(diags) {
		return out, diags
	}
	programs := make([]lowered, len(l.programs))
	for i, lw := range l.programs {
		programs[i] = *lw
	}
	l.assemble(programs)
	return out, diags
}

// generate makes code of a program's IR.
func (l *lowerer) generate(lw *lowered) (err error) {
	if err := ir.Verify(lw.ir); err != nil {
		return fmt.Errorf("bug in sonde: the code made for this is wrong: %w", err)
	}
	var passes func(string) bool
	if l.opt.NoOptimize {
		passes = func(string) bool { return false }
	}
	ir.Optimize(lw.ir, passes)
	if err := ir.Verify(lw.ir); err != nil {
		return fmt.Errorf("bug in sonde: the optimised code is wrong: %w", err)
	}
	generate := l.opt.Generate
	if generate == nil {
		generate = codegen.Generate
	}
	lw.code, err = generate(lw.ir)
	return err
}

func failed(diags []syntax.Diagnostic) bool {
	return slices.ContainsFunc(diags, func(d syntax.Diagnostic) bool { return d.Severity == syntax.Error })
}

// lowered is one BPF program of the script on its way to the kernel: what driver.go hands to the assembly of the Spec.
type lowered struct {
	name    string // in the collection
	check   *check.Program
	points  []check.Point
	plan    plan
	ir      *ir.Program
	code    *codegen.Code
	scratch int // bytes of scratch memory, 0 for none; see scratchMap
}

// progType is the kernel's number of the type of programs that are attached so (linux/bpf.h, enum bpf_prog_type).
func progType(k prog.ProbeKind) uint32 {
	switch k {
	case prog.RawTracepoint, prog.TestRun:
		return 17
	case prog.Tracepoint:
		return 5
	case prog.TypedTracepoint, prog.Fentry, prog.Fexit, prog.Iter:
		return 26
	case prog.Interval, prog.Profile, prog.Software, prog.Hardware:
		return 7
	}
	return 2
}

// isUprobe says whether a program attached so is run by a uprobe.
func isUprobe(k prog.ProbeKind) bool {
	switch k {
	case prog.Uprobe, prog.Uretprobe, prog.UprobeMulti, prog.UretprobeMulti:
		return true
	}
	return false
}
