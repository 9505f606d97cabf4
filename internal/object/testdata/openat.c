// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A tracer of openat in the style of bpf2go's examples: the tracepoint, a perf event array, the struct kept in the types by a
// global pointer to it. Records are as long as the name.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char __license[] SEC("license") = "Dual MIT/GPL";

struct event {
	unsigned int pid;
	unsigned int flags;
	char comm[16];
	char filename[256];
};

struct event *unused_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, unsigned int);
	__type(value, unsigned long long);
} opens SEC(".maps");

const volatile unsigned int target = 0;

struct enter_openat {
	unsigned long long common, nr, dirfd;
	const char *filename;
	unsigned long long flags, mode;
};

SEC("tracepoint/syscalls/sys_enter_openat")
int trace_openat(struct enter_openat *ctx)
{
	unsigned int pid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct event e = {};
	unsigned long long *n;

	if (target && pid != target)
		return 0;
	n = bpf_map_lookup_elem(&opens, &zero);
	if (n)
		*n += 1;
	e.pid = pid;
	e.flags = ctx->flags;
	bpf_get_current_comm(e.comm, sizeof(e.comm));
	bpf_probe_read_user_str(e.filename, sizeof(e.filename), ctx->filename);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &e, sizeof(e));
	return 0;
}
