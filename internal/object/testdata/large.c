// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A map that no machine has memory for.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 30);
	__uint(key_size, 4);
	__uint(value_size, 1 << 20);
} enormous SEC(".maps");

SEC("tp/syscalls/sys_enter_getppid")
int fills(void *ctx)
{
	int key = 1;

	return bpf_map_lookup_elem(&enormous, &key) != 0;
}
