// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The verifier refuses it: what a look-up gives is not looked at before it is used.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, int);
	__type(value, int);
} numbers SEC(".maps");

SEC("raw_tp/sys_enter")
int careless(void *ctx)
{
	int key = 1, *value = bpf_map_lookup_elem(&numbers, &key);

	*value += 1;
	return 0;
}
