// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// An iterator: a line for each task of one process.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct seq_file;
struct task_struct {
	int pid, tgid;
};
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
#pragma clang attribute pop

const volatile int target = 0;

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task || task->tgid != target)
		return 0;
	BPF_SEQ_PRINTF(ctx->meta->seq, "task %d of %d\n", task->pid, task->tgid);
	return 0;
}
