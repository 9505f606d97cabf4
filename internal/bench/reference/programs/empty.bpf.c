// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Nothing at all: what a tracepoint costs by itself. */
#include "reference.h"

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	return 0;
}
