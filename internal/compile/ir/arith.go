package ir

import "math/bits"

// EvalBinary is what op of the family of OpAdd gives.
func EvalBinary(op Op, x, y int64) int64 {
	ux, uy := uint64(x), uint64(y)
	switch op {
	case OpAdd:
		return x + y
	case OpSub:
		return x - y
	case OpMul:
		return x * y
	case OpDiv:
		if y == 0 {
			return 0
		}
		return int64(ux / uy)
	case OpMod:
		if y == 0 {
			return x
		}
		return int64(ux % uy)
	case OpAnd:
		return x & y
	case OpOr:
		return x | y
	case OpXor:
		return x ^ y
	case OpShl:
		return int64(ux << (uy & 63))
	case OpShr:
		return int64(ux >> (uy & 63))
	case OpSar:
		return x >> (uy & 63)
	}
	panic("ir: not a binary operation")
}

// EvalUnary is what OpNeg, OpNot, OpSext, OpZext and OpSwap give.
func EvalUnary(op Op, width uint8, x int64) int64 {
	switch op {
	case OpNeg:
		return -x
	case OpNot:
		return ^x
	case OpSext:
		return Extend(x, width, true)
	case OpZext:
		return Extend(x, width, false)
	case OpSwap:
		switch width {
		case 2:
			return int64(bits.ReverseBytes16(uint16(x)))
		case 4:
			return int64(bits.ReverseBytes32(uint32(x)))
		case 8:
			return int64(bits.ReverseBytes64(uint64(x)))
		}
		return x
	}
	panic("ir: not a unary operation")
}

// Extend is the low width bytes of x, with or without their sign.
func Extend(x int64, width uint8, signed bool) int64 {
	shift := 64 - 8*uint(width)
	if shift == 0 || width == 0 {
		return x
	}
	if signed {
		return x << shift >> shift
	}
	return int64(uint64(x) << shift >> shift)
}
