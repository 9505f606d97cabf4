package kernel

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// PerfEventType returns the number by which perf_event_open(2) knows a dynamic kind of event, "kprobe" or "uprobe" (kernel
// 4.17). The error wraps fs.ErrNotExist where the kernel is built without it.
func PerfEventType(kind string) (uint32, error) { return perfEventType("/", kind) }

func perfEventType(root, kind string) (uint32, error) {
	path := filepath.Join(root, "sys/bus/event_source/devices", kind, "type")
	text, err := readSmall(path, 32)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: not a number: %q", path, text)
	}
	return uint32(n), nil
}
