/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whether the current process is one that a rule is about. */
#ifndef SONDE_GUARD_WHO_BPF_H
#define SONDE_GUARD_WHO_BPF_H

#define CGROUP_LEVELS 32

/*
 * Global functions, with numbers for arguments: a value on the stack of who_is, there or not there, would double the ways
 * through it.
 */
__attribute__((noinline)) int who_has(__u32 generation, __u32 who, __u32 kind, __u64 a, __u64 b)
{
	struct guard_who key;

	key.generation = generation;
	key.who = who << 8 | kind;
	key.value[0] = a;
	key.value[1] = b;
	return bpf_map_lookup_elem(&guard_whos, &key) != 0;
}

__attribute__((noinline)) int who_exe(__u32 generation, __u32 who)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *exe = BPF_CORE_READ(task, mm, exe_file, f_inode);

	return who_has(generation, who, WHO_EXE, device_of(exe), BPF_CORE_READ(exe, i_ino));
}

__attribute__((noinline)) int who_comm(__u32 generation, __u32 who)
{
	__u64 comm[2] = {};

	bpf_get_current_comm(comm, sizeof(comm));
	return who_has(generation, who, WHO_COMM, comm[0], comm[1]);
}

__attribute__((noinline)) int who_mntns(__u32 generation, __u32 who)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return who_has(generation, who, WHO_MNTNS, BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum), 0);
}

__attribute__((noinline)) int who_tree(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&target_tree, &tgid) || target_inherit(task, tgid);
}

/* A cgroup is meant with all below it: so any ancestor of the process's own will do. */
__attribute__((noinline)) int who_cgroup(__u32 generation, __u32 who)
{
	struct task_struct___guard *task = (struct task_struct___guard *)bpf_get_current_task();
	struct cgroup *group = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	struct cgroup_subsys_state *up;
	int level;

	for (level = 0; level < CGROUP_LEVELS; level++) {
		if (who_has(generation, who, WHO_CGROUP, BPF_CORE_READ(group, kn, id), 0))
			return 1;
		up = BPF_CORE_READ(group, self.parent);
		if (!up)
			break;
		group = (void *)up - bpf_core_field_offset(struct cgroup, self);
	}
	return 0;
}

static __always_inline bool who_is(__u32 who, __u32 mask, __u32 generation)
{
	if ((mask & WHO_UID) && !who_has(generation, who, WHO_UID, (__u32)bpf_get_current_uid_gid(), 0))
		return false;
	if ((mask & WHO_PID) && !who_has(generation, who, WHO_PID, bpf_get_current_pid_tgid() >> 32, 0))
		return false;
	if ((mask & WHO_COMM) && !who_comm(generation, who))
		return false;
	if ((mask & WHO_EXE) && !who_exe(generation, who))
		return false;
	if ((mask & WHO_MNTNS) && !who_mntns(generation, who))
		return false;
	if ((mask & WHO_TREE) && !who_tree())
		return false;
	return !(mask & WHO_CGROUP) || who_cgroup(generation, who);
}

#endif
