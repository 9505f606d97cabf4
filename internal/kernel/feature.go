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
	FmodRetSyscall Feature = "fmod_ret_syscall" // fmod_ret programs on the entry functions of system calls
	Stats          Feature = "bpf_stats"
)

// What the code of a program may use.
const (
	AttachCookie           Feature = "attach_cookie"     // bpf_get_attach_cookie in kprobe-type programs
	GetFuncIP              Feature = "get_func_ip"       // bpf_get_func_ip in kprobe-type programs
	BpfLoop                Feature = "bpf_loop"          // the helper bpf_loop
	ForEachMapElem         Feature = "for_each_map_elem" // the helper bpf_for_each_map_elem
	IterNum                Feature = "iter_num"          // loops by the kfuncs bpf_iter_num_new, _next and _destroy
	RdonlyCast             Feature = "rdonly_cast"       // the kfunc bpf_rdonly_cast
	TaskBTF                Feature = "task_btf"          // bpf_get_current_task_btf, and loads through its result
	KprobeSession          Feature = "kprobe_session"    // one program for entry and return
	MayGoto                Feature = "may_goto"          // the jump that bounds a loop by itself
	KtimeTAI               Feature = "ktime_tai"         // bpf_ktime_get_tai_ns
	BootNS                 Feature = "ktime_boot"        // bpf_ktime_get_boot_ns
	GetNsPidTgid           Feature = "ns_pid_tgid"       // bpf_get_ns_current_pid_tgid
	TypedTracepoint        Feature = "tp_btf"            // raw tracepoints whose arguments have types
	LargeKeys              Feature = "large_keys"        // keys of more than 512 bytes in hash maps
	PreemptsRawTracepoints Feature = "preempts_raw_tp"   // raw tracepoint programs of system calls may be preempted
)

// AllFeatures returns every feature there is a name for.
func AllFeatures() []Feature {
	return []Feature{
		BTF, Tracefs, Tracepoint, RawTracepoint, Kprobe, KprobeMulti, Fentry, FmodRet, LSM, Uprobe, UprobeMulti, RingBuffer, ReadKernel,
		FetchAtomics, OverrideReturn, FmodRetSyscall, Stats,
		AttachCookie, GetFuncIP, BpfLoop, ForEachMapElem, IterNum, RdonlyCast, TaskBTF, KprobeSession, MayGoto, KtimeTAI, BootNS,
		GetNsPidTgid, LargeKeys, TypedTracepoint, PreemptsRawTracepoints,
	}
}

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
