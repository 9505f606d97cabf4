/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Opens inside the kernel: those that no system call of the open family makes, and those that a security module is asked about. */
#ifndef SONDE_OPEN_INNER_BPF_H
#define SONDE_OPEN_INNER_BPF_H

/* The syscalls:* events do not tell of 32-bit programs: then those are told of here, without their descriptor. */
const volatile __u32 inner_compat = 0;

#define LOOKUP_CACHED 0x200200 /* only what needs no waiting: 0x200000 from 5.12 on, 0x200 in 7.2; neither has the other one */
#define EAGAIN 11

/* Whether an open that the caller makes is told of elsewhere. */
static __always_inline bool told(struct caller *c)
{
	return c->family && !(c->compat && inner_compat);
}

/* name is a struct filename, op a struct open_flags. */
static __always_inline void inner_args(struct open_args *a, struct caller *c, __u64 dfd, __u64 name, __u64 op)
{
	struct filename *filename = (struct filename *)name;
	struct open_flags *flags = (struct open_flags *)op;

	a->how = c->how;
	a->marks = c->compat ? FILE_COMPAT : 0;
	a->dirfd = dfd;
	a->path = (__u64)BPF_CORE_READ(filename, name);
	a->flags = (__u32)BPF_CORE_READ(flags, open_flag);
	a->mode = BPF_CORE_READ(flags, mode);
}

/* io_uring first tries whether a file can be opened without waiting: if it cannot, that is not the end of it. */
static __always_inline bool only_tried(struct caller *c, __u64 op, long ret)
{
	struct open_flags *flags = (struct open_flags *)op;

	if (ret != -EAGAIN || c->how != BY_IO_URING)
		return false;
	return !c->worker || (BPF_CORE_READ(flags, lookup_flags) & LOOKUP_CACHED);
}

SEC("fentry/do_filp_open")
int fentry_inner(__u64 *ctx)
{
	struct caller c;

	caller_read(&c, (struct task_struct *)bpf_get_current_task());
	return told(&c) ? 0 : begin_bare(OF_INNER);
}

SEC("fexit/do_filp_open")
int fexit_inner(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct open_args a = {};
	struct caller c;
	__u64 time = 0;
	bool timed;

	caller_read(&c, task);
	if (told(&c))
		return 0;
	timed = (want & WANT_TIME) && time_take((__u64)task + OF_INNER, &time);
	if (!timed && (((want & WANT_TIME) && *(volatile __u64 *)&closing) || !traced()))
		return 0;
	if (!only_tried(&c, ctx[2], ctx[3])) {
		inner_args(&a, &c, ctx[0], ctx[1], ctx[2]);
		a.time = time;
		inner_finish(&a, ctx[3]);
	}
	if (timed)
		over();
	return 0;
}

/* Until the end how_at keeps op, which is no struct open_how. */
SEC("kprobe/do_filp_open")
int kprobe_inner(struct pt_regs *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct open_args a = {};
	struct caller c;

	caller_read(&c, task);
	if (told(&c) || *(volatile __u64 *)&closing || !traced())
		return 0;
	inner_args(&a, &c, KPROBE_ARG0(ctx), KPROBE_ARG1(ctx), KPROBE_ARG2(ctx));
	a.how_at = KPROBE_ARG2(ctx);
	if (start_put((__u64)task + OF_INNER, &a))
		count_lost(LOST_TABLE);
	return 0;
}

SEC("kretprobe/do_filp_open")
int kretprobe_inner(struct pt_regs *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct open_args a;
	struct caller c;

	if (!start_take((__u64)task + OF_INNER, &a))
		return 0;
	caller_read(&c, task);
	if (!only_tried(&c, a.how_at, KPROBE_RET(ctx))) {
		a.how_at = 0;
		inner_finish(&a, KPROBE_RET(ctx));
	}
	over();
	return 0;
}

/* Every open that comes to its file passes here, whoever makes it. What was asked for is known of system calls. */
SEC("fexit/security_file_open")
int fexit_security(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct file *file = (struct file *)ctx[0];
	struct syscall_args s = {};
	struct open_buffer *b;
	struct caller c;

	if ((__s32)ctx[1] || *(volatile __u64 *)&closing || !traced())
		return 0;
	b = ended(AT_CALL, 0);
	if (!b)
		return 0;
	caller_read(&c, task);
	b->file = (__u64)file;
	b->a.time = 0;
	b->a.path = 0;
	b->a.mode = 0;
	b->a.how_at = 0;
	b->a.dirfd = AT_FDCWD;
	b->a.kernel_how = 0;
	b->a.marks = c.compat ? FILE_COMPAT : 0;
	b->a.how = c.how;
	b->a.flags = BPF_CORE_READ(file, f_flags);
	if (c.family) {
		syscall_args(&s, c.regs, c.compat);
		args_take(&b->a, &s);
	}
	finish(AT_CALL);
	return 0;
}

#endif
