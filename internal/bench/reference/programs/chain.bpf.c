// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A predicate on the process and its grandparent that never holds. */
#include "reference.h"

struct task_struct {
	struct task_struct *real_parent;
	int tgid;
} __attribute__((preserve_access_index));

COUNTS(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, 1);

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	const __u32 key = 0;
	struct task_struct *task;

	if (!TARGETED())
		return 0;
	task = (struct task_struct *)bpf_get_current_task_btf();
	if (task->real_parent->real_parent->tgid == 999999999)
		count(&counts, &key);
	return 0;
}
