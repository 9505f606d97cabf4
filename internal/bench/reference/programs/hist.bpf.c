// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* @start[tid] = nsecs, then @ = hist(nsecs - @start[tid]); delete(@start[tid]) */
#include "reference.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_KEYS);
	__type(key, __u32);
	__type(value, __u64);
} start SEC(".maps");

COUNTS(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, 65);

/* log2 is the number of bits of v: 0 for 0. */
static __always_inline __u32 log2(__u64 v)
{
	__u32 bits = 0;

	if (v >> 32) {
		v >>= 32;
		bits += 32;
	}
	if (v >> 16) {
		v >>= 16;
		bits += 16;
	}
	if (v >> 8) {
		v >>= 8;
		bits += 8;
	}
	if (v >> 4) {
		v >>= 4;
		bits += 4;
	}
	if (v >> 2) {
		v >>= 2;
		bits += 2;
	}
	if (v >> 1) {
		v >>= 1;
		bits += 1;
	}
	return bits + v;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	const __u64 id = bpf_get_current_pid_tgid();
	const __u32 tid = id;
	__u64 now;

	if (id >> 32 != target)
		return 0;
	now = bpf_ktime_get_ns();
	bpf_map_update_elem(&start, &tid, &now, 0);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_getppid")
int leave(void *ctx)
{
	const __u32 tid = bpf_get_current_pid_tgid();
	__u64 *begin = bpf_map_lookup_elem(&start, &tid);
	__u32 bucket;

	if (!begin)
		return 0;
	bucket = log2(bpf_ktime_get_ns() - *begin);
	count(&counts, &bucket);
	bpf_map_delete_elem(&start, &tid);
	return 0;
}
