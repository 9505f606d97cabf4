// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A tracer of a static probe, with libbpf's usdt.bpf.h. Where the probe is, is said when it is run.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

char LICENSE[] SEC("license") = "GPL";

extern int LINUX_KERNEL_VERSION __kconfig;

struct step {
	long args[6];
	int count;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, struct step);
} steps SEC(".maps");

SEC("usdt")
int on_step(struct pt_regs *ctx)
{
	struct step *s = bpf_ringbuf_reserve(&steps, sizeof(*s), 0);

	if (!s)
		return 0;
	if (LINUX_KERNEL_VERSION < 0x50f00) { // that there are cookies is not all that is asked
		bpf_ringbuf_discard(s, 0);
		return 0;
	}
	__builtin_memset(s, 0, sizeof(*s));
	s->count = bpf_usdt_arg_cnt(ctx);
	bpf_usdt_arg(ctx, 0, &s->args[0]);
	bpf_usdt_arg(ctx, 1, &s->args[1]);
	bpf_usdt_arg(ctx, 2, &s->args[2]);
	bpf_usdt_arg(ctx, 3, &s->args[3]);
	bpf_usdt_arg(ctx, 4, &s->args[4]);
	bpf_usdt_arg(ctx, 5, &s->args[5]);
	bpf_ringbuf_submit(s, 0);
	return 0;
}
