package compile

import (
	"strconv"
	"strings"
	"syscall"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// Names of errors, signals and system calls are strings like others: they may be compared and be keys. They are in the
// read-only data, in rows of one size; the last row is for numbers that have no name.

// rowSize is the size of a row.
const rowSize = 64

const (
	errorsMost   = 134 // of errno
	syscallsMost = 512
	unknownCall  = "Unknown syscall"
)

// tableTo writes strerror(n), signal_name(n) or syscall_name(n) at dst.
func (f *fn) tableTo(c *syntax.Call, dst mem, t *types.Type) {
	rows, missing := f.table(c.Func)
	data := make([]byte, 0, (len(rows)+1)*rowSize)
	for _, r := range append(rows, missing) {
		var row [rowSize]byte
		copy(row[:rowSize-1], r)
		data = append(data, row[:]...)
	}
	at := f.texts.add(data)
	n := f.number(f.expr(c.Args[0]))
	if c.Func == "strerror" {
		n = f.magnitude(f.Ext(n, 4, true))
	}
	row := f.BinImm(ir.OpShl, f.Min(n, int64(len(rows))), 6)
	src := mem{base: f.PtrAdd(f.MapValue(mapTexts, at), row, int64(len(rows)*rowSize))}
	f.copyTo(dst, value{t: types.StringOf(rowSize), m: src}, t)
}

// magnitude is a number without its sign: errors are returned as negative ones.
func (f *fn) magnitude(n ir.Value) ir.Value {
	result := f.Func.NewVar()
	f.Set(result, n)
	negative, next := f.Func.NewBlock("negative"), f.Func.NewBlock("magnitude")
	f.BranchImm(ir.SLt, n, 0, negative, next)
	f.Goto(negative)
	f.Set(result, f.Un(ir.OpNeg, n))
	f.Jump(next)
	f.Goto(next)
	return result
}

// table gives the names of numbers from 0 on, and the one of all other numbers.
func (f *fn) table(name string) (rows []string, missing string) {
	switch name {
	case "strerror":
		for n := range errorsMost {
			rows = append(rows, errorText(n))
		}
		return rows, "Unknown error"
	case "signal_name":
		for n := range 65 {
			rows = append(rows, signalText(n))
		}
		return rows, "N/A"
	}
	for n := range syscallsMost {
		s := kernel.SyscallNameOn(f.t.Machine(), n)
		if s == "" {
			s = unknownCall
		}
		rows = append(rows, s)
	}
	return rows, unknownCall
}

// errorText is an error in the words of the kernel's headers; where these are not those of the C library, they are here.
func errorText(n int) string {
	if text, ok := errorTexts[n]; ok {
		return text
	}
	return capital(syscall.Errno(n).Error(), "errno ", "Unknown error")
}

var errorTexts = map[int]string{
	0: "Success", 5: "I/O error", 9: "Bad file number", 11: "Try again (operation would block)", 12: "Out of memory",
	18: "Cross-device link", 23: "File table overflow", 25: "Not a typewriter", 33: "Math argument out of domain of func",
	34: "Math result not representable", 35: "Resource deadlock would occur", 37: "No record locks available",
	38: "Invalid system call number", 40: "Too many symbolic links encountered", 74: "Not a data message",
	84: "Illegal byte sequence", 95: "Operation not supported on transport endpoint",
	102: "Network dropped connection because of reset", 122: "Quota exceeded", 125: "Operation Canceled",
	133: "Memory page has hardware error",
}

const firstRealTime, lastRealTime = 34, 64

// signalText is a signal in the words of the C library.
func signalText(n int) string {
	if n >= firstRealTime && n <= lastRealTime {
		return "Real-time signal " + strconv.Itoa(n-firstRealTime)
	}
	return capital(syscall.Signal(n).String(), "signal ", "Unknown signal "+strconv.Itoa(n))
}

// capital is a text of the syscall package as others write it; one with that prefix is none.
func capital(text, none, instead string) string {
	if strings.HasPrefix(text, none) {
		return instead
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
