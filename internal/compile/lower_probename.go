package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/types"
)

// A family of system calls shares one program. Which of the attach points it is at, the number of the call says: their
// names are in the read-only data, in rows of one size.

// manyProbes says whether the program has to find out at which of its attach points it is.
func (f *fn) manyProbes() bool {
	return len(f.points) > 1 && (f.plan.raw == rawEnter || f.plan.raw == rawExit)
}

// probeName is the row with the name of the attach point, of size bytes.
func (f *fn) probeName() (row mem, size int) {
	most := 0
	for _, p := range f.points {
		most = max(most, p.Syscall)
		size = max(size, len(p.Text)+1)
	}
	size = powerOfTwo(size)
	rows := make([]byte, (most+1)*size)
	for _, p := range f.points {
		copy(rows[p.Syscall*size:], p.Text)
	}
	at := f.BinImm(ir.OpMul, f.Min(f.syscallNumber(), int64(most)), int64(size))
	return mem{base: f.PtrAdd(f.MapValue(mapTexts, f.texts.add(rows)), at, int64(most*size))}, size
}

// probeNameTo writes the name of the attach point, in at most size bytes; padded fills size bytes.
func (f *fn) probeNameTo(dst mem, size int, padded bool) ir.Value {
	row, stride := f.probeName()
	if !padded {
		return f.readStr(dst, f.addr(row), min(size, stride), types.SpaceKernel)
	}
	f.copyTo(dst, value{t: types.StringOf(stride), m: row}, types.StringOf(size))
	return 0
}
