// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Nothing at all, on entry and on return: what it costs to be told of an open by two tracepoints. */
#include "reference.h"

SEC("tracepoint/syscalls/sys_enter_openat")
int enter(void *ctx)
{
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int leave(void *ctx)
{
	return 0;
}
