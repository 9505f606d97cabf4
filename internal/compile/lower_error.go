package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// manyReports is from how many places on a program tells of failed helpers by a function of its own: a global one, which
// the verifier looks at once. With fewer, the code in place leaves the stack to the program itself.
const manyReports = 24

// reportHelper tells of a helper that failed: its number and what it returned.
func (f *fn) reportHelper(n syntax.Node, helper int, name string, ret ir.Value) {
	number := f.Const(int64(f.site(Site{Kind: SiteHelperError, Span: n.Span(), Text: name, Size: headerSize + 8, Fields: []Field{
		{Type: types.TUint32, Offset: headerSize},
		{Type: types.TInt32, Offset: headerSize + 4},
	}})))
	root := f.root()
	if root.reports++; root.reports <= manyReports {
		f.sendReport(number, f.Const(int64(helper)), ret)
		return
	}
	if root.reporter == "" {
		root.reporter = root.Func.Name + "_report"
		root.makeReporter()
	}
	f.CallFunc(root.reporter, number, f.Const(int64(helper)), ret)
}

func (f *fn) sendReport(site, helper, ret ir.Value) {
	const size = headerSize + 8
	rec := mem{slot: f.Func.NewSlot(size, 8, "report"), onSlot: true}
	f.store(rec.at(headerSize), 4, helper)
	f.store(rec.at(headerSize+4), 4, ret)
	f.send(site, SiteHelperError, rec, 0, size, 0)
}

// makeReporter makes the function: of the site's number, the helper's, and what it returned.
func (f *fn) makeReporter() {
	irf := ir.NewFunc(f.reporter, 3)
	irf.Global = true
	f.irp.Funcs = append(f.irp.Funcs, irf)
	in := &fn{
		lowerer: f.lowerer, irp: f.irp, program: f.program, points: f.points, plan: f.plan,
		Builder: *ir.NewBuilder(irf), vars: map[*check.Variable]*variable{},
	}
	in.sendReport(irf.Params[0], irf.Params[1], irf.Params[2])
	in.RetImm(0)
}

// runtimeError tells of something the script did that has no right result.
func (f *fn) runtimeError(n syntax.Node, text string) {
	site := Site{Kind: SiteRuntimeError, Span: n.Span(), Text: text, Size: headerSize}
	number := f.Const(int64(f.site(site)))
	rec := mem{slot: f.Func.NewSlot(site.Size, 8, "report"), onSlot: true}
	f.send(number, site.Kind, rec, 0, site.Size, 0)
}
