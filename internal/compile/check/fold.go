package check

import (
	"math/bits"
	"strings"

	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// setInt makes e an integer literal.
func (c *checker) setInt(e syntax.Expr, n uint64, negative bool) value {
	if k := c.info.Consts[e]; k == nil || k.Kind != ConstInt || k.Int != n {
		c.info.Consts[e] = &Const{Kind: ConstInt, Int: n}
	}
	return value{t: literalType(n, negative), flexible: !negative && n < 1<<63, literal: true}
}

func (c *checker) setString(e syntax.Expr, s string) value {
	if k := c.info.Consts[e]; k == nil || k.Kind != ConstString || k.Str != s {
		c.info.Consts[e] = &Const{Kind: ConstString, Str: s}
	}
	return value{t: types.StringOf(len(s) + 1), literal: true}
}

func (c *checker) setBool(e syntax.Expr, b bool) value {
	k := &Const{Kind: ConstBool}
	if b {
		k.Int = 1
	}
	c.info.Consts[e] = k
	return value{t: types.TBool, literal: true}
}

// copyConst gives e the constant of what it stands for.
func (c *checker) copyConst(e, from syntax.Expr) {
	if k := c.info.Consts[from]; k != nil && e != from {
		c.info.Consts[e] = k
	}
}

// number is an integer of any sign.
type number struct {
	negative bool
	abs      uint64
}

func numberOf(v value, k *Const) number {
	if isNegative(v.t, k) {
		return number{true, -k.Int}
	}
	return number{false, k.Int}
}

// foldInts folds an operator on two literals. ok is false where the result does not fit into 64 bits.
func foldInts(op syntax.Op, x, y number) (r number, ok bool) {
	switch op {
	case syntax.OpAdd:
		return addNumbers(x, y)
	case syntax.OpSub:
		return addNumbers(x, number{!y.negative && y.abs != 0, y.abs})
	case syntax.OpMul:
		hi, lo := bits.Mul64(x.abs, y.abs)
		return fit(x.negative != y.negative, lo, hi == 0)
	case syntax.OpDiv:
		if y.abs == 0 {
			return r, false
		}
		return fit(x.negative != y.negative, x.abs/y.abs, true)
	case syntax.OpMod:
		if y.abs == 0 {
			return r, false
		}
		return fit(x.negative, x.abs%y.abs, true)
	case syntax.OpShl:
		if y.negative || y.abs > 63 || bits.LeadingZeros64(x.abs) < int(y.abs) {
			return r, false
		}
		return fit(x.negative, x.abs<<y.abs, true)
	case syntax.OpShr:
		if y.negative || y.abs > 63 {
			return r, false
		}
		if x.negative {
			n := int64(x.bits()) >> y.abs
			return number{n < 0, magnitude(n)}, true
		}
		return number{false, x.abs >> y.abs}, true
	case syntax.OpAnd:
		return bitwise(x.negative && y.negative, x.bits()&y.bits())
	case syntax.OpOr:
		return bitwise(x.negative || y.negative, x.bits()|y.bits())
	case syntax.OpXor:
		return bitwise(x.negative != y.negative, x.bits()^y.bits())
	}
	return r, false
}

func (n number) bits() uint64 {
	if n.negative {
		return -n.abs
	}
	return n.abs
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func bitwise(negative bool, n uint64) (number, bool) {
	if negative && int64(n) < 0 {
		return number{true, -n}, true
	}
	return number{false, n}, true
}

// fit makes a number of a magnitude; ok says that the magnitude is right so far.
func fit(negative bool, abs uint64, ok bool) (number, bool) {
	if abs == 0 {
		negative = false
	}
	return number{negative, abs}, ok && (!negative || abs <= 1<<63)
}

func addNumbers(x, y number) (number, bool) {
	if x.negative == y.negative {
		sum, carry := bits.Add64(x.abs, y.abs, 0)
		return fit(x.negative, sum, carry == 0)
	}
	if x.abs >= y.abs {
		return fit(x.negative, x.abs-y.abs, true)
	}
	return fit(y.negative, y.abs-x.abs, true)
}

// less compares two numbers.
func (n number) less(m number) bool {
	switch {
	case n.negative != m.negative:
		return n.negative
	case n.negative:
		return n.abs > m.abs
	}
	return n.abs < m.abs
}

// compareNumbers folds a comparison.
func compareNumbers(op syntax.Op, x, y number) bool {
	switch op {
	case syntax.OpEq:
		return x == y
	case syntax.OpNe:
		return x != y
	case syntax.OpLt:
		return x.less(y)
	case syntax.OpLe:
		return !y.less(x)
	case syntax.OpGt:
		return y.less(x)
	}
	return !x.less(y)
}

// compareStrings folds a comparison of texts.
func compareStrings(op syntax.Op, x, y string) bool {
	order := strings.Compare(x, y)
	switch op {
	case syntax.OpEq:
		return order == 0
	case syntax.OpNe:
		return order != 0
	case syntax.OpLt:
		return order < 0
	case syntax.OpLe:
		return order <= 0
	case syntax.OpGt:
		return order > 0
	}
	return order >= 0
}

// fold folds a binary operator on constants; done is false where it does not.
func (c *checker) fold(e *syntax.Binary, x, y value) (v value, done bool) {
	kx, ky := c.info.Consts[e.X], c.info.Consts[e.Y]
	if kx == nil || ky == nil {
		return v, false
	}
	switch {
	case kx.Kind == ConstString || ky.Kind == ConstString:
		return c.foldTexts(e, kx, ky)
	case e.Op == syntax.OpLAnd:
		return c.setBool(e, kx.Int != 0 && ky.Int != 0), true
	case e.Op == syntax.OpLOr:
		return c.setBool(e, kx.Int != 0 || ky.Int != 0), true
	case !x.isInt() || !y.isInt():
		return v, false
	case isComparison(e.Op):
		return c.setBool(e, compareNumbers(e.Op, numberOf(x, kx), numberOf(y, ky))), true
	case !x.literal || !y.literal || kx.Kind == ConstBool || ky.Kind == ConstBool:
		return v, false
	}
	n, ok := foldInts(e.Op, numberOf(x, kx), numberOf(y, ky))
	if !ok {
		if (e.Op == syntax.OpDiv || e.Op == syntax.OpMod) && ky.Int == 0 {
			c.errorf(e.Span(), "division by zero")
		} else {
			c.errorf(e.Span(), "the result does not fit into 64 bits")
		}
		return invalid, true
	}
	return c.setInt(e, n.bits(), n.negative), true
}

// foldTexts joins and compares texts; a number takes bytes off the front.
func (c *checker) foldTexts(e *syntax.Binary, kx, ky *Const) (value, bool) {
	if kx.Kind == ConstString && ky.Kind == ConstString {
		if isComparison(e.Op) {
			return c.setBool(e, compareStrings(e.Op, kx.Str, ky.Str)), true
		}
		if e.Op == syntax.OpAdd {
			return c.setString(e, kx.Str+ky.Str), true
		}
		return value{}, false
	}
	if e.Op == syntax.OpAdd && (kx.Kind == ConstInt || ky.Kind == ConstInt) {
		if kx.Kind == ConstInt {
			kx, ky = ky, kx
		}
		if ky.Int >= uint64(len(kx.Str)) {
			c.warnf("text", e.Span(), "this text is always empty")
			return c.setString(e, ""), true
		}
		return c.setString(e, kx.Str[ky.Int:]), true
	}
	return value{}, false
}

func isComparison(op syntax.Op) bool { return op >= syntax.OpEq && op <= syntax.OpGe }
