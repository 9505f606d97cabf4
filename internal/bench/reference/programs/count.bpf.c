// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* @ = count() */
#include "reference.h"

COUNTS(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, 1);

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	const __u32 key = 0;

	if (TARGETED())
		count(&counts, &key);
	return 0;
}
