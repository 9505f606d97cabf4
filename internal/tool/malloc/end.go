package malloc

import "sonde/internal/profile"

// judge says how a stack ended, and takes off what cannot belong to it.
//
// A frame pointer is whatever the register holds: in code that keeps none, anything. So the walk is trusted when it came to a
// function that threads begin with; what it found above that, it found by chance. When it did not, a frame pointer of 0
// would be the end by the rules of the machine, but code that keeps none may well have 0 there. It is believed where nothing
// is known of the outermost function's name.
func judge(frames []profile.Frame, end uint32) ([]profile.Frame, profile.End) {
	for i := range frames {
		if profile.BeginsThread(frames[i].Name) || profile.BeginsThread(frames[i].Mangled) {
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
