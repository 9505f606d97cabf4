package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
)

// strTo writes the string e at dst with its NUL within max bytes, and gives the number of bytes written, NUL included.
func (f *fn) strTo(e syntax.Expr, dst mem, max int) ir.Value { return 0 }
