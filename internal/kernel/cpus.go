package kernel

import (
	"path/filepath"
	"strconv"
	"strings"
)

// maxCPUs is more than any kernel is built for (CONFIG_NR_CPUS).
const maxCPUs = 1 << 16

// countCPUs counts a list below /sys/devices/system/cpu; 1 where it cannot be read.
func countCPUs(root, list string) int {
	text, err := readSmall(filepath.Join(root, "sys/devices/system/cpu", list), 64<<10)
	if err != nil {
		return 1
	}
	if n, ok := countList(text); ok {
		return n
	}
	return 1
}

// countList counts the numbers of a list like "0-3,8,10-11".
func countList(text string) (count int, ok bool) {
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err := strconv.Atoi(low)
		last, err2 := strconv.Atoi(high)
		if err != nil || err2 != nil || first < 0 || last < first || last >= maxCPUs {
			return 0, false
		}
		if count += last - first + 1; count > maxCPUs {
			return 0, false
		}
	}
	return count, count > 0
}
