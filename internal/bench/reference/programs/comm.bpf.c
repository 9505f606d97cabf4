// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* @[comm] = count() */
#include "reference.h"

struct name {
	char text[16];
};

COUNTS(BPF_MAP_TYPE_PERCPU_HASH, struct name, MAX_KEYS);

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	struct name key;

	if (!TARGETED())
		return 0;
	bpf_get_current_comm(key.text, sizeof(key.text));
	count(&counts, &key);
	return 0;
}
