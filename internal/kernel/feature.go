package kernel

// Feature names something a kernel, as it is configured and with the privileges held, may or may not allow.
// Which it is, is found by trying (attach.Try), never by comparing version numbers.
type Feature string

const (
	BTF            Feature = "btf"
	Tracefs        Feature = "tracefs"
	Tracepoint     Feature = "tracepoint"
	RawTracepoint  Feature = "raw_tracepoint"
	Kprobe         Feature = "kprobe"
	KprobeMulti    Feature = "kprobe_multi"
	Fentry         Feature = "fentry"
	FmodRet        Feature = "fmod_ret"
	LSM            Feature = "bpf_lsm"
	Uprobe         Feature = "uprobe"
	UprobeMulti    Feature = "uprobe_multi"
	RingBuffer     Feature = "ringbuf"
	ReadKernel     Feature = "read_kernel"   // bpf_probe_read_kernel, which lockdown=confidentiality takes away
	FetchAtomics   Feature = "fetch_atomics" // atomic instructions that return the old value
	OverrideReturn Feature = "override_return"
	Stats          Feature = "bpf_stats"
)

// State is what trying a feature found.
type State uint8

const (
	Untried State = iota // could not be tried with these privileges
	Absent
	Present
)

// String returns "untried", "absent" or "present".
func (s State) String() string {
	switch s {
	case Absent:
		return "absent"
	case Present:
		return "present"
	}
	return "untried"
}

// Finding is the outcome of trying one feature. Reason is one sentence, empty when Present; Remedy says how to get it,
// one sentence, and may be empty.
type Finding struct {
	Feature Feature
	State   State
	Reason  string
	Remedy  string
}
