// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A predicate on pid that never holds. */
#include "reference.h"

COUNTS(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, 1);

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	const __u32 key = 0;

	if (bpf_get_current_pid_tgid() >> 32 == target + 1000000000)
		count(&counts, &key);
	return 0;
}
