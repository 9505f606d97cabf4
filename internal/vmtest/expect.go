package vmtest

import (
	"fmt"
	"slices"

	"sonde/internal/kernel"
)

// stockKernels are the columns of expected: the kernels of fetch.Stocks.
var stockKernels = []string{"5.10", "6.1", "6.12", "7.2"}

// expected says which of Debian's stock cloud kernels have which feature, seen by root: each was tried by loading,
// attaching and triggering a program. An expectation that does not hold fails the tests, in both directions: a kernel
// update that loses a feature is news, and so is one that gains it.
var expected = map[kernel.Feature][]bool{
	kernel.BTF:            {true, true, true, true},
	kernel.Tracefs:        {true, true, true, true},
	kernel.Tracepoint:     {true, true, true, true},
	kernel.RawTracepoint:  {true, true, true, true},
	kernel.Kprobe:         {true, true, true, true},
	kernel.KprobeMulti:    {false, false, true, true}, // not configured in Debian's 6.1
	kernel.Fentry:         {true, true, true, true},
	kernel.FmodRet:        {true, true, true, true},  // security_file_open
	kernel.LSM:            {false, true, true, true}, // not among the active LSMs of 5.10
	kernel.Uprobe:         {true, true, true, true},
	kernel.UprobeMulti:    {false, false, true, true},
	kernel.RingBuffer:     {true, true, true, true},
	kernel.ReadKernel:     {true, true, true, true},
	kernel.FetchAtomics:   {false, true, true, true},
	kernel.OverrideReturn: {false, false, false, false},
	kernel.FmodRetSyscall: {false, false, false, true},
	kernel.Stats:          {true, true, true, true},
}

// expects says whether the named stock kernel has a feature.
func expects(name string, f kernel.Feature) (bool, error) {
	column := slices.Index(stockKernels, name)
	row, ok := expected[f]
	if column < 0 || !ok {
		return false, fmt.Errorf("internal/vmtest/expect.go does not say whether kernel %s has %s: add it there", name, f)
	}
	return row[column], nil
}
