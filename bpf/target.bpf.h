/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whom to trace, decided in the kernel: the same code for every tool. internal/target sets the constants and fills
 * the maps; the verifier removes what target_mode leaves out.
 */
#ifndef SONDE_TARGET_BPF_H
#define SONDE_TARGET_BPF_H

#include "record.bpf.h"

#define TARGET_UID 1
#define TARGET_PPID 2
#define TARGET_PID 4
#define TARGET_TREE 8
#define TARGET_CGROUP 16
#define TARGET_CGROUPMAP 32
#define TARGET_MNTNSMAP 64
#define TARGET_NOT_SELF 128
#define TARGET_TREE_ENDS 256

#define TARGET_CGROUPS 8

const volatile __u32 target_mode = 0;
const volatile __u32 target_uid = 0;
const volatile __u32 target_ppid = 0;
const volatile __u32 target_cgroup_count = 0;

/* For tools that would see their own doings and so never rest: they define TARGET_LEAVES_SELF. */
#ifdef TARGET_LEAVES_SELF
const volatile __u32 target_self = 0;
#endif

/*
 * Processes of the followed tree that are alive are target_live + target_seeded. The first is written here only, and
 * set to the number of roots before the programs are loaded; the second is written by user space only, which finds the
 * descendants that the roots already had.
 */
__u64 target_live = 0;
volatile __u64 target_seeded = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u8);
} target_pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u8);
} target_tree SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, TARGET_CGROUPS);
	__type(key, __u32);
	__type(value, __u32);
} target_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} cgroupmap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} mntnsmap SEC(".maps");

static __always_inline bool target_in_cgroups(void)
{
	if (target_cgroup_count > 0 && bpf_current_task_under_cgroup(&target_cgroups, 0) == 1)
		return true;
	if (target_cgroup_count > 1 && bpf_current_task_under_cgroup(&target_cgroups, 1) == 1)
		return true;
	if (target_cgroup_count > 2 && bpf_current_task_under_cgroup(&target_cgroups, 2) == 1)
		return true;
	if (target_cgroup_count > 3 && bpf_current_task_under_cgroup(&target_cgroups, 3) == 1)
		return true;
	if (target_cgroup_count > 4 && bpf_current_task_under_cgroup(&target_cgroups, 4) == 1)
		return true;
	if (target_cgroup_count > 5 && bpf_current_task_under_cgroup(&target_cgroups, 5) == 1)
		return true;
	if (target_cgroup_count > 6 && bpf_current_task_under_cgroup(&target_cgroups, 6) == 1)
		return true;
	return target_cgroup_count > 7 && bpf_current_task_under_cgroup(&target_cgroups, 7) == 1;
}

static __always_inline bool target_enter(__u32 tgid)
{
	__u8 one = 1;

	if (bpf_map_update_elem(&target_tree, &tgid, &one, BPF_NOEXIST))
		return false;
	__sync_fetch_and_add(&target_live, 1);
	return true;
}

/*
 * The run of target_fork that should have entered this process may have been left out: the kernel does that to a program
 * that is busy on the CPU. Then the nearest of its ancestors that lives is still known.
 */
static __always_inline bool target_inherit(struct task_struct *task, __u32 tgid)
{
	struct task_struct *p = task;
	__u32 parent;
	int i;

#pragma unroll
	for (i = 0; i < 3; i++) {
		p = BPF_CORE_READ(p, real_parent);
		parent = BPF_CORE_READ(p, tgid);
		if (bpf_map_lookup_elem(&target_tree, &parent))
			return target_enter(tgid);
	}
	return false;
}

/* target_match says whether the current task is one to be traced. PID and TREE are a union, all else narrows. */
static __always_inline bool target_match(struct task_struct *task)
{
#ifdef TARGET_LEAVES_SELF
	if ((target_mode & TARGET_NOT_SELF) && bpf_get_current_pid_tgid() >> 32 == target_self)
		return false;
#endif
	if (target_mode & TARGET_UID) {
		if ((__u32)bpf_get_current_uid_gid() != target_uid)
			return false;
	}
	if (target_mode & (TARGET_PID | TARGET_TREE)) {
		__u32 tgid = bpf_get_current_pid_tgid() >> 32;
		bool in = false;

		if (target_mode & TARGET_PID)
			in = bpf_map_lookup_elem(&target_pids, &tgid) != 0;
		if (!in && (target_mode & TARGET_TREE))
			in = bpf_map_lookup_elem(&target_tree, &tgid) != 0 || target_inherit(task, tgid);
		if (!in)
			return false;
	}
	if (target_mode & TARGET_PPID) {
		if ((__u32)BPF_CORE_READ(task, real_parent, tgid) != target_ppid)
			return false;
	}
	if (target_mode & TARGET_CGROUP) {
		if (!target_in_cgroups())
			return false;
	}
	if (target_mode & TARGET_CGROUPMAP) {
		__u64 id = bpf_get_current_cgroup_id();

		if (!bpf_map_lookup_elem(&cgroupmap, &id))
			return false;
	}
	if (target_mode & TARGET_MNTNSMAP) {
		__u64 ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);

		if (!bpf_map_lookup_elem(&mntnsmap, &ns))
			return false;
	}
	return true;
}

/* The child is entered before it first runs: nothing it does is missed. */
SEC("raw_tp/sched_process_fork")
int target_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	__u32 parent = bpf_get_current_pid_tgid() >> 32;
	__u32 tgid;

	if (!bpf_map_lookup_elem(&target_tree, &parent))
		return 0;
	tgid = BPF_CORE_READ(child, tgid);
	if (tgid == parent)
		return 0; /* a thread */
	if (!target_enter(tgid) && !bpf_map_lookup_elem(&target_tree, &tgid))
		count_lost(LOST_REASONS - 1);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int target_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (!bpf_map_lookup_elem(&target_tree, &tgid))
		return 0;
	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0; /* a thread; the process goes on */
	if (bpf_map_delete_elem(&target_tree, &tgid))
		return 0;
	/* No fetching atomics before 5.12: whoever takes the last one away reads 0, perhaps two at once, which is harmless. */
	__sync_fetch_and_add(&target_live, -1);
	if (*(volatile __u64 *)&target_live + target_seeded == 0 && (target_mode & TARGET_TREE_ENDS))
		record_tell(RECORD_TREE_ENDED);
	return 0;
}

#endif
