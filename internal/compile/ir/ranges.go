package ir

import "math"

// interval is what is known of a number: its bounds, as unsigned and as signed.
type interval struct {
	least, most   uint64
	sleast, smost int64
}

func everything() interval { return interval{0, unknown, math.MinInt64, math.MaxInt64} }

// cut says that the number is at most n, unsigned.
func (r interval) cut(n uint64) interval {
	r.most = min(r.most, n)
	return r.settle()
}

// settle carries what the unsigned bounds say over to the signed ones, and back.
func (r interval) settle() interval {
	if r.most <= math.MaxInt64 {
		r.sleast, r.smost = max(r.sleast, int64(r.least)), min(r.smost, int64(r.most))
	}
	if r.sleast >= 0 {
		r.least, r.most = max(r.least, uint64(r.sleast)), min(r.most, uint64(r.smost))
	}
	return r
}

// impossible says that there is no such number: the code is never reached.
func (r interval) impossible() bool { return r.least > r.most || r.sleast > r.smost }

// decide returns the outcome of a comparison with n, if it is the same for all numbers in r.
func (r interval) decide(c Cond, n int64) (int64, bool) {
	if r.impossible() {
		return 0, false
	}
	u := uint64(n)
	never := false
	switch c {
	case Eq, Ne:
		if r.least == r.most && r.least == u {
			return truth(c == Eq)
		}
		if u < r.least || u > r.most || n < r.sleast || n > r.smost {
			return truth(c == Ne)
		}
		return 0, false
	case Lt:
		if r.most < u {
			return 1, true
		}
		never = r.least >= u
	case Le:
		if r.most <= u {
			return 1, true
		}
		never = r.least > u
	case Gt:
		if r.least > u {
			return 1, true
		}
		never = r.most <= u
	case Ge:
		if r.least >= u {
			return 1, true
		}
		never = r.most < u
	case SLt:
		if r.smost < n {
			return 1, true
		}
		never = r.sleast >= n
	case SLe:
		if r.smost <= n {
			return 1, true
		}
		never = r.sleast > n
	case SGt:
		if r.sleast > n {
			return 1, true
		}
		never = r.smost <= n
	case SGe:
		if r.sleast >= n {
			return 1, true
		}
		never = r.smost < n
	case Test:
		never = n == 0 || ones(r.most)&u == 0
	}
	return 0, never
}

func truth(b bool) (int64, bool) {
	if b {
		return 1, true
	}
	return 0, true
}

// assume is r of numbers for which c holds with n.
func (r interval) assume(c Cond, n int64) interval {
	u := uint64(n)
	switch c {
	case Eq:
		r.least, r.most = max(r.least, u), min(r.most, u)
		r.sleast, r.smost = max(r.sleast, n), min(r.smost, n)
	case Ne:
		if r.least == u && u < unknown {
			r.least++
		}
		if r.most == u && u > 0 {
			r.most--
		}
	case Lt:
		if u > 0 {
			r.most = min(r.most, u-1)
		}
	case Le:
		r.most = min(r.most, u)
	case Gt:
		if u < unknown {
			r.least = max(r.least, u+1)
		}
	case Ge:
		r.least = max(r.least, u)
	case SLt:
		if n > math.MinInt64 {
			r.smost = min(r.smost, n-1)
		}
	case SLe:
		r.smost = min(r.smost, n)
	case SGt:
		if n < math.MaxInt64 {
			r.sleast = max(r.sleast, n+1)
		}
	case SGe:
		r.sleast = max(r.sleast, n)
	case Test:
		if r.least == 0 {
			r.least = 1
		}
	}
	return r.settle()
}
