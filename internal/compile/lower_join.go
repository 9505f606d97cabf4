package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// joinMost is how many strings join() shows.
const joinMost = 16

// join sends the strings that a vector of pointers leads to, up to the first NULL. A string that is not there has length
// 0, an empty one length 1: its NUL.
func (f *fn) join(c *syntax.Call) {
	site := Site{Kind: SiteJoin, Text: " ", Span: c.Span()}
	if len(c.Args) > 1 {
		if sep := f.constOf(c.Args[1]); sep != nil {
			site.Text = sep.Str
		}
	}
	mark := f.mark()
	defer f.release(mark)
	most := f.info.Config.MaxStrlen
	for i := range joinMost {
		site.Fields = append(site.Fields, Field{Type: types.StringOf(most), Offset: headerSize + 4*i, Tail: true})
	}
	site.Size = headerSize + 4*joinMost
	number := f.site(site)
	rec := f.allocScratch(site.Size + joinMost*most)
	f.zero(rec.at(headerSize), 4*joinMost, 4)

	argv := f.expr(c.Args[0])
	space := types.SpaceKernel
	if argv.t.Kind == types.Pointer {
		space = argv.t.Space
	}
	base := f.addr(rec.at(site.Size))
	length := f.Func.NewVar()
	f.Set(length, f.Const(0))
	pointer := f.alloc(8, 8, "argument")
	end := f.Func.NewBlock("joined")
	for i := range joinMost {
		f.readTo(pointer, f.BinImm(ir.OpAdd, argv.v, int64(8*i)), 8, space)
		p := f.load(pointer, 8, false)
		one := f.Func.NewBlock("argument")
		f.BranchImm(ir.Ne, p, 0, one, end)
		f.Goto(one)
		n := f.readStr(mem{base: f.PtrAdd(base, length, int64(i*most))}, p, most, space)
		f.store(rec.at(headerSize+4*i), 4, n)
		f.Set(length, f.Bin(ir.OpAdd, length, n))
	}
	f.Jump(end)
	f.Goto(end)
	f.send(f.Const(int64(number)), site.Kind, rec, f.BinImm(ir.OpAdd, length, int64(site.Size)), site.Size, joinMost*most)
}
