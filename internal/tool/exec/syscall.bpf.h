/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* execve and execveat on each architecture: their numbers, where their arguments are, and 32-bit tasks. */
#ifndef SONDE_EXEC_SYSCALL_BPF_H
#define SONDE_EXEC_SYSCALL_BPF_H

#if defined(__TARGET_ARCH_x86)
#define NR_EXECVE 59
#define NR_EXECVEAT 322
#define NR_COMPAT_EXECVE 11
#define NR_COMPAT_EXECVEAT 358
#define TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h */
#else
#define NR_EXECVE 221
#define NR_EXECVEAT 281
#define NR_COMPAT_EXECVE 11
#define NR_COMPAT_EXECVEAT 387
#define MMCF_AARCH32 1 /* arch/arm64/include/asm/mmu.h */
#endif

static __always_inline bool is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
#else
	return BPF_CORE_READ(task, mm, context.flags) & MMCF_AARCH32;
#endif
}

#if defined(__TARGET_ARCH_x86)
/* Whether a task returns from execve or execveat: the number of the system call outlives the exec in its registers. */
static __always_inline bool returns_from_exec(struct task_struct *task, struct pt_regs *regs)
{
	long nr = BPF_CORE_READ(regs, orig_ax);

	if (is_compat(task))
		return nr == NR_COMPAT_EXECVE || nr == NR_COMPAT_EXECVEAT;
	return nr == NR_EXECVE || nr == NR_EXECVEAT;
}

#define ARG(regs, native, compat, is) ((is) ? (__u32)BPF_CORE_READ(regs, compat) : BPF_CORE_READ(regs, native))
#define ARG0(regs, is) ARG(regs, di, bx, is)
#define ARG1(regs, is) ARG(regs, si, cx, is)
#define ARG2(regs, is) ARG(regs, dx, dx, is)
#else
static __always_inline bool returns_from_exec(struct task_struct *task, struct pt_regs *regs)
{
	int nr = BPF_CORE_READ(regs, syscallno);

	if (is_compat(task))
		return nr == NR_COMPAT_EXECVE || nr == NR_COMPAT_EXECVEAT;
	return nr == NR_EXECVE || nr == NR_EXECVEAT;
}

#define ARG0(regs, is) BPF_CORE_READ(regs, orig_x0)
#define ARG1(regs, is) BPF_CORE_READ(regs, user_regs.regs[1])
#define ARG2(regs, is) BPF_CORE_READ(regs, user_regs.regs[2])
#endif

#endif
