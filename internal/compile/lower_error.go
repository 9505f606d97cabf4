package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// reportHelper tells of a helper that failed: its number and what it returned.
func (f *fn) reportHelper(n syntax.Node, helper int, name string, ret ir.Value) {
	site := Site{Kind: SiteHelperError, Span: n.Span(), Text: name, Size: headerSize + 8, Fields: []Field{
		{Type: types.TUint32, Offset: headerSize},
		{Type: types.TInt32, Offset: headerSize + 4},
	}}
	number := f.site(site)
	rec := mem{slot: f.Func.NewSlot(site.Size, 8, "report"), onSlot: true}
	f.storeImm(rec.at(headerSize), 4, int64(helper))
	f.store(rec.at(headerSize+4), 4, ret)
	f.send(number, site.Kind, rec, 0, site.Size, 0)
}

// runtimeError tells of something the script did that has no right result.
func (f *fn) runtimeError(n syntax.Node, text string) {
	site := Site{Kind: SiteRuntimeError, Span: n.Span(), Text: text, Size: headerSize}
	number := f.site(site)
	rec := mem{slot: f.Func.NewSlot(site.Size, 8, "report"), onSlot: true}
	f.send(number, site.Kind, rec, 0, site.Size, 0)
}
