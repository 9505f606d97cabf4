package kernel

import "slices"

// The names of perf events, aliases among them, sorted.
var (
	softwareEvents = []string{
		"alignment-faults", "bpf-output", "context-switches", "cpu", "cpu-clock", "cpu-migrations", "cs", "dummy", "emulation-faults",
		"faults", "major-faults", "minor-faults", "page-faults", "task-clock",
	}
	hardwareEvents = []string{
		"backend-stalls", "branch-instructions", "branch-misses", "branches", "bus-cycles", "cache-misses", "cache-references",
		"cpu-cycles", "cycles", "frontend-stalls", "instructions", "ref-cycles",
	}
)

// matching returns those of a sorted list that a pattern matches.
func matching(list []string, text string) []string {
	if !hasStar(text) {
		if _, found := slices.BinarySearch(list, text); found {
			return []string{text}
		}
		return nil
	}
	var found []string
	for p := newPattern(text); len(list) > 0; list = list[1:] {
		if p.match(list[0]) {
			found = append(found, list[0])
		}
	}
	return found
}
