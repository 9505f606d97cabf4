// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A program for each kind of section that a kernel may or may not have; each counts how often it ran for one process. Those that may
// sleep call what only such programs may.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

#if defined(__TARGET_ARCH_x86)
#define GETPGID "__x64_sys_getpgid"
#else
#define GETPGID "__arm64_sys_getpgid"
#endif

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));
struct task_struct {
	int pid, tgid;
} __attribute__((preserve_access_index));
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

int target = 0;

#define COUNTS(name, section)                                   \
	int ran_##name = 0;                                     \
	SEC(section)                                            \
	int name(void *ctx)                                     \
	{                                                       \
		if (bpf_get_current_pid_tgid() >> 32 == target) \
			__sync_fetch_and_add(&ran_##name, 1);   \
		return 0;                                       \
	}

#define SLEEPS(name, section)                                   \
	int ran_##name = 0;                                     \
	SEC(section)                                            \
	int name(void *ctx)                                     \
	{                                                       \
		char c;                                         \
		bpf_copy_from_user(&c, 1, (void *)0);           \
		if (bpf_get_current_pid_tgid() >> 32 == target) \
			__sync_fetch_and_add(&ran_##name, 1);   \
		return 0;                                       \
	}

COUNTS(call, "ksyscall/getppid")
COUNTS(call_return, "kretsyscall/getppid")
COUNTS(multi, "kprobe.multi/security_file_op*")
COUNTS(multi_return, "kretprobe.multi/security_file_open")
COUNTS(session, "kprobe.session/security_file_open")
COUNTS(user_multi, "uprobe.multi")
COUNTS(user_multi_return, "uretprobe.multi")
SLEEPS(user_sleeps, "uprobe.s")
SLEEPS(user_return_sleeps, "uretprobe.s")
SLEEPS(user_multi_sleeps, "uprobe.multi.s")
SLEEPS(hook_sleeps, "lsm.s/file_open")
SLEEPS(entry_sleeps, "fentry.s/" GETPGID)
SLEEPS(exit_sleeps, "fexit.s/" GETPGID)
SLEEPS(modify_sleeps, "fmod_ret.s/" GETPGID)

SEC("iter.s/task")
int iterator_sleeps(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	char c;

	if (!task || task->tgid != target)
		return 0;
	bpf_copy_from_user(&c, 1, (void *)0);
	BPF_SEQ_PRINTF(ctx->meta->seq, "task of %d\n", task->tgid);
	return 0;
}
