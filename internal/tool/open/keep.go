package open

import "sonde/internal/fileevent"

// truncateFlag is O_TRUNC (asm-generic/fcntl.h).
const truncateFlag = 0o1000

// Keeps says whether an open is one of those that are asked for: what the programs decide in the kernel, for those who have no
// programs there. It leaves Created aside, which flags do not tell.
func (o Options) Keeps(e *fileevent.Event) bool {
	if o.Failed && e.Ret >= 0 {
		return false
	}
	if o.Write && e.Flags&accessMode == 0 && e.Flags&truncateFlag == 0 {
		return false
	}
	for _, f := range o.Flags {
		if e.Flags&f.Mask == f.Value {
			return true
		}
	}
	return len(o.Flags) == 0
}
