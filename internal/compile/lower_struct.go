package compile

import "sonde/internal/compile/ir"

// absent collects the ways on which a field cannot be read because a pointer is NULL.
type absent struct {
	out *ir.Block
}
