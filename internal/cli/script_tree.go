package cli

import "sonde/internal/compile/syntax"

// treeMap is the map of --tree, a map of the script like any other: the processes that are followed.
const treeMap = "@__tree"

// treeWithTypes and treeWithout are put behind a script that is run with --tree: they keep the map. Without the kernel's
// types a new thread cannot be told from a new process, nor its end: the map then forgets what it has not seen for longest.
const (
	treeWithTypes = `
let ` + treeMap + ` = hash(65536);
rawtracepoint:sched_process_fork /has_key(` + treeMap + `, pid)/ {
	if (args.child.tgid != pid) { ` + treeMap + `[(uint32)args.child.tgid] = (uint8)1; }
}
rawtracepoint:sched_process_exit /has_key(` + treeMap + `, pid)/ {
	if (curtask.signal.live.counter <= 0) { _ = delete(` + treeMap + `, pid); }
}
`
	treeWithout = `
let ` + treeMap + ` = lruhash(65536);
tracepoint:sched:sched_process_fork /has_key(` + treeMap + `, pid)/ {
	` + treeMap + `[(uint32)args.child_pid] = (uint8)1;
}
`
)

// follow adds what keeps the map of --tree to a script, and says how many probes that are.
func follow(text []byte, types bool) (followed []byte, probes int) {
	add, probes := treeWithout, 1
	if types {
		add, probes = treeWithTypes, 2
	}
	return append(text[:len(text):len(text)], add...), probes
}

// report renders what is to be said about a script, the errors and the warnings apart.
func report(src *syntax.Source, list []syntax.Diagnostic, colour bool) (errors, warnings []string) {
	for _, d := range list {
		if text := src.Render(d, colour); d.Severity == syntax.Error {
			errors = append(errors, text)
		} else {
			warnings = append(warnings, text)
		}
	}
	return errors, warnings
}
