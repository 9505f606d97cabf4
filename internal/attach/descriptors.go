package attach

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

// spareDescriptors are those that loading needs for a while: BTF, feature probes, a reader's epoll.
const spareDescriptors = 16

// roomFor returns an error if the process cannot open as many descriptors as a Session of that Spec will hold. It is asked
// first because the library's probes take a full table for a kernel that lacks the feature.
func roomFor(spec *prog.Spec) error {
	need := len(spec.Collection.Maps) + len(spec.Collection.Programs) + len(spec.Probes) + spareDescriptors
	held := make([]int, 0, need)
	defer func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}()
	for len(held) < need {
		fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("%s: %d more open files are needed, and %d are possible: %w", spec.Name, need, len(held), err)
		}
		held = append(held, fd)
	}
	return nil
}
