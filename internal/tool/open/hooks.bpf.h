/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The other ways to see an open than by raw tracepoints of system calls. */
#ifndef SONDE_OPEN_HOOKS_BPF_H
#define SONDE_OPEN_HOOKS_BPF_H

/* Notes an open with its arguments, for those whose end does not have them. */
SHARED int begin(struct open_args *a)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (*(volatile __u64 *)&closing || !traced())
		return 0;
	if (is_compat(task))
		a->marks |= FILE_COMPAT;
	if (start_put((__u64)task, a))
		count_lost(LOST_TABLE);
	return 0;
}

/* The end of what begin() noted; how is 0 where only one kind can have begun. */
SHARED int end(long ret, __u32 how)
{
	struct open_args begun;
	struct open_buffer *b;

	if (!start_take(bpf_get_current_task(), &begun))
		return 0;
	if (how && how != begun.how)
		goto out; /* that of another call, whose end was not seen */
	if (want_failed && ret >= 0)
		goto out;
	b = ended(AT_CALL, ret);
	if (!b)
		goto out;
	b->a = begun;
	finish(AT_CALL);
out:
	over();
	return 0;
}

/* The fields of the syscalls:* events behind the common ones, as their format files in tracefs have them. */
struct enter_event {
	__u64 common;
	__u64 nr;
	__u64 args[4];
};

struct exit_event {
	__u64 common;
	__u64 nr;
	__s64 ret;
};

/*
 * A program may read no further than the event of a call with few arguments goes, so there is one for each number of them.
 * The number of the system call is 32 bits wide.
 */
SHARED int event_begin(struct enter_event *ctx, int count)
{
	struct syscall_args s = {};
	struct open_args a = {};

	a.how = open_family((__s32)ctx->nr, false);
	s.arg[0] = ctx->args[0];
	s.arg[1] = ctx->args[1];
	if (count > 2)
		s.arg[2] = ctx->args[2];
	if (count > 3)
		s.arg[3] = ctx->args[3];
	args_take(&a, &s);
	return begin(&a);
}

SEC("tracepoint/syscalls/sys_enter_creat")
int event_enter2(struct enter_event *ctx)
{
	return event_begin(ctx, 2);
}

SEC("tracepoint/syscalls/sys_enter_open")
int event_enter3(struct enter_event *ctx)
{
	return event_begin(ctx, 3);
}

SEC("tracepoint/syscalls/sys_enter_openat")
int event_enter4(struct enter_event *ctx)
{
	return event_begin(ctx, 4);
}

SEC("tracepoint/syscalls/sys_exit_openat")
int event_exit(struct exit_event *ctx)
{
	return end(ctx->ret, open_family((__s32)ctx->nr, false));
}

/* All of the family but open_by_handle_at come to this function; which it is the registers tell. */
static __always_inline void openat2_args(struct open_args *a, __u64 dfd, __u64 name, __u64 how)
{
	struct caller c;

	caller_read(&c, (struct task_struct *)bpf_get_current_task());
	a->how = c.how;
	a->dirfd = dfd;
	a->path = name;
	a->how_at = how;
	a->kernel_how = 1;
}

#if defined(__TARGET_ARCH_x86)
#define KPROBE_ARG0(from) BPF_CORE_READ(from, di)
#define KPROBE_ARG1(from) BPF_CORE_READ(from, si)
#define KPROBE_ARG2(from) BPF_CORE_READ(from, dx)
#define KPROBE_ARG3(from) BPF_CORE_READ(from, cx)
#define KPROBE_RET(from) BPF_CORE_READ(from, ax)
#else
#define KPROBE_ARG0(from) BPF_CORE_READ(from, user_regs.regs[0])
#define KPROBE_ARG1(from) BPF_CORE_READ(from, user_regs.regs[1])
#define KPROBE_ARG2(from) BPF_CORE_READ(from, user_regs.regs[2])
#define KPROBE_ARG3(from) BPF_CORE_READ(from, user_regs.regs[3])
#define KPROBE_RET(from) BPF_CORE_READ(from, user_regs.regs[0])
#endif

/* The struct open_how is on the kernel's stack, and gone at the return. */
SEC("kprobe/do_sys_openat2")
int kprobe_openat2(struct pt_regs *ctx)
{
	struct open_args a = {};

	openat2_args(&a, KPROBE_ARG0(ctx), KPROBE_ARG1(ctx), KPROBE_ARG2(ctx));
	how_read(&a);
	a.how_at = 0;
	return begin(&a);
}

SEC("kprobe/do_sys_open")
int kprobe_open(struct pt_regs *ctx)
{
	struct open_args a = {};
	struct caller c;

	a.dirfd = KPROBE_ARG0(ctx);
	a.path = KPROBE_ARG1(ctx);
	a.flags = (__u32)KPROBE_ARG2(ctx);
	a.mode = KPROBE_ARG3(ctx);
	caller_read(&c, (struct task_struct *)bpf_get_current_task());
	a.how = c.how;
	return begin(&a);
}

SEC("kretprobe/do_sys_openat2")
int kprobe_exit(struct pt_regs *ctx)
{
	return end((__s32)KPROBE_RET(ctx), 0);
}

/* Notes only when: what else there is to know is known at the end. */
static __always_inline int begin_bare(__u64 which)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!*(volatile __u64 *)&closing && traced())
		time_note((__u64)task + which);
	return 0;
}

SEC("fentry/do_sys_openat2")
int fentry_call(__u64 *ctx)
{
	return begin_bare(OF_CALL);
}

SEC("fentry/do_handle_open")
int fentry_handle(__u64 *ctx)
{
	return begin_bare(OF_CALL);
}

/* The end of a function behind the system calls, of which the arguments are known. */
SHARED int call_end(struct open_args *a, long ret, __u32 slot)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct open_buffer *b;
	__u64 time = 0;
	bool timed;

	timed = (want & WANT_TIME) && time_take((__u64)task, &time);
	if (!timed && (((want & WANT_TIME) && *(volatile __u64 *)&closing) || !traced()))
		return 0;
	if (want_failed && ret >= 0)
		goto out;
	b = ended(slot, ret);
	if (!b)
		goto out;
	if (is_compat(task))
		a->marks |= FILE_COMPAT;
	a->time = time;
	b->a = *a;
	finish(slot);
out:
	if (timed)
		over();
	return 0;
}

SEC("fexit/do_sys_openat2")
int fexit_openat2(__u64 *ctx)
{
	struct open_args a = {};

	openat2_args(&a, ctx[0], ctx[1], ctx[2]);
	return call_end(&a, (__s32)ctx[3], AT_CALL); /* in 7.2 it is an int, and what is above is anything */
}

SEC("fexit/do_handle_open")
int fexit_handle(__u64 *ctx)
{
	struct open_args a = {};

	a.dirfd = ctx[0];
	a.flags = (__u32)ctx[2];
	a.how = BY_HANDLE;
	return call_end(&a, (__s32)ctx[3], AT_HANDLE);
}

#endif
