//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * sonde guard: asked by the kernel where it decides itself, about the object and not about what it was called by.
 *
 * Each program is on one hook of the security modules. They are the same whether they are loaded as LSM programs, as
 * programs that change what security_* returns (fmod_ret), or as kprobes on security_*, which can kill only: user space
 * changes their type, and says by constants where the arguments are. So arguments are read as numbers, from the
 * context of the program, and everything behind them is read by probe reads.
 *
 * Not asked are bprm_check_security and path_truncate: each exec opens its files, and each truncation sets an attribute, so
 * that file_open and inode_setattr see them.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "target.bpf.h"
#include "device.bpf.h"
#include "guard.h"
#include "caller.bpf.h"
#include "types.bpf.h"
#include "tables.bpf.h"
#include "who.bpf.h"
#include "learn.bpf.h"
#include "decide.bpf.h"
#include "tell.bpf.h"
#include "asked.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Which argument of the hook is what. Kernels differ, and so do the hook and the function that calls it. */
const volatile __u32 arg_setattr_dentry = 0;
const volatile __u32 arg_setxattr_dentry = 0;
const volatile __u32 arg_removexattr_dentry = 0;
const volatile __u32 arg_set_acl_dentry = 1;
const volatile __u32 arg_remove_acl_dentry = 1;
const volatile __u32 arg_mmap_prot = 2;

/* Whether the programs are of kprobes. */
const volatile __u32 guard_kprobes = 0;

static __always_inline __u64 arg(void *ctx, __u32 n)
{
	__u64 value = 0;

	if (!guard_kprobes) {
		bpf_probe_read_kernel(&value, sizeof(value), ctx + 8 * n);
		return value;
	}
#if defined(__TARGET_ARCH_x86)
	switch (n) {
	case 0:
		return BPF_CORE_READ((struct pt_regs *)ctx, di);
	case 1:
		return BPF_CORE_READ((struct pt_regs *)ctx, si);
	case 2:
		return BPF_CORE_READ((struct pt_regs *)ctx, dx);
	default:
		return BPF_CORE_READ((struct pt_regs *)ctx, cx);
	}
#else
	bpf_probe_read_kernel(&value, sizeof(value), ctx + 8 * n); /* x0 and on come first in struct pt_regs */
	return value;
#endif
}

static __always_inline bool in_force(void)
{
	__u64 deadline = WORD(guard_deadline);

	if (WORD(guard_mode) == MODE_OFF)
		return false;
	return !deadline || bpf_ktime_get_boot_ns() < deadline;
}

/* Whether there is anything to ask about this process. */
GLOBAL int is_meant(void)
{
	if (!in_force() || bpf_get_current_pid_tgid() >> 32 == WORD(guard_self))
		return 0;
	return target_match((struct task_struct *)bpf_get_current_task());
}

/* Asks the tables. Returns the error for the caller, a positive number, or 0. */
GLOBAL int ask_about(__u64 subject, __u32 access)
{
	__u64 ask = WORD(guard_generation) << 32 | access;
	__u32 decided;

	if (!subject || !is_meant())
		return 0;
	decided = decide(subject, ask);
	if (RULE_OF(decided) == RULE_NONE)
		return 0;
	return carry_out(subject, ask, decided);
}

/*
 * What has other names, or is to get one, keeps the rules of this one, whoever it is that asks: others may come by the
 * other name. Called by the hooks' programs themselves, because a chain of calls has 8 frames.
 */
static __always_inline void remember(__u64 subject, __u32 how)
{
	if (subject && in_force())
		learn(subject, WORD(guard_generation) << 32 | how);
}

static __always_inline void remember_if_linked(__u64 file)
{
	struct inode___guard *inode = (struct inode___guard *)BPF_CORE_READ((struct file *)file, f_inode);

	if (BPF_CORE_READ(inode, i_nlink) > 1 && (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFDIR)
		remember(file, ASK_FILE);
}

/*
 * The verifier wants to see that what LSM programs return is an error number. A long: that is what system calls return, and an int
 * would leave the upper half of the register 0.
 */
static __always_inline long answer(int error)
{
	if (guard_mechanism == BY_KILL || !error)
		return 0;
	if (error == EPERM)
		return -EPERM;
	if (error == ENOENT)
		return -ENOENT;
	return -EACCES;
}

/* About what has a name or is to get one. */
static __always_inline int about(__u64 dentry, __u32 access)
{
	return answer(ask_about(dentry, access));
}

/* What an open asks for. */
static __always_inline __u32 opened_for(struct file___guard *file)
{
	__u32 mode = BPF_CORE_READ(file, f_mode), flags = BPF_CORE_READ(file, f_flags), access = 0;

	if (flags & FMODE_EXEC)
		access = ACCESS_EXEC;
	else if (mode & FMODE_READ)
		access = ACCESS_READ;
	if (mode & FMODE_WRITE)
		access |= ACCESS_WRITE;
	if (flags & O_TRUNC)
		access |= ACCESS_TRUNCATE;
	/* For neither: for ioctl alone. */
	return access ? access : ACCESS_READ;
}

SEC("lsm/file_open")
int guard_file_open(void *ctx)
{
	struct file___guard *file = (struct file___guard *)arg(ctx, 0);

	remember_if_linked((__u64)file);
	return answer(ask_about((__u64)file, opened_for(file) | ASK_FILE));
}

/* What a system call of the open family has opened a file for. A function of its own, for its stack: the chain behind is long. */
GLOBAL int returned_for(__u64 regs, __u64 opened)
{
	struct file___guard *file = (struct file___guard *)opened;
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 access = opened_for(file);
	bool compat = is_compat(task);
	struct syscall_args s = {};
	struct open_how how = {};

	syscall_args(&s, (struct pt_regs *)regs, compat);
	how.flags = s.arg[2];
	switch (open_family(syscall_number((struct pt_regs *)regs) & ~NR_X32, compat)) {
	case BY_OPEN:
		how.flags = s.arg[1];
		break;
	case BY_CREAT:
		how.flags = O_TRUNC;
		break;
	case BY_OPENAT2:
		bpf_probe_read_user(&how, sizeof(how), (void *)s.arg[2]);
	}
	/* It is gone from the flags of an open file. */
	if (how.flags & O_TRUNC)
		access |= ACCESS_TRUNCATE;
	return access;
}

/*
 * Where there are no hooks and no kprobes: the return of a system call that has opened a file. A kill comes late anyway.
 * What io_uring opens is not seen, nor what is done without opening. A descriptor of O_PATH is not asked about, as on the hook.
 */
SEC("raw_tp/sys_exit")
int guard_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct task_struct *task;
	struct file *file;
	long nr, fd = ctx->args[1];

	if (fd < 0)
		return 0;
	nr = syscall_number(regs) & ~NR_X32;
	if (!maybe_open(nr) || !in_force())
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	if (!open_family(nr, is_compat(task)))
		return 0;
	file = file_of(task, fd);
	if (!file || (BPF_CORE_READ((struct file___guard *)file, f_mode) & FMODE_PATH))
		return 0;
	remember_if_linked((__u64)file);
	ask_about((__u64)file, (__u32)returned_for((__u64)regs, (__u64)file) | ASK_FILE);
	return 0;
}

/* The same of an exec: its program is in place and has not run yet. */
SEC("raw_tp/sched_process_exec")
int guard_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct file *file;

	if (!in_force())
		return 0;
	file = BPF_CORE_READ(bprm, file);
	if (file)
		ask_about((__u64)file, ACCESS_EXEC | ASK_FILE);
	return 0;
}

/* A descriptor of another process, sent by a socket or taken: who opened it may be somebody whom no rule means. */
SEC("lsm/file_receive")
int guard_file_receive(void *ctx)
{
	struct file___guard *file = (struct file___guard *)arg(ctx, 0);
	__u32 access = 0, mode = BPF_CORE_READ(file, f_mode);

	if (mode & FMODE_READ)
		access = ACCESS_READ;
	if (mode & FMODE_WRITE)
		access |= ACCESS_WRITE;
	if (!access)
		return 0;
	return answer(ask_about((__u64)file, access | ASK_FILE));
}

/* Also of descriptors that were opened before there was a rule. */
SEC("lsm/mmap_file")
int guard_mmap_file(void *ctx)
{
	struct task_struct___guard *task = (struct task_struct___guard *)bpf_get_current_task();
	__u64 prot, type;
	__u32 access = 0;
	if (!arg(ctx, 0))
		return 0; /* memory that is no file's */
	prot = arg_mmap_prot == 2 ? arg(ctx, 2) : arg(ctx, 1);
	type = (arg_mmap_prot == 2 ? arg(ctx, 3) : arg(ctx, 2)) & MAP_TYPE;
	if (BPF_CORE_READ_BITFIELD_PROBED(task, in_execve)) {
		access = ACCESS_EXEC; /* the segments of a program that is being started, readable ones too */
	} else {
		if (prot & PROT_READ)
			access |= ACCESS_READ;
		if (prot & PROT_EXEC)
			access |= ACCESS_EXEC;
		if ((prot & PROT_WRITE) && (type == MAP_SHARED || type == MAP_SHARED_VALIDATE))
			access |= ACCESS_WRITE;
	}
	if (!access)
		return 0;
	return answer(ask_about(arg(ctx, 0), access | ASK_FILE));
}

SEC("lsm/file_mprotect")
int guard_file_mprotect(void *ctx)
{
	struct vm_area_struct *vma;
	struct file *file;
	__u32 access = 0;
	vma = (struct vm_area_struct *)arg(ctx, 0);
	file = BPF_CORE_READ(vma, vm_file);
	if (!file)
		return 0;
	if (arg(ctx, 2) & PROT_READ)
		access |= ACCESS_READ;
	if (arg(ctx, 2) & PROT_EXEC)
		access |= ACCESS_EXEC;
	if ((arg(ctx, 2) & PROT_WRITE) && (BPF_CORE_READ(vma, vm_flags) & VM_SHARED))
		access |= ACCESS_WRITE;
	if (!access)
		return 0;
	return answer(ask_about((__u64)file, access | ASK_FILE));
}

SEC("lsm/inode_create")
int guard_inode_create(void *ctx)
{
	return about(arg(ctx, 1), ACCESS_CREATE);
}

SEC("lsm/inode_mkdir")
int guard_inode_mkdir(void *ctx)
{
	return about(arg(ctx, 1), ACCESS_CREATE);
}

SEC("lsm/inode_mknod")
int guard_inode_mknod(void *ctx)
{
	return about(arg(ctx, 1), ACCESS_CREATE);
}

SEC("lsm/inode_symlink")
int guard_inode_symlink(void *ctx)
{
	return about(arg(ctx, 1), ACCESS_CREATE);
}

SEC("lsm/inode_unlink")
int guard_inode_unlink(void *ctx)
{
	return about(arg(ctx, 1), ACCESS_DELETE);
}

SEC("lsm/inode_rmdir")
int guard_inode_rmdir(void *ctx)
{
	return about(arg(ctx, 1), ACCESS_DELETE);
}

/* Two names, two questions: the file that gets another name, and the name. */
SEC("lsm/inode_link")
int guard_inode_link(void *ctx)
{
	int error;

	error = ask_about(arg(ctx, 0), ACCESS_LINK);
	if (!error)
		error = ask_about(arg(ctx, 2), ACCESS_LINK | ACCESS_CREATE);
	if (!error)
		remember(arg(ctx, 0), 0);
	return answer(error);
}

/* The new name may be that of another file, which is gone then. */
SEC("lsm/inode_rename")
int guard_inode_rename(void *ctx)
{
	__u32 access = ACCESS_RENAME | ACCESS_CREATE;
	struct dentry___guard *to;
	int error;

	error = ask_about(arg(ctx, 1), ACCESS_RENAME);
	if (error)
		return answer(error);
	to = (struct dentry___guard *)arg(ctx, 3);
	if (BPF_CORE_READ(to, d_inode))
		access |= ACCESS_DELETE;
	error = ask_about((__u64)to, access);
	if (!error) {
		remember(arg(ctx, 1), 0);
		remember((__u64)to, 0); /* the two may change places */
	}
	return answer(error);
}

SEC("lsm/inode_setattr")
int guard_inode_setattr(void *ctx)
{
	__u32 valid, access = 0;
	__u64 dentry, attr;

	dentry = arg_setattr_dentry ? arg(ctx, 1) : arg(ctx, 0);
	attr = arg_setattr_dentry ? arg(ctx, 2) : arg(ctx, 1);
	valid = BPF_CORE_READ((struct iattr *)attr, ia_valid);
	if (valid & ATTR_OPEN)
		return 0; /* file_open was asked */
	if (valid & ATTR_SIZE)
		access = ACCESS_TRUNCATE;
	else if ((valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME)) && !(valid & ATTR_FORCE))
		access = ACCESS_METADATA;
	else
		return 0;
	return about(dentry, access);
}

SEC("lsm/inode_setxattr")
int guard_inode_setxattr(void *ctx)
{
	return about(arg_setxattr_dentry ? arg(ctx, 1) : arg(ctx, 0), ACCESS_METADATA);
}

SEC("lsm/inode_removexattr")
int guard_inode_removexattr(void *ctx)
{
	return about(arg_removexattr_dentry ? arg(ctx, 1) : arg(ctx, 0), ACCESS_METADATA);
}

SEC("lsm/inode_set_acl")
int guard_inode_set_acl(void *ctx)
{
	return about(arg_set_acl_dentry ? arg(ctx, 1) : arg(ctx, 0), ACCESS_METADATA);
}

SEC("lsm/inode_remove_acl")
int guard_inode_remove_acl(void *ctx)
{
	return about(arg_remove_acl_dentry ? arg(ctx, 1) : arg(ctx, 0), ACCESS_METADATA);
}

/* Flags such as those of chattr(1). */
SEC("lsm/inode_file_setattr")
int guard_inode_file_setattr(void *ctx)
{
	return about(arg(ctx, 0), ACCESS_METADATA);
}

static __always_inline int about_ioctl(void *ctx)
{
	__u32 command = arg(ctx, 1);

	if (command != FS_IOC_SETFLAGS && command != FS_IOC32_SETFLAGS && command != FS_IOC_FSSETXATTR)
		return 0;
	return answer(ask_about(arg(ctx, 0), ACCESS_METADATA | ASK_FILE));
}

/* The same, before 6.17. */
SEC("lsm/file_ioctl")
int guard_file_ioctl(void *ctx)
{
	return about_ioctl(ctx);
}

/* The same of 32-bit programs, from 6.8 on; before that they are asked about like others. */
SEC("lsm/file_ioctl_compat")
int guard_file_ioctl_compat(void *ctx)
{
	return about_ioctl(ctx);
}

/* Whether a kprobe has a helper to make its function fail. */
const volatile __u32 guard_overrides = 0;

/*
 * At the entry of the system calls that take paths: goes by the path that the caller wrote. Its function is one whose only argument
 * is where the caller's registers are. What of it does not fit in a path - a descriptor without one - is asked about as on the hooks.
 */
SEC("kprobe/guard_call")
long guard_call(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 number, slot, which, access, decided;
	__u64 regs = arg(ctx, 0), ask;
	struct guard_asked *a;
	long error = 0;

	number = syscall_number((struct pt_regs *)regs) & ~NR_X32;
	if (number >= CALLS || !is_meant())
		return 0;
	if (is_compat(task))
		number += CALLS;
	slot = claim(CLAIM_PATH);
	if (slot >= PATH_SLOTS) {
		count_lost(LOST_SCRATCH);
		return 0;
	}
	for (which = 0; which < 2; which++) {
		access = asked_read(regs, number, which, slot);
		a = bpf_map_lookup_elem(&guard_asked, &slot);
		if (!a || !access)
			continue;
		ask = WORD(guard_generation) << 32 | access;
		if (a->file) {
			error = ask_about(a->file, access | ASK_FILE);
		} else {
			asked_walk(slot, ASK_GENERATION(ask));
			decided = asked_decide(slot, ask);
			if (RULE_OF(decided) != RULE_NONE)
				error = carry_out(a->self, ask | ASK_PATH, decided);
		}
		if (error)
			break;
	}
	release(CLAIM_PATH, slot);
	error = answer(error);
	if (!guard_kprobes)
		return error;
	if (guard_overrides && error)
		bpf_override_return(ctx, error);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} guard_jump SEC(".maps");

/*
 * A program that changes what a function returns is loaded for that function. So there are many of this one, and one of the
 * other, which is what takes its time to load.
 */
SEC("kprobe/guard_to_call")
int guard_to_call(void *ctx)
{
	bpf_tail_call(ctx, &guard_jump, 0);
	return 0;
}

/* A number is given to other processes when its own has ended. */
SEC("raw_tp/sched_process_exit")
int guard_exit(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (bpf_get_current_pid_tgid() >> 32 == WORD(guard_self) && BPF_CORE_READ(task, signal, live.counter) <= 0)
		WORD(guard_self) = 0;
	return 0;
}
