/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the reference programs share. Each does what one script does, as one would write it in C for speed: per-CPU
 * maps with values added to in place, and direct loads through typed pointers.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_RINGBUF = 27,
};

#include <bpf/bpf_helpers.h>

/* The process whose calls count; the loader sets it. */
const volatile __u32 target;

#define TARGETED() ((__u32)(bpf_get_current_pid_tgid() >> 32) == target)

/* as many keys as scripts have by default */
#define MAX_KEYS 4096

/* COUNTS declares the map that the loader sums up and prints at the end. */
#define COUNTS(map_type, key_type, entries)		\
	struct {					\
		__uint(type, map_type);			\
		__uint(max_entries, entries);		\
		__type(key, key_type);			\
		__type(value, __u64);			\
	} counts SEC(".maps")

static __always_inline void count(void *map, const void *key)
{
	const __u64 one = 1;
	__u64 *value = bpf_map_lookup_elem(map, key);

	if (value)
		(*value)++;
	else
		bpf_map_update_elem(map, key, &one, 0);
}

char licence[] SEC("license") = "GPL";

#endif
