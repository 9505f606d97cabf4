/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The open family on each architecture: numbers, where arguments are, 32-bit tasks, and what a descriptor stands for. */
#ifndef SONDE_OPENCALL_BPF_H
#define SONDE_OPENCALL_BPF_H

#if defined(__TARGET_ARCH_x86)
#define NR_OPEN 2
#define NR_CREAT 85
#define NR_OPENAT 257
#define NR_OPENAT2 437
#define NR_OPEN_BY_HANDLE 304
#define NR_EXECVE 59
#define NR_EXECVEAT 322
#define NR_COMPAT_OPENAT 295
#define NR_COMPAT_OPEN_BY_HANDLE 342
#define NR_COMPAT_EXECVEAT 358
#define NR_X32 0x40000000 /* the x32 programs' */
#define TS_COMPAT 2       /* arch/x86/include/asm/thread_info.h */
#define O_DIRECTORY 0200000
#else
#define NR_OPEN -1 /* arm64 has neither */
#define NR_CREAT -1
#define NR_OPENAT 56
#define NR_OPENAT2 437
#define NR_OPEN_BY_HANDLE 265
#define NR_EXECVE 221
#define NR_EXECVEAT 281
#define NR_COMPAT_OPENAT 322
#define NR_COMPAT_OPEN_BY_HANDLE 371
#define NR_COMPAT_EXECVEAT 387
#define NR_X32 0
#define MMCF_AARCH32 1 /* arch/arm64/include/asm/mmu.h */
#define O_DIRECTORY 040000
#endif
#define NR_COMPAT_OPEN 5
#define NR_COMPAT_CREAT 8
#define NR_COMPAT_OPENAT2 437
#define NR_COMPAT_EXECVE 11
#define NR_IO_URING_ENTER 426

#define FMODE_EXEC 0x20 /* among the flags with which the kernel itself opens */
#define O_ACCMODE 3
#define O_WRONLY 1
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_TMPFILE_ONLY 020000000
#define AT_FDCWD -100

static __always_inline bool is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
#else
	return BPF_CORE_READ(task, mm, context.flags) & MMCF_AARCH32;
#endif
}

/* The system call that a task is in, by its registers: they keep the number until it has returned. */
static __always_inline long syscall_number(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, orig_ax);
#else
	return BPF_CORE_READ(regs, syscallno);
#endif
}

/* By which of the open family a system call is an open; 0: none, or not for this kind of caller. */
static __always_inline __u32 open_family(long nr, bool compat)
{
	if (compat) {
		switch (nr) {
		case NR_COMPAT_OPEN: return BY_OPEN;
		case NR_COMPAT_OPENAT: return BY_OPENAT;
		case NR_COMPAT_OPENAT2: return BY_OPENAT2;
		case NR_COMPAT_CREAT: return BY_CREAT;
		case NR_COMPAT_OPEN_BY_HANDLE: return BY_HANDLE;
		}
		return 0;
	}
	if (nr == NR_OPENAT)
		return BY_OPENAT;
	if (nr == NR_OPEN && NR_OPEN >= 0)
		return BY_OPEN;
	if (nr == NR_OPENAT2)
		return BY_OPENAT2;
	if (nr == NR_CREAT && NR_CREAT >= 0)
		return BY_CREAT;
	if (nr == NR_OPEN_BY_HANDLE)
		return BY_HANDLE;
	return 0;
}

/* Whether a system call may be an open for either kind of caller: for what every system call of the host passes by. */
static __always_inline bool maybe_open(long nr)
{
	return open_family(nr, false) || open_family(nr, true);
}

struct syscall_args {
	__u64 arg[4];
};

/* One read for all registers: the layout of x86 is that of ptrace(2), and cannot change. */
static __always_inline void syscall_args(struct syscall_args *to, struct pt_regs *regs, bool compat)
{
#if defined(__TARGET_ARCH_x86)
	if (compat) {
		to->arg[0] = (__u32)BPF_CORE_READ(regs, bx);
		to->arg[1] = (__u32)BPF_CORE_READ(regs, cx);
		to->arg[2] = (__u32)BPF_CORE_READ(regs, dx);
		to->arg[3] = (__u32)BPF_CORE_READ(regs, si);
		return;
	}
	struct { __u64 r10, r9, r8, ax, cx, dx, si, di; } r;

	if (bpf_probe_read_kernel(&r, sizeof(r), (void *)regs + bpf_core_field_offset(struct pt_regs, r10)))
		return;
	to->arg[0] = r.di;
	to->arg[1] = r.si;
	to->arg[2] = r.dx;
	to->arg[3] = r.r10;
#else
	__u64 r[3];

	if (bpf_probe_read_kernel(r, sizeof(r), (void *)regs + bpf_core_field_offset(struct pt_regs, user_regs.regs) + 8))
		return;
	to->arg[0] = BPF_CORE_READ(regs, orig_x0);
	to->arg[1] = r[0];
	to->arg[2] = r[1];
	to->arg[3] = r[2];
#endif
}

/* The file behind a descriptor of the current task. */
static __always_inline struct file *file_of(struct task_struct *task, long fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = 0;

	if (fd < 0 || fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
}

#endif
