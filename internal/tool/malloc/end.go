package malloc

import (
	"strings"

	"sonde/internal/profile"
)

// first are the functions that threads begin with: no caller is missing above them. Parts of a function that the compiler split
// off have a dot behind its name.
var first = map[string]bool{
	"_start": true, "__libc_start_main": true, "__libc_start_main_impl": true, "__libc_start_call_main": true, "_start_c": true,
	"libc_start_main_stage2": true, "start_thread": true, "clone": true, "__clone": true, "clone3": true, "__clone3": true, "__clone_internal": true,
	"thread_start": true, "_dl_start_user": true, "_dl_start": true, "__restore_rt": false,
	"runtime.goexit": true, "runtime.goexit.abi0": true, "runtime.goexit0": true, "runtime.mstart": true, "runtime.mstart.abi0": true, "runtime.rt0_go": true,
	"runtime.rt0_go.abi0": true, "runtime.mcall": true, "runtime.systemstack_switch": true,
}

func isFirst(name string) bool {
	name, _, _ = strings.Cut(name, ".part.")
	name, _, _ = strings.Cut(name, ".cold")
	name, _, _ = strings.Cut(name, "@")
	return first[name]
}

// judge says how a stack ended, and takes off what cannot belong to it.
//
// A frame pointer is whatever the register holds: in code that keeps none, anything. So the walk is trusted when it came to a
// function that threads begin with; what it found above that, it found by chance. When it did not, a frame pointer of 0
// would be the end by the rules of the machine, but code that keeps none may well have 0 there. It is believed where nothing
// is known of the outermost function's name.
func judge(frames []profile.Frame, end uint32) ([]profile.Frame, profile.End) {
	for i := range frames {
		if isFirst(frames[i].Name) || isFirst(frames[i].Mangled) {
			return frames[:i+1], profile.Complete
		}
	}
	switch {
	case len(frames) == 0:
		return frames, profile.Missing
	case end == endFull:
		return frames, profile.Cut
	case end == endRoot && frames[len(frames)-1].Name == "" && len(frames) > 2:
		return frames, profile.Complete
	}
	return frames, profile.NoFramePointer
}
