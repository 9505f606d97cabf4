package check

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/kernel"
)

// expandUprobe is uprobe and uretprobe: path:[cpp:]function[+offset], or an address; without a path that of the process.
func expandUprobe(x *pointExpander, parts []string) []Point {
	file, name, cpp := "", parts[len(parts)-1], false
	switch len(parts) {
	case 2:
		file = parts[0]
	case 3:
		file, cpp = parts[0], true
		if parts[1] != "cpp" {
			if !x.quiet {
				x.errorf(x.at.Span(), "%s: only cpp: can stand between the path and the function", x.whole)
			}
			return nil
		}
	}
	if strings.Contains(file, "@") && !x.quiet {
		x.errorf(x.at.Span(), "probes on source lines are not compiled yet")
		return nil
	}
	pid := x.options.PID
	if file == "" {
		switch {
		case x.options.Binary != "":
			file, pid = x.options.Binary, 0
		case pid == 0:
			if !x.quiet {
				x.errorf(x.at.Span(), "%s needs the path of a program or library", x.whole).hint("it is written %s; without a path with -p or -c only", x.usage)
			}
			return nil
		}
	}
	paths, err := x.target.File(file, pid)
	if err != nil || len(paths) == 0 {
		if file == "" {
			file = "of process " + strconv.Itoa(pid)
		}
		p := x.missing("there is no program or library %s", file)
		if err != nil {
			p.hint("%v", err)
		}
		return nil
	}
	var points []Point
	for _, path := range paths {
		points = append(points, x.inFile(path, name, cpp, isWild(file))...)
	}
	if len(points) == 0 && len(paths) > 1 {
		x.missing("no function in %s matches %s", file, name)
	}
	return points
}

// inFile finds the functions of one file.
func (x *pointExpander) inFile(path, name string, cpp, wildFile bool) []Point {
	if addr, err := strconv.ParseUint(name, 0, 64); err == nil {
		return x.userAddress(path, addr)
	}
	offset := uint64(0)
	if !cpp {
		var ok bool
		if name, offset, ok = x.offset(name); !ok {
			return nil
		}
	}
	if offset > 0 && x.kind == Uretprobe {
		x.errorf(x.at.Span(), "a uretprobe has no offset: it is on the return")
		return nil
	}
	pattern := name
	if cpp {
		pattern = "*"
	}
	found, err := x.target.Functions(path, pattern)
	if cpp {
		found = x.demangled(found, name)
	}
	if len(found) == 0 {
		if !wildFile {
			x.noUserFunction(path, name, err)
		}
		return nil
	}
	if x.kind == Uretprobe && !x.quiet {
		x.warnOfGo(path)
	}
	wild := isWild(name) || wildFile
	if !wild && !cpp {
		found = found[:1]
	}
	points := make([]Point, 0, len(found))
	seen := make(map[uint64]bool)
	for _, f := range found {
		if seen[f.Offset] { // two names of one function
			continue
		}
		seen[f.Offset] = true
		p := x.point(x.name + ":" + path + ":" + f.Name)
		if cpp {
			p.Text = x.name + ":" + path + ":cpp:" + f.Name
			p.Wild = isWild(name)
		}
		if offset > 0 {
			if f.Size > 0 && offset >= f.Size && !x.options.Unsafe {
				x.errorf(x.at.Span(), "%s has %d bytes: offset %d is behind its end", f.Name, f.Size, offset)
				return nil
			}
			if !x.options.Unsafe && !x.instruction(path, f, offset) {
				return nil
			}
			p.Text += "+" + strconv.FormatUint(offset, 10)
		}
		p.Group, p.Name, p.Offset, p.FileOff, p.Wild = path, f.Name, offset, f.Offset+offset, wild || p.Wild
		points = append(points, p)
	}
	return points
}

// warnOfGo tells of what uretprobes do to programs of Go: they put another return address on stacks that the runtime reads
// and moves.
func (x *pointExpander) warnOfGo(path string) {
	if kernel.IsGo(x.target, path) {
		x.warnf("go", x.at.Span(), "%s is a program of Go: a uretprobe can crash it", shortPath(path)).hint("uprobes on its instructions that return are safe")
	}
}

// demangled keeps the symbols whose name in the source is the one asked for, with its parameters or without.
func (x *pointExpander) demangled(symbols []kernel.UserSymbol, name string) []kernel.UserSymbol {
	if x.options.Demangle == nil {
		x.errorf(x.at.Span(), "cpp: attach points are not compiled yet")
		return nil
	}
	return slices.DeleteFunc(slices.Clone(symbols), func(s kernel.UserSymbol) bool {
		return !matchWild(name, x.options.Demangle(s.Name, true)) && !matchWild(name, x.options.Demangle(s.Name, false))
	})
}

// noUserFunction tells that a file does not have a function, with the nearest that it has.
func (x *pointExpander) noUserFunction(path, name string, err error) {
	p := x.missing("%s has no function %s", path, name)
	switch {
	case p.at < 0:
	case err != nil:
		p.hint("%v", err)
	case isWild(name):
		p.hint("a program without symbols (stripped) shows only those it exports")
	default:
		all, _ := x.target.Functions(path, "*")
		names := make([]string, 0, len(all))
		for _, s := range all {
			names = append(names, s.Name)
		}
		if near := nearest(name, names); near != "" {
			p.hint("did you mean %s?", near)
		} else if len(all) == 0 {
			p.hint("%s shows no functions at all: it may be stripped", shortPath(path))
		}
	}
}

// longestInstruction is of amd64.
const longestInstruction = 15

// instruction says whether a probe may be put at an offset of a function. Inside of an instruction it would make another one
// of it, and the process would do what nobody has written.
func (x *pointExpander) instruction(path string, f kernel.UserSymbol, offset uint64) bool {
	code, err := x.target.Code(path, f.Offset, f.Offset+offset+longestInstruction)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	begins, known := kernel.InstructionBegins(x.target.Machine(), code, offset)
	switch {
	case begins && known:
		return true
	case known:
		x.errorf(x.at.Span(), "no instruction begins at %s+%d", f.Name, offset).hint("--unsafe takes it all the same, and may break the process")
	default:
		x.errorf(x.at.Span(), "it cannot be told whether an instruction begins at %s+%d", f.Name, offset).hint("--unsafe takes it all the same")
	}
	return false
}

// userAddress is a probe on an address of a file: as the file's symbols count, not as a process maps it.
func (x *pointExpander) userAddress(path string, addr uint64) []Point {
	all, err := x.target.Functions(path, "*")
	if x.kind == Uretprobe && !x.quiet {
		x.warnOfGo(path)
	}
	p := x.point(x.name + ":" + path + ":0x" + strconv.FormatUint(addr, 16))
	p.Group, p.Address = path, addr
	for _, s := range all {
		if addr < s.Address || addr >= s.Address+max(s.Size, 1) {
			continue
		}
		if !x.options.Unsafe && !x.instruction(path, s, addr-s.Address) {
			return nil
		}
		p.FileOff = s.Offset + (addr - s.Address)
		return []Point{p}
	}
	at, ok := x.target.Place(path, addr)
	switch {
	case !ok:
		q := x.missing("%s has no code at address 0x%x", path, addr)
		if err != nil {
			q.hint("%v", err)
		}
		return nil
	case !x.options.Unsafe:
		x.missing("address 0x%x is in no function of %s", addr, path).hint("--unsafe takes it all the same, and may break the process")
		return nil
	}
	p.FileOff = at
	return []Point{p}
}

// shortPath is a file's name without its directory.
func shortPath(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
