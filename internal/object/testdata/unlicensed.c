// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// No licence, and a helper that only programs under the GPL may call.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp/syscalls/sys_enter_getppid")
int reads(void *ctx)
{
	unsigned long long word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), ctx);
	return word != 0;
}
