package object

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// Programs of static probes (USDT) are written with libbpf's usdt.bpf.h: they find out where their arguments are by a map that
// the loader fills, at the place that the cookie of the probe names.
const (
	usdtSpecs  = "__bpf_usdt_specs"
	usdtCookie = "LINUX_HAS_BPF_COOKIE" // asked for as if it were an option of the kernel
	usdtTrue   = "sonde_true"           // a map with a one in it, which takes the place of that

	usdtArgSize   = 16 // struct __bpf_usdt_arg_spec
	usdtSpecTail  = 16 // usdt_cookie, arg_cnt and what fills up
	getCookie     = uint32(asm.FnGetAttachCookie)
	kprobeProgram = uint32(ebpf.Kprobe)
)

// StaticPlace is a place of a static probe: offsets in the file, and where its arguments are.
type StaticPlace struct {
	Offset, Semaphore uint64
	Args              string
}

// usdtArg is struct __bpf_usdt_arg_spec.
type usdtArg struct {
	value    uint64 // a constant, or an offset behind what a register points to
	kind     uint32 // of usdtConst, usdtReg, usdtDeref
	register uint16 // its offset in struct pt_regs
	signed   bool
	shift    uint8 // bits to be shifted out, of 64
}

const (
	usdtConst = 0
	usdtReg   = 1
	usdtDeref = 2
)

// registersAMD64 are the registers in the order of struct pt_regs, by the names of their whole and their parts.
const registersAMD64 = "r15 r15d r15w r15b,r14 r14d r14w r14b,r13 r13d r13w r13b,r12 r12d r12w r12b,rbp ebp bp bpl,rbx ebx bx bl," +
	"r11 r11d r11w r11b,r10 r10d r10w r10b,r9 r9d r9w r9b,r8 r8d r8w r8b,rax eax ax al,rcx ecx cx cl,rdx edx dx dl," +
	"rsi esi si sil,rdi edi di dil,,rip eip ip,,,rsp esp sp spl"

// registerAt is the place of a register in the struct pt_regs of a machine.
func registerAt(machine, name string) (uint16, bool) {
	if machine != "arm64" {
		for i, names := range strings.Split(registersAMD64, ",") {
			if slices.Contains(strings.Fields(names), strings.TrimPrefix(name, "%")) {
				return uint16(8 * i), true
			}
		}
		return 0, false
	}
	switch {
	case name == "sp":
		return 31 * 8, true
	case len(name) > 1 && (name[0] == 'x' || name[0] == 'w'):
		n, err := strconv.ParseUint(name[1:], 10, 8)
		return uint16(n) * 8, err == nil && n < 31
	}
	return 0, false
}

// parseUsdtArg reads where an argument is: its size (negative: with a sign), @, and a constant, a register, or memory that a register
// points to.
func parseUsdtArg(machine, text string) (a usdtArg, err error) {
	sizeText, where, ok := strings.Cut(text, "@")
	size, serr := strconv.Atoi(sizeText)
	if !ok || serr != nil {
		return a, fmt.Errorf("argument %q: it does not begin with its size", text)
	}
	if a.signed = size < 0; a.signed {
		size = -size
	}
	if size != 1 && size != 2 && size != 4 && size != 8 {
		return a, fmt.Errorf("argument %q: it is of %d bytes", text, size)
	}
	a.shift = uint8(64 - 8*size)
	constant := strings.TrimPrefix(where, "$")
	if n, err := strconv.ParseInt(constant, 0, 64); err == nil {
		a.value = uint64(n)
		return a, nil
	}
	register, offset, memory := where, "", false
	if machine == "arm64" {
		if inside, ok := strings.CutPrefix(where, "["); ok {
			memory = true
			register, offset, _ = strings.Cut(strings.TrimSuffix(inside, "]"), ",")
			register, offset = strings.TrimSpace(register), strings.TrimSpace(offset)
		}
	} else if before, inside, ok := strings.Cut(where, "("); ok {
		memory = true
		offset, register = before, strings.TrimSuffix(inside, ")")
	}
	a.kind = usdtReg
	if memory {
		a.kind = usdtDeref
		if offset != "" {
			n, err := strconv.ParseInt(offset, 0, 64)
			if err != nil {
				return a, fmt.Errorf("argument %q: its place is not a number behind a register", text)
			}
			a.value = uint64(n)
		}
	}
	if a.register, ok = registerAt(machine, register); !ok {
		return a, fmt.Errorf("argument %q: there is no such register, or it is an address of several parts, which is not known here", text)
	}
	return a, nil
}

// usdtWords parts the arguments. On arm64 there are blanks inside of brackets.
func usdtWords(text string) (words []string) {
	depth, from := 0, 0
	for i := range len(text) + 1 {
		if i == len(text) || text[i] == ' ' && depth == 0 {
			if i > from {
				words = append(words, text[from:i])
			}
			from = i + 1
			continue
		}
		switch text[i] {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		}
	}
	return words
}

// usdtSpec is struct __bpf_usdt_spec with room for so many arguments.
func usdtSpec(machine, text string, room int) ([]byte, error) {
	words := usdtWords(text)
	if len(words) > room {
		return nil, fmt.Errorf("it has %d arguments, and the program takes %d", len(words), room)
	}
	le := binary.LittleEndian
	spec := make([]byte, room*usdtArgSize+usdtSpecTail)
	for i, w := range words {
		a, err := parseUsdtArg(machine, w)
		if err != nil {
			return nil, err
		}
		b := spec[i*usdtArgSize:]
		le.PutUint64(b, a.value)
		le.PutUint32(b[8:], a.kind)
		le.PutUint16(b[12:], a.register)
		if a.signed {
			b[14] = 1
		}
		b[15] = a.shift
	}
	le.PutUint16(spec[room*usdtArgSize+8:], uint16(len(words)))
	return spec, nil
}

// staticProbe finds the places of a static probe, and notes what is to be written into the map about them.
func (o *Object) staticProbe(k kernel.Target, opt Options, p prog.Probe, at place) ([]prog.Probe, error) {
	m := o.coll.Maps[usdtSpecs]
	switch {
	case m == nil:
		return nil, errors.New("the object has no map " + usdtSpecs + "; programs of static probes are written with libbpf's usdt.bpf.h")
	case m.ValueSize < usdtArgSize+usdtSpecTail || m.ValueSize%usdtArgSize != 0:
		return nil, fmt.Errorf("the map %s has values of %d bytes, which is not the form that libbpf gave it", usdtSpecs, m.ValueSize)
	case !k.Helper(kprobeProgram, getCookie):
		return nil, errors.New("this kernel keeps no cookies for programs on probes, by which they know their arguments; use Linux 5.15 or later")
	case opt.Static == nil:
		return nil, errors.New("static probes cannot be looked for here")
	}
	files, err := k.File(at.path, opt.PID)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%s is %d files; give the path of one", at.path, len(files))
	}
	places, err := opt.Static(files[0], at.group, at.name)
	if err != nil {
		return nil, err
	}
	p.Kind, p.Path, p.PID, p.Name, p.Group = prog.Uprobe, files[0], opt.PID, "", ""
	for _, place := range places {
		spec, err := usdtSpec(k.Machine(), place.Args, int(m.ValueSize-usdtSpecTail)/usdtArgSize)
		if err != nil {
			return nil, fmt.Errorf("probe %s:%s: %w", at.group, at.name, err)
		}
		n := uint64(len(o.fill))
		for i, f := range o.fill {
			if string(f.Value.([]byte)) == string(spec) {
				n = uint64(i)
			}
		}
		if n == uint64(len(o.fill)) {
			if n >= uint64(m.MaxEntries) {
				return nil, fmt.Errorf("the map %s has no room for more than %d kinds of places", usdtSpecs, m.MaxEntries)
			}
			o.fill = append(o.fill, prog.MapFill{Map: usdtSpecs, Key: uint32(n), Value: spec})
		}
		p.Addresses = append(p.Addresses, place.Offset)
		p.RefCounters = append(p.RefCounters, place.Semaphore)
		p.Cookies = append(p.Cookies, n)
	}
	return []prog.Probe{p}, nil
}

// settleCookies answers what usdt.bpf.h asks the loader: whether the kernel has cookies. The library does not know the question.
func (o *Object) settleCookies() error {
	asked := false
	for _, p := range o.coll.Programs {
		for _, i := range o.file.loadsOf(usdtCookie, p.Instructions) {
			ins := &p.Instructions[i]
			asked = true
			load := asm.LoadMapValue(ins.Dst, 0, 0).WithReference(usdtTrue).WithSource(ins.Source())
			if symbol := ins.Symbol(); symbol != "" {
				load = load.WithSymbol(symbol)
			}
			if f := btf.FuncMetadata(ins); f != nil {
				load = btf.WithFuncMetadata(load, f)
			}
			*ins = load
		}
	}
	if !asked {
		return nil
	}
	if o.coll.Maps[usdtTrue] != nil {
		return fmt.Errorf("a map is called %s", usdtTrue)
	}
	o.coll.Maps[usdtTrue] = &ebpf.MapSpec{
		Name: usdtTrue, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte{1, 0, 0, 0, 0, 0, 0, 0}}},
	}
	var section *btf.Datasec
	if o.coll.Types == nil || o.coll.Types.TypeByName(".kconfig", &section) != nil {
		return nil
	}
	var rest []btf.VarSecinfo
	for _, v := range section.Vars {
		if v.Type.TypeName() != usdtCookie {
			rest = append(rest, v)
		}
	}
	section.Vars = rest
	return nil
}

// loadsOf finds the instructions that load the address of a symbol that is not in the file. The library does not say which one that is,
// so it is looked for in the relocations, by the function and the offset in it.
func (f *elfFile) loadsOf(name string, insns asm.Instructions) (found []int) {
	if !slices.ContainsFunc(f.symbols, func(s symbol) bool { return s.name == name && s.section == 0 }) {
		return nil
	}
	relocations := make(map[int]map[uint64]symbol)
	var function symbol
	var began asm.RawInstructionOffset
	for it := insns.Iterate(); it.Next(); {
		if called := it.Ins.Symbol(); called != "" {
			began = it.Offset
			function = f.function(called)
			if relocations[function.section] == nil {
				relocations[function.section] = f.relocations(function.section)
			}
		}
		at := function.value + (it.Offset - began).Bytes()
		if it.Ins.OpCode.IsDWordLoad() && relocations[function.section][at].name == name {
			found = append(found, it.Index)
		}
	}
	return found
}

// function is the symbol of a function, empty where there is none.
func (f *elfFile) function(name string) symbol {
	const function = 2 // STT_FUNC
	for _, s := range f.symbols {
		if s.name == name && s.info&0xf == function {
			return s
		}
	}
	return symbol{}
}
