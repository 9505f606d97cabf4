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
	row := f.BinImm(ir.OpShl, f.Min(n, int64(len(rows))), 6)
	src := mem{base: f.PtrAdd(f.MapValue(mapTexts, at), row, int64(len(rows)*rowSize))}
	f.copyTo(dst, value{t: types.StringOf(rowSize), m: src}, t)
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
			rows = append(rows, signalName(n))
		}
		return rows, "Unknown signal"
	}
	for n := range syscallsMost {
		s := kernel.SyscallNameOn(f.t.Machine(), n)
		if s == "" {
			s = "unknown"
		}
		rows = append(rows, s)
	}
	return rows, "unknown"
}

// errorText is what the C library says of an error.
func errorText(n int) string {
	if n == 0 {
		return "Success"
	}
	text := syscall.Errno(n).Error()
	if strings.HasPrefix(text, "errno ") {
		return "Unknown error " + strconv.Itoa(n)
	}
	// The same texts begin with a capital letter there.
	return strings.ToUpper(text[:1]) + text[1:]
}

// signalNames are those below the real-time signals.
var signalNames = strings.Fields("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP " +
	"TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS")

const firstRealTime = 34

func signalName(n int) string {
	switch {
	case n >= 1 && n <= len(signalNames):
		return "SIG" + signalNames[n-1]
	case n >= firstRealTime:
		return "SIGRTMIN+" + strconv.Itoa(n-firstRealTime)
	}
	return "Unknown signal " + strconv.Itoa(n)
}
