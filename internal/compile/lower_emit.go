package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// Where the parts of struct record_header of bpf/record.h lie.
const (
	headerSize   = 24
	headerType   = 0 // u16 type, u16 cpu
	headerLength = 4
	headerSeq    = 8
	headerTime   = 16
)

// Loss counters, by reason: indices into LostReasons.
const (
	lostRing    = 0 // the ring was full
	lostScratch = 1 // no scratch memory was free
	lostErrors  = 2 // run-time errors that found no room
)

// LostReasons names the loss counters of every compiled script.
var LostReasons = []string{"ring full", "no scratch memory free", "reports of run-time errors"}

// reserve is how much of the ring ordinary records leave free: exit, clear and print then always find room.
const reserve = 64 << 10

// recordOnStack is the largest record that is put together on the stack.
const recordOnStack = 96

// tail is a string at the end of a record.
type tail struct {
	field  int
	expr   syntax.Expr
	most   int
	offset int // of its length in the record
}

// emit makes a site with the values of args and sends its record.
func (f *fn) emit(n syntax.Node, site Site, args []syntax.Expr) {
	mark := f.mark()
	defer f.release(mark)
	site.Span = n.Span()
	var tails []tail
	size, room := headerSize, 0
	for _, a := range args {
		t := f.typeOf(a)
		if c := f.constOf(a); c != nil {
			site.Fields = append(site.Fields, Field{Type: t, Const: c})
			continue
		}
		t = emitted(t)
		field := Field{Type: t}
		if t.Kind == types.String {
			size = (size + 3) &^ 3
			field.Offset, field.Tail = size, true
			most := max(t.Size, 1)
			switch a.(type) {
			case *syntax.Call, *syntax.Ident:
			default:
				most++ // an array may be full, and without a NUL
			}
			tails = append(tails, tail{len(site.Fields), a, most, size})
			room += most
			size += 4
		} else {
			align := t.Align()
			size = (size + align - 1) &^ (align - 1)
			field.Offset = size
			size += t.Size
		}
		site.Fields = append(site.Fields, field)
	}
	size = (size + 7) &^ 7
	site.Size = size
	number := f.site(site)

	var rec mem
	// A second string begins where the first ends; on the stack the verifier wants all places known.
	if size+room <= recordOnStack && len(tails) < 2 {
		rec = mem{slot: f.Func.NewSlot(size+room, 8, "record"), onSlot: true}
	} else {
		rec = f.allocScratch(size + room)
	}
	f.zeroHoles(rec, site.Fields, size)
	for i, a := range args {
		field := site.Fields[i]
		if field.Const != nil || field.Tail {
			continue
		}
		f.exprTo(a, rec.at(field.Offset), field.Type)
	}
	length := f.tails(rec, size, tails)
	f.send(f.Const(int64(number)), site.Kind, rec, length, size, room)
}

// emitted is the type in which a value travels: an aggregate as the integer it reads as.
func emitted(t *types.Type) *types.Type {
	if t.IsAggregate() {
		return types.IntOf(8, t.Signed)
	}
	return t
}

// zeroHoles zeroes what no field covers: the verifier lets no undefined stack bytes out, and scratch memory holds what
// was there before.
func (f *fn) zeroHoles(rec mem, fields []Field, size int) {
	at := headerSize
	for _, field := range fields {
		if field.Const != nil {
			continue
		}
		if field.Offset > at {
			f.zero(rec.at(at), field.Offset-at, 1)
		}
		at = field.Offset + field.Type.Size
		if field.Tail {
			at = field.Offset + 4
		}
	}
	if at < size {
		f.zero(rec.at(at), size-at, 1)
	}
}

// tails writes the strings one behind the other, and returns the length of the whole record; 0 if there are none.
func (f *fn) tails(rec mem, size int, tails []tail) ir.Value {
	if len(tails) == 0 {
		return 0
	}
	at, base, before := rec.at(size), ir.Value(0), 0
	var length ir.Value
	for i, t := range tails {
		n := f.strTo(t.expr, at, t.most)
		f.store(rec.at(t.offset), 4, n)
		if length == 0 {
			length = f.BinImm(ir.OpAdd, n, int64(size))
		} else {
			length = f.Bin(ir.OpAdd, length, n)
		}
		before += t.most
		if i+1 < len(tails) {
			if base == 0 {
				base = f.addr(rec.at(size))
			}
			at = mem{base: f.PtrAdd(base, f.BinImm(ir.OpSub, length, int64(size)), int64(before))}
		}
	}
	return length
}

// site enters a site and returns its number. The same body lowered again, for another attach point, has sites of its own.
func (l *lowerer) site(s Site) int {
	l.out.Sites = append(l.out.Sites, s)
	return len(l.out.Sites) - 1
}

// control says whether a record of that kind must get through when ordinary ones do not.
func (k SiteKind) control() bool {
	switch k {
	case SiteExit, SiteClear, SiteZero, SitePrintMap:
		return true
	}
	return false
}

// send completes the header and hands the record to the ring. length is 0 where it is size.
func (f *fn) send(site ir.Value, kind SiteKind, rec mem, length ir.Value, size, room int) {
	drop, out := f.Func.NewBlock("lost"), f.Func.NewBlock("sent")
	if f.controls() && !kind.control() {
		avail := f.Call(fnRingbufQuery, f.MapPtr(mapRing), f.Const(ringAvailData))
		fits := f.Func.NewBlock("fits")
		f.BranchImm(ir.Gt, avail, int64(f.ringSize()-reserve), drop, fits)
		f.Goto(fits)
	}
	cpu := f.BinImm(ir.OpShl, f.CallPure(fnSMPProcessorID), 16)
	f.store(rec.at(headerType), 4, f.Bin(ir.OpOr, cpu, site))
	if length == 0 {
		length = f.Const(int64(size))
	}
	f.store(rec.at(headerLength), 4, length)
	f.storeImm(rec.at(headerTime), 8, 0)
	f.sequence(rec.at(headerSeq))
	most := int64(size + room)
	ret := f.CallClamped(fnRingbufOutput, []ir.Clamp{{Arg: 2, Min: headerSize, Max: most}},
		f.MapPtr(mapRing), f.addr(rec), length, f.Const(wakeIfIdle))
	f.BranchImm(ir.Eq, ret, 0, out, drop)
	f.Goto(drop)
	reason := lostRing
	if kind == SiteHelperError || kind == SiteRuntimeError {
		reason = lostErrors
	}
	f.countLost(reason)
	f.Jump(out)
	f.Goto(out)
}

// sequence numbers the record where the kernel can count in a way that preempted programs do not disturb; a record that
// is lost after this uses its number up, by which its loss is proved.
func (f *fn) sequence(at mem) {
	if !f.t.Has(kernel.FetchAtomics) {
		f.storeImm(at, 8, 0)
		return
	}
	n := f.Func.NewVar()
	f.Set(n, f.Const(0))
	f.counters(func(block ir.Value) {
		f.Set(n, f.BinImm(ir.OpAdd, f.FetchAdd(block, 0, 8, f.Const(1)), 1))
	})
	f.store(at, 8, n)
}

func (f *fn) countLost(reason int) {
	f.counters(func(block ir.Value) {
		f.AtomicAdd(block, 8+8*reason, 8, f.Const(1))
	})
}

// counters runs body with the address of this CPU's counters.
func (f *fn) counters(body func(block ir.Value)) {
	key := f.alloc(4, 4, "zero")
	f.storeImm(key, 8, 0)
	p := f.Call(fnMapLookup, f.MapPtr(mapCounters), f.addr(key))
	found, next := f.Func.NewBlock("counters"), f.Func.NewBlock("counted")
	f.BranchImm(ir.Ne, p, 0, found, next)
	f.Goto(found)
	body(p)
	f.Jump(next)
	f.Goto(next)
}

// controls says whether the script has records that must get through.
func (l *lowerer) controls() bool { return l.hasControls }

// emitMap is print(@m, top, div), clear(@m) and zero(@m).
func (f *fn) emitMap(c *syntax.Call, ref *syntax.MapRef) {
	site := Site{Map: ref.Name}
	switch c.Func {
	case "clear":
		site.Kind = SiteClear
	case "zero":
		site.Kind = SiteZero
	default:
		site.Kind = SitePrintMap
	}
	var args []syntax.Expr
	if site.Kind == SitePrintMap {
		args = c.Args[1:]
	}
	f.emit(c, site, args)
}

// emitCall is a function that user space carries out; false if c is none.
func (f *fn) emitCall(c *syntax.Call) bool {
	switch c.Func {
	case "printf", "errorf", "warnf", "cat", "system":
		site := Site{Kind: map[string]SiteKind{
			"printf": SitePrintf, "errorf": SiteErrorf, "warnf": SiteWarnf, "cat": SiteCat, "system": SiteSystem,
		}[c.Func]}
		text := f.constOf(c.Args[0])
		if text == nil {
			f.refuse(c.Args[0], c.Func+"() needs a format that is known when the script is compiled", "")
			return true
		}
		site.Text = text.Str
		f.emit(c, site, c.Args[1:])
	case "print":
		f.emit(c, Site{Kind: SitePrintValue}, c.Args[:1])
	case "exit":
		site := Site{Kind: SiteExit}
		f.emit(c, site, c.Args[:min(1, len(c.Args))])
		f.returnNow()
	case "time":
		site := Site{Kind: SiteTime, Text: "%H:%M:%S\n"}
		if len(c.Args) > 0 {
			if t := f.constOf(c.Args[0]); t != nil {
				site.Text = t.Str
			}
		}
		f.emit(c, site, nil)
	case "join":
		f.join(c)
	default:
		return false
	}
	return true
}
