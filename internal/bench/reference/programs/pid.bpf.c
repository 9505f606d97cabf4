// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* @[pid] = count() */
#include "reference.h"

COUNTS(BPF_MAP_TYPE_PERCPU_HASH, __u32, MAX_KEYS);

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	const __u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (pid == target)
		count(&counts, &pid);
	return 0;
}
