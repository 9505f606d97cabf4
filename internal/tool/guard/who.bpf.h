/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whether the current process is one that a rule is about. */
#ifndef SONDE_GUARD_WHO_BPF_H
#define SONDE_GUARD_WHO_BPF_H

#define CGROUP_STEP 8 /* of 32 levels */

static __always_inline bool who_has(struct guard_who *key, __u64 generation, __u64 who, __u32 kind, __u64 a, __u64 b)
{
	key->generation = generation;
	key->who = who << 8 | kind;
	key->value[0] = a;
	key->value[1] = b;
	return bpf_map_lookup_elem(&guard_whos, key) != 0;
}

/* Addresses of no cgroup. */
#define ONE_IS_MEANT 1
#define NONE_IS_MEANT 2

/*
 * Whether a cgroup, the process's own if it is 0, or one of those above it is meant, CGROUP_STEP of them. Returns the
 * next one to look at, or what has come of it.
 */
__attribute__((noinline)) __u64 who_cgroups(__u64 group, __u64 generation, __u64 who)
{
	struct task_struct___guard *task = (struct task_struct___guard *)bpf_get_current_task();
	struct guard_who key = {};
	__u64 at = group;
	int level;

	if (at == ONE_IS_MEANT || at == NONE_IS_MEANT)
		return at;
	if (!at)
		at = (__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp);
	key.generation = generation;
	key.who = who << 8 | WHO_CGROUP;
	for (level = 0; level < CGROUP_STEP; level++) {
		key.value[0] = BPF_CORE_READ((struct cgroup *)at, kn, id);
		if (bpf_map_lookup_elem(&guard_whos, &key))
			return ONE_IS_MEANT;
		at = (__u64)BPF_CORE_READ((struct cgroup *)at, self.parent);
		if (!at)
			return NONE_IS_MEANT;
		at -= bpf_core_field_offset(struct cgroup, self);
	}
	return at;
}

/* Whether the process is all that is in the mask, its cgroup left aside. A function of its own: what it leaves on the stack is nobody's concern. */
__attribute__((noinline)) int who_is(__u64 who, __u64 mask, __u64 generation)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct guard_who key;
	struct inode *exe;
	__u64 comm[2];

	if ((mask & WHO_UID) && !who_has(&key, generation, who, WHO_UID, (__u32)bpf_get_current_uid_gid(), 0))
		return 0;
	if ((mask & WHO_PID) && !who_has(&key, generation, who, WHO_PID, tgid, 0))
		return 0;
	if (mask & WHO_COMM) {
		/* Not all kernels write zeros behind the end of a name. */
		comm[0] = comm[1] = 0;
		bpf_get_current_comm(comm, sizeof(comm));
		if (!who_has(&key, generation, who, WHO_COMM, comm[0], comm[1]))
			return 0;
	}
	if (mask & WHO_EXE) {
		exe = BPF_CORE_READ(task, mm, exe_file, f_inode);
		if (!who_has(&key, generation, who, WHO_EXE, device_here(exe), BPF_CORE_READ(exe, i_ino)))
			return 0;
	}
	if ((mask & WHO_MNTNS) && !who_has(&key, generation, who, WHO_MNTNS, BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum), 0))
		return 0;
	if ((mask & WHO_TREE) && !bpf_map_lookup_elem(&target_tree, &tgid) && !target_inherit(task, tgid))
		return 0;
	return 1;
}

/* A cgroup is meant with all below it: so any ancestor of the process's own will do. */
static __always_inline bool who_meant(__u64 who, __u64 mask, __u64 generation)
{
	__u64 group = 0;

	if (!who_is(who, mask, generation))
		return false;
	if (!(mask & WHO_CGROUP))
		return true;
	/* No loop: each turn of one would be two ways. */
	group = who_cgroups(0, generation, who);
	group = who_cgroups(group, generation, who);
	group = who_cgroups(group, generation, who);
	group = who_cgroups(group, generation, who);
	return group == ONE_IS_MEANT;
}

#endif
