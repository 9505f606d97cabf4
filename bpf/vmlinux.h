/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel types that the ready tools look into, trimmed to the members they read. Every access is relocated
 * when the program is loaded (CO-RE), so order and size here mean nothing: names and types do.
 * A member that only some kernels have is read behind bpf_core_field_exists.
 */
#ifndef SONDE_VMLINUX_H
#define SONDE_VMLINUX_H

typedef signed char __s8;
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
typedef _Bool bool;
enum { false = 0, true = 1 };

typedef int pid_t;
typedef __u32 dev_t;
typedef unsigned int uid_t;

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_CGROUP_ARRAY = 8,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { uid_t val; } kuid_t;
typedef struct { uid_t val; } kgid_t;
typedef struct { int counter; } atomic_t;

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bx, r10, r8, ax, cx, dx, si, di, orig_ax;
};
struct thread_info {
	__u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
};
struct pt_regs {
	union {
		struct user_pt_regs user_regs;
	};
	__u64 orig_x0;
	int syscallno;
};
typedef struct { unsigned long flags; } mm_context_t;
#else
#error "no register layout for this architecture"
#endif

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct super_block {
	dev_t s_dev;
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	unsigned int f_mode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

/* Of openat2, as user space has it too. */
struct open_how {
	__u64 flags, mode, resolve;
};

struct open_flags {
	int open_flag;
	unsigned short mode;
	int lookup_flags;
};

struct filename {
	const char *name;
};

struct fs_struct {
	struct path pwd;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_end;
	struct file *exe_file;
#if defined(__TARGET_ARCH_arm64)
	mm_context_t context;
#endif
};

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct tty_struct {
	char name[64];
};

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };

struct list_head {
	struct list_head *next;
};

struct task_io_accounting {
	__u64 rchar, wchar, read_bytes, write_bytes;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
	struct list_head thread_head;
	unsigned long min_flt, maj_flt, cmin_flt, maxrss;
	unsigned long long sum_sched_runtime;
	struct task_io_accounting ioac;
	struct pid *pids[PIDTYPE_MAX];
	struct tty_struct *tty;
};

struct cred {
	kuid_t uid, euid;
	kgid_t gid;
};

struct css_set;

struct task_struct {
#if defined(__TARGET_ARCH_x86)
	struct thread_info thread_info;
#endif
	pid_t pid, tgid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct pid *thread_pid;
	struct css_set *cgroups;
	struct files_struct *files;
	unsigned int flags;
	void *stack;
	struct task_struct *group_leader;
	int exit_code;
	__u64 start_time, start_boottime, self_exec_id;
	unsigned long min_flt, maj_flt;
	struct sched_entity se;
	struct task_io_accounting ioac;
	struct list_head thread_node;
};

struct linux_binprm {
	struct file *file;
	const char *filename, *interp;
};

#pragma clang attribute pop

#endif
