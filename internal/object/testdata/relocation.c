// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// It reads a member that no kernel has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "GPL";

struct task_struct {
	int no_kernel_has_this;
} __attribute__((preserve_access_index));

SEC("tp/syscalls/sys_enter_getppid")
int reads_a_member(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, no_kernel_has_this);
}
