package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
)

// scope is a block that is being lowered.
type scope struct{ vars []*variable }

// block lowers statements in a scope of their own.
func (f *fn) block(b *syntax.Block) {}

// blockValue lowers a block that is used as a value.
func (f *fn) blockValue(b *syntax.Block) value { return value{} }

// declare makes room for a variable and zeroes it.
func (f *fn) declare(v *check.Variable) *variable { return nil }

// varPlace is where a variable is, declared on the way if it has not been.
func (f *fn) varPlace(v *check.Variable) *variable { return nil }

// setVar assigns to a variable.
func (f *fn) setVar(v *check.Variable, val value) {}
