package workload

import (
	"time"

	"sonde/internal/bench/measure"
)

// Slice is what a number of calls took.
type Slice struct {
	Calls     int
	Wall, CPU time.Duration // CPU is that of the calling thread alone
}

// Wall and CPU pick a figure of a slice.
func Wall(s Slice) time.Duration { return s.Wall }
func CPU(s Slice) time.Duration  { return s.CPU }

// PerCall returns a percentile, of all slices, of what a call takes in one, in nanoseconds.
func PerCall(slices []Slice, what func(Slice) time.Duration, percent float64) float64 {
	each := make([]float64, len(slices))
	for i, s := range slices {
		each[i] = float64(what(s)) / float64(s.Calls)
	}
	return measure.Percentile(each, percent)
}

// Longer is what a percentile of slices under a tool exceeds that of the slices without any, in nanoseconds.
func Longer(with, without []Slice, what func(Slice) time.Duration, percent float64) float64 {
	return PerCall(with, what, percent) - PerCall(without, what, percent)
}
