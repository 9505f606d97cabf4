package compile

// Numbers of the kernel's helpers that compiled scripts call (linux/bpf.h, enum bpf_func_id).
const (
	fnMapLookup       = 1
	fnMapUpdate       = 2
	fnMapDelete       = 3
	fnSMPProcessorID  = 8
	fnPidTgid         = 14
	fnRingbufOutput   = 130
	fnRingbufQuery    = 134
	fnForEachMapElem  = 164
	fnMapLookupPerCPU = 195
)

// Flags of bpf_map_update_elem.
const (
	updateAny     = 0
	updateNoExist = 1
)

// ringAvailData asks bpf_ringbuf_query for the bytes that are not read yet.
const ringAvailData = 0
