// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Every kind of CO-RE relocation that TypesFor serves, for its tests. The program is loaded and never attached.
 * The declarations are its own, so that the object does not change with the tools' headers.
 */
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
enum bpf_map_type { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27 };

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { __u32 val; } kuid_t;
typedef struct { int counter; } atomic_t;

struct thread_info { unsigned long flags; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct qstr {
	union {
		struct { __u32 hash, len; };
		__u64 hash_len;
	};
	const unsigned char *name;
};
struct super_block { __u32 s_dev; unsigned long s_magic; char s_id[32]; };
struct inode { __u16 i_mode; kuid_t i_uid; unsigned long i_ino; __u32 i_nlink; struct super_block *i_sb; };
struct dentry { struct dentry *d_parent; struct qstr d_name; struct inode *d_inode; };
struct vfsmount { struct dentry *mnt_root; int mnt_flags; };
struct ns_common { __u32 inum; };
struct mnt_namespace { struct ns_common ns; };
struct mount { struct mount *mnt_parent; struct dentry *mnt_mountpoint; struct vfsmount mnt; struct mnt_namespace *mnt_ns; };
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct file { struct path f_path; struct inode *f_inode; __u32 f_flags; };
struct fs_struct { struct path root, pwd; };
struct mm_struct { unsigned long arg_start, arg_end, env_end; struct file *exe_file; };
struct pid_namespace { struct ns_common ns; __u32 level; };
struct nsproxy { struct mnt_namespace *mnt_ns; struct pid_namespace *pid_ns_for_children; };
struct upid { int nr; struct pid_namespace *ns; };
struct pid { __u32 level; struct upid numbers[1]; };
struct tty_struct { char name[64]; };
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };
struct signal_struct { atomic_t live; struct pid *pids[4]; struct tty_struct *tty; unsigned int is_child_subreaper : 1; };
struct cred { kuid_t uid, euid; };
struct kernfs_node { const char *name; __u64 id; };
struct cgroup { struct kernfs_node *kn; int level; };
struct css_set { struct cgroup *dfl_cgrp; };
struct linux_binprm { const char *filename, *interp; int argc; };
struct task_struct {
	struct thread_info thread_info;
	int pid, tgid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct pid *thread_pid;
	struct css_set *cgroups;
	unsigned int in_execve : 1;
	unsigned int sched_reset_on_fork : 1;
	__u64 no_such_member;
};

/* Two flavours of one struct, for a member that was renamed in 5.14. */
struct task_struct___old { volatile long state; };
struct task_struct___new { unsigned int __state; };

/* A struct, and a member that has another type in the kernel, that no kernel has. */
struct sonde_no_such_struct { int member; };
struct file___mismatch { struct { int inner; } f_flags; };
/* What is a plain integer in the kernel, as a bitfield. */
struct file___bits { unsigned int f_flags : 7; };
/* What the kernel nests in another way. */
struct qstr___flat { __u32 len; };
/* A union that the kernel has as a struct. */
union pid___union { __u32 level; };

#pragma clang attribute pop

enum bpf_map_type___more { BPF_MAP_TYPE_HASH___more = 7, BPF_MAP_TYPE_SONDE___more = 9 };
typedef void (*rcu_callback_t)(void *);
typedef int rcu_callback_t___no;
typedef struct { int counter; } sonde_no_such_t;

__u64 sink[128];
#define KEEP(n, value) sink[n] = (value)
#define KEEP_IF(n, member, value)                    \
	do {                                         \
		if (bpf_core_field_exists(member))   \
			sink[n] = (__u64)(value);    \
	} while (0)

SEC("raw_tp/sched_process_exec")
int fields(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);
	struct dentry *dentry = BPF_CORE_READ(exe, f_path.dentry);
	struct mount *mount = (void *)BPF_CORE_READ(exe, f_path.mnt);
	struct linux_binprm *bprm = ctx;

	KEEP(0, BPF_CORE_READ(task, pid));
	KEEP(1, BPF_CORE_READ(task, tgid));
	KEEP(2, BPF_CORE_READ(task, real_parent, tgid));
	KEEP(3, BPF_CORE_READ(task, mm, arg_start));
	KEEP(4, BPF_CORE_READ(task, mm, arg_end) + BPF_CORE_READ(task, mm, env_end));
	KEEP(5, BPF_CORE_READ(task, cred, uid.val));
	KEEP(6, BPF_CORE_READ(task, cred, euid.val));
	KEEP(7, BPF_CORE_READ(task, comm[3]));
	KEEP(8, (__u64)BPF_CORE_READ(task, fs, pwd.dentry) + (__u64)BPF_CORE_READ(task, fs, root.mnt));
	KEEP(9, BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum));
	KEEP(10, BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum));
	KEEP(11, BPF_CORE_READ(task, signal, live.counter));
	KEEP(12, (__u64)BPF_CORE_READ(task, signal, pids[PIDTYPE_SID]));
	KEEP(13, BPF_CORE_READ(task, signal, tty, name[5]));
	KEEP(14, BPF_CORE_READ(task, thread_pid, numbers[0].nr));
	KEEP(15, (__u64)BPF_CORE_READ(task, thread_pid, numbers[0].ns));
	KEEP(16, BPF_CORE_READ(task, thread_pid, level));
	KEEP(17, BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id));
	KEEP(18, BPF_CORE_READ(task, cgroups, dfl_cgrp, level));
	KEEP(19, (__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, name));
	KEEP(20, BPF_CORE_READ(task, thread_info.flags));
	KEEP(21, BPF_CORE_READ(exe, f_flags));
	KEEP(22, BPF_CORE_READ(exe, f_inode, i_ino));
	KEEP(23, BPF_CORE_READ(exe, f_inode, i_nlink));
	KEEP(24, BPF_CORE_READ(exe, f_inode, i_uid.val) + BPF_CORE_READ(exe, f_inode, i_mode));
	KEEP(25, BPF_CORE_READ(exe, f_inode, i_sb, s_dev) + BPF_CORE_READ(exe, f_inode, i_sb, s_magic));
	KEEP(26, BPF_CORE_READ(exe, f_inode, i_sb, s_id[1]));
	KEEP(27, (__u64)BPF_CORE_READ(dentry, d_name.name));
	KEEP(28, BPF_CORE_READ(dentry, d_name.len) + BPF_CORE_READ(dentry, d_name.hash_len));
	KEEP(29, (__u64)BPF_CORE_READ(dentry, d_parent) + (__u64)BPF_CORE_READ(dentry, d_inode));
	KEEP(30, (__u64)&mount->mnt - (__u64)mount);
	KEEP(31, (__u64)BPF_CORE_READ(mount, mnt.mnt_root) + BPF_CORE_READ(mount, mnt.mnt_flags));
	KEEP(32, (__u64)BPF_CORE_READ(mount, mnt_parent) + (__u64)BPF_CORE_READ(mount, mnt_mountpoint));
	KEEP(33, BPF_CORE_READ(mount, mnt_ns, ns.inum));
	KEEP(34, (__u64)BPF_CORE_READ(bprm, filename) + (__u64)BPF_CORE_READ(bprm, interp) + BPF_CORE_READ(bprm, argc));
	KEEP(35, BPF_CORE_READ((struct qstr___flat *)ctx, len));
	KEEP(36, BPF_CORE_READ((union pid___union *)ctx, level));
	return 0;
}

SEC("raw_tp/sched_process_exec")
int questions(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___old *old = (void *)task;
	struct task_struct___new *new = (void *)task;
	struct signal_struct *signal = ctx;
	struct file *file = ctx;

	KEEP_IF(0, task->no_such_member, BPF_CORE_READ(task, no_such_member));
	KEEP_IF(1, old->state, BPF_CORE_READ(old, state));
	KEEP_IF(2, new->__state, BPF_CORE_READ(new, __state));
	KEEP_IF(3, task->in_execve, BPF_CORE_READ_BITFIELD_PROBED(task, in_execve));
	KEEP_IF(4, task->sched_reset_on_fork, BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork));
	KEEP_IF(5, signal->is_child_subreaper,
		BPF_CORE_READ_BITFIELD_PROBED(signal, is_child_subreaper));
	KEEP_IF(6, ((struct file___mismatch *)file)->f_flags, 1);
	KEEP_IF(7, ((struct file___bits *)file)->f_flags,
		BPF_CORE_READ_BITFIELD_PROBED((struct file___bits *)file, f_flags));
	KEEP_IF(8, ((struct sonde_no_such_struct *)file)->member, 1);

	KEEP(10, bpf_core_field_size(task->comm));
	KEEP(11, bpf_core_field_size(task->thread_info));
	KEEP(12, bpf_core_field_size(((struct signal_struct *)ctx)->pids));
	KEEP(13, bpf_core_field_size(file->f_path));
	KEEP(14, bpf_core_field_offset(file->f_path.dentry));

	KEEP(20, bpf_core_type_exists(struct task_struct));
	KEEP(21, bpf_core_type_exists(struct sonde_no_such_struct));
	KEEP(22, bpf_core_type_exists(kuid_t));
	KEEP(23, bpf_core_type_exists(sonde_no_such_t));
	KEEP(24, bpf_core_type_exists(rcu_callback_t));
	KEEP(25, bpf_core_type_exists(rcu_callback_t___no));
	KEEP(26, bpf_core_type_exists(enum pid_type));
	KEEP(27, bpf_core_type_exists(union pid___union));
	KEEP(28, bpf_core_type_size(struct task_struct));
	KEEP(29, bpf_core_type_size(struct upid));
	KEEP(30, bpf_core_type_size(kuid_t));
	KEEP(31, bpf_core_type_size(enum pid_type));
	KEEP(32, bpf_core_type_id_local(struct upid));

	KEEP(40, bpf_core_enum_value_exists(enum pid_type, PIDTYPE_SID));
	KEEP(41, bpf_core_enum_value(enum pid_type, PIDTYPE_MAX));
	KEEP(42, bpf_core_enum_value(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF));
	KEEP(43, bpf_core_enum_value(enum bpf_map_type___more, BPF_MAP_TYPE_HASH___more));
	KEEP(44, bpf_core_enum_value_exists(enum bpf_map_type___more, BPF_MAP_TYPE_SONDE___more));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
