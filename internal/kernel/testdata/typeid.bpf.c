// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A relocation that a reduced copy of the kernel's types cannot serve: the kernel's own ID of a type. */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct { int pid; } __attribute__((preserve_access_index));

SEC("raw_tp/sched_process_exec")
int id(void *ctx)
{
	return bpf_core_type_id_kernel(struct task_struct);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
