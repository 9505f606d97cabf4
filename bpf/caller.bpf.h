/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* For what the current task is in the kernel. */
#ifndef SONDE_CALLER_BPF_H
#define SONDE_CALLER_BPF_H

#include "opencall.bpf.h"

#define PF_IO_WORKER 0x10
#define PF_KTHREAD 0x200000
#define THREAD_SIZE 16384

enum bpf_func_id { BPF_FUNC_task_pt_regs = 175 };

/* The registers with which a task came into the kernel. Before 5.15 there is no helper; they lie at the end of its stack. */
static __always_inline struct pt_regs *user_regs(struct task_struct *task)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return BPF_CORE_READ(task, stack) + THREAD_SIZE - bpf_core_type_size(struct pt_regs);
}

struct caller {
	struct pt_regs *regs; /* 0: none from user space */
	__u32 family;         /* the system call of the open family that it is in; 0: none */
	__u32 how;            /* BY_... */
	__u32 worker;
	__u32 compat;
};

/* What the current task opens a file for. */
static __attribute__((noinline)) void caller_read(struct caller *c, struct task_struct *task)
{
	__u32 flags = BPF_CORE_READ(task, flags);
	long nr;

	c->regs = 0;
	c->family = 0;
	c->worker = flags & PF_IO_WORKER;
	c->compat = 0;
	c->how = c->worker ? BY_IO_URING : BY_KERNEL;
	if (flags & (PF_KTHREAD | PF_IO_WORKER))
		return;
	c->compat = is_compat(task) ? 1 : 0;
	c->regs = user_regs(task);
	nr = syscall_number(c->regs) & ~NR_X32;
	c->family = open_family(nr, c->compat);
	if (c->family)
		c->how = c->family;
	else if (nr == NR_IO_URING_ENTER)
		c->how = BY_IO_URING;
	else if (c->compat ? nr == NR_COMPAT_EXECVE || nr == NR_COMPAT_EXECVEAT : nr == NR_EXECVE || nr == NR_EXECVEAT)
		c->how = BY_EXEC;
}

#endif
