/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Processes of the target that begin, execute a program, map other libraries, end. A part of malloc.bpf.c. */
#ifndef SONDE_MALLOC_TASKS_BPF_H
#define SONDE_MALLOC_TASKS_BPF_H


struct mm_struct___code {
	unsigned long start_code;
} __attribute__((preserve_access_index));

/* Whether a process is one that probes are put into one by one. */
static __always_inline bool watched(__u32 tgid)
{
	return bpf_map_lookup_elem(&target_pids, &tgid) || bpf_map_lookup_elem(&target_tree, &tgid);
}

static __always_inline void tell(__u16 type, __u32 tgid, __u32 parent, __u64 code)
{
	struct task_record r = {};

	r.h.type = type;
	r.h.size = sizeof(r);
	r.h.time = bpf_ktime_get_ns();
	r.tgid = tgid;
	r.parent = parent;
	r.code = code;
	bpf_get_current_comm(r.comm, sizeof(r.comm));
	if (bpf_ringbuf_output(&records, &r, sizeof(r), BPF_RB_FORCE_WAKEUP))
		count_lost(LOST_TASK);
}

SEC("raw_tp/sched_process_fork")
int task_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	__u32 parent = bpf_get_current_pid_tgid() >> 32, tgid;

	if (!bpf_map_lookup_elem(&target_tree, &parent))
		return 0;
	tgid = BPF_CORE_READ(child, tgid);
	if (tgid != parent)
		tell(RECORD_FORK, tgid, parent, 0);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int task_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct mm_struct___code *mm = (void *)BPF_CORE_READ(task, mm);
	__u64 id = bpf_get_current_pid_tgid();

	if (!watched(id >> 32))
		return 0;
	forget(id);
	tell(RECORD_EXEC, id >> 32, 0, BPF_CORE_READ(mm, start_code));
	return 0;
}

SEC("raw_tp/sched_process_exit")
int task_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();

	if (*(volatile __u64 *)&noted)
		forget(id);
	if (!watched(id >> 32) || BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0;
	tell(RECORD_EXIT, id >> 32, 0, 0);
	return 0;
}

/* By calling this the loader tells a debugger that it has mapped other files. It is probed in single processes only. */
SEC("uprobe")
int mapped(struct regs *ctx)
{
	tell(RECORD_MAPPED, bpf_get_current_pid_tgid() >> 32, 0, 0);
	return 0;
}

#endif
