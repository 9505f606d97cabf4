package compile

import (
	"bytes"
	"encoding/binary"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// A process may end before user space has read where its files are mapped. So a program that sees a process for the first
// time also tells of the mappings that the addresses at hand lie in: where each begins and ends, and which file it is of.
// The names of the folders come as the kernel's cache has them, from the file up.

// Layout of the record of a mapping behind its header: words, then the names.
const (
	mappingPID, mappingStart, mappingEnd, mappingPages = 0, 8, 16, 24
	mappingDevice, mappingInode, mappingCount          = 32, 40, 48
	mappingNames                                       = 56
	mappingMost                                        = 12
	mappingNameSize                                    = 64
	mappingSize                                        = headerSize + mappingNames + mappingMost*mappingNameSize
)

// framesMapped is of how many frames of a stack the mappings are told.
const framesMapped = 12

// mappingFields are where the kernel keeps what is told. Nil where its types do not show one of them.
func (l *lowerer) mappingFields() map[string]int {
	at := map[string]int{}
	for _, path := range [][]string{
		{"vm_area_struct", "vm_start"}, {"vm_area_struct", "vm_end"}, {"vm_area_struct", "vm_pgoff"}, {"vm_area_struct", "vm_file"},
		{"file", "f_inode"}, {"inode", "i_ino"}, {"inode", "i_sb"}, {"super_block", "s_dev"},
		{"file", "f_path", "dentry"}, {"dentry", "d_parent"}, {"dentry", "d_name", "name"},
	} {
		k, ok := l.kernelField(path[0], path[1:]...)
		if !ok || k.size != 8 && path[1] != "s_dev" {
			return nil
		}
		at[path[len(path)-1]] = k.offset
	}
	return at
}

// tellsMappings says whether programs can tell of mappings here.
func (f *fn) tellsMappings() bool {
	return f.outer == nil && f.taskBTF() && f.t.Has(kernel.BpfLoop) && f.helper(fnFindVMA) && f.mappingFields() != nil
}

// tellMapping tells of the mapping that an address of a fresh process lies in.
func (f *fn) tellMapping(n syntax.Node, fresh, addr ir.Value) {
	if fresh == 0 || !f.tellsMappings() {
		return
	}
	tell, next := f.Func.NewBlock("mapping"), f.Func.NewBlock("mapped")
	f.BranchImm(ir.Ne, fresh, 0, tell, next)
	f.Goto(tell)
	find := f.mappingFinder(n)
	find(addr)
	f.Jump(next)
	f.Goto(next)
}

// tellMappings tells of those of a stack.
func (f *fn) tellMappings(n syntax.Node, fresh, count ir.Value, frames mem, most int) {
	if fresh == 0 || !f.tellsMappings() {
		return
	}
	tell, next := f.Func.NewBlock("mappings"), f.Func.NewBlock("mapped")
	f.BranchImm(ir.Ne, fresh, 0, tell, next)
	f.Goto(tell)
	find := f.mappingFinder(n)
	for i := range min(most, framesMapped) {
		more := f.Func.NewBlock("frame")
		f.BranchImm(ir.Gt, count, int64(i), more, next)
		f.Goto(more)
		find(f.load(frames.at(8*i), 8, false))
	}
	f.Jump(next)
	f.Goto(next)
}

// mappingFinder makes the function that the kernel calls with a mapping, unless the program has it already. What is
// returned lets the kernel look for the mapping of an address.
func (f *fn) mappingFinder(n syntax.Node) (find func(addr ir.Value)) {
	if f.mapper == "" {
		f.mapper, f.lastMapping = f.Func.Name+"_mapping", f.frameAlloc(8)
		f.makeMapper(n)
	}
	f.storeImm(f.frameAt(f.lastMapping), 8, 0)
	return func(addr ir.Value) {
		f.Call(fnFindVMA, f.CallPure(fnCurrentTaskBTF), addr, f.FuncPtr(f.mapper), f.frameAddr(), f.Const(0))
	}
}

// makeMapper makes the callback of bpf_find_vma: of the task, the mapping and the frame.
func (f *fn) makeMapper(n syntax.Node) {
	fields := f.mappingFields()
	place := f.allocLasting(mappingSize, 8, "mapping")
	site := Site{Kind: SiteMapping, Span: n.Span(), Size: mappingSize}
	for i := range mappingNames / 8 {
		site.Fields = append(site.Fields, Field{Type: types.TUint64, Offset: headerSize + 8*i})
	}
	number := f.site(site)

	in := f.callback(f.mapper, 3, 2)
	in.Pos = f.Pos
	rec := mem{base: in.scratch.base, off: place.off}
	body := rec.at(headerSize)
	read := func(dst mem, size int, from ir.Value, field string) {
		in.Call(fnProbeReadKernel, in.addr(dst), in.Const(int64(size)), in.BinImm(ir.OpAdd, from, int64(fields[field])))
	}
	pointer := in.alloc(8, 8, "pointer")
	follow := func(from ir.Value, field string) ir.Value {
		read(pointer, 8, from, field)
		return in.load(pointer, 8, false)
	}
	skip := in.Func.NewBlock("skip")
	ifNot := func(c ir.Cond, x, y ir.Value) {
		next := in.Func.NewBlock("next")
		in.Branch(c, x, y, skip, next)
		in.Goto(next)
	}
	area := in.Func.Params[1]
	read(body.at(mappingStart), 8, area, "vm_start")
	last := in.frameAt(f.lastMapping)
	start := in.load(body.at(mappingStart), 8, false)
	ifNot(ir.Eq, start, in.load(last, 8, false)) // the frame before lay in the same
	in.store(last, 8, start)
	read(body.at(mappingEnd), 8, area, "vm_end")
	read(body.at(mappingPages), 8, area, "vm_pgoff")
	file := follow(area, "vm_file")
	ifNot(ir.Eq, file, in.Const(0))
	inode := follow(file, "f_inode")
	read(body.at(mappingInode), 8, inode, "i_ino")
	in.storeImm(body.at(mappingDevice), 8, 0)
	read(body.at(mappingDevice), 4, follow(inode, "i_sb"), "s_dev")
	dentry, count := in.Func.NewVar(), in.Func.NewVar()
	in.Set(dentry, follow(file, "dentry"))
	in.Set(count, in.Const(0))
	named := in.Func.NewBlock("named")
	for i := range mappingMost {
		parent := follow(dentry, "d_parent")
		more := in.Func.NewBlock("name")
		in.Branch(ir.Eq, parent, dentry, named, more)
		in.Goto(more)
		name := follow(dentry, "name")
		in.Call(fnProbeReadKernelStr, in.addr(body.at(mappingNames+i*mappingNameSize)), in.Const(mappingNameSize), name)
		in.Set(count, in.Const(int64(i+1)))
		in.Set(dentry, parent)
	}
	in.Set(count, in.Const(mappingMost+1)) // there are more
	in.Jump(named)
	in.Goto(named)
	in.store(body.at(mappingCount), 8, count)
	in.store(body.at(mappingPID), 8, in.pid())
	cpu := in.BinImm(ir.OpShl, in.CallPure(fnSMPProcessorID), 16)
	in.store(rec.at(headerType), 4, in.BinImm(ir.OpOr, cpu, int64(number)))
	in.storeImm(rec.at(headerLength), 4, mappingSize)
	in.storeImm(rec.at(headerSeq), 8, 0)
	in.storeImm(rec.at(headerTime), 8, 0)
	in.Call(fnRingbufOutput, in.MapPtr(mapNews), in.addr(rec), in.Const(mappingSize), in.Const(wakeIfIdle))
	in.Jump(skip)
	in.Goto(skip)
	in.RetImm(0)
	in.endCallback()
}

// Mapping is what a record of SiteMapping tells.
type Mapping struct {
	PID        uint32
	Start, End uint64
	Page       uint64 // which of the file it begins with
	Device     uint32 // as the kernel numbers it: the major number from bit 20 on
	Inode      uint64
	Path       string // in the file system of the device; "" if it was too long
}

// ParseMapping reads a record of SiteMapping, without its header.
func ParseMapping(body []byte) (m Mapping, ok bool) {
	if len(body) < mappingSize-headerSize {
		return m, false
	}
	word := func(off int) uint64 { return binary.NativeEndian.Uint64(body[off:]) }
	m = Mapping{
		PID: uint32(word(mappingPID)), Start: word(mappingStart), End: word(mappingEnd), Page: word(mappingPages),
		Device: uint32(word(mappingDevice)), Inode: word(mappingInode),
	}
	if word(mappingCount) > mappingMost {
		return m, true
	}
	for i := range int(word(mappingCount)) {
		name, _, _ := bytes.Cut(body[mappingNames+i*mappingNameSize:][:mappingNameSize], []byte{0})
		if len(name) == 0 || len(name) >= mappingNameSize-1 { // it may have been cut
			m.Path = ""
			return m, true
		}
		m.Path = "/" + string(name) + m.Path
	}
	return m, true
}
