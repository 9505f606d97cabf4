// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A section that nobody knows, one of the network, one without a place, and one that is only loaded when asked for.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("nonsense/x")
int unknown(void *ctx) { return 0; }

SEC("xdp")
int packet(struct xdp_md *ctx) { return XDP_PASS; }

SEC("kprobe")
int nowhere(void *ctx) { return 0; }

SEC("?raw_tp/sys_enter")
int optional(void *ctx) { return 0; }

SEC("usdt/libc.so.6:libc:setjmp")
int static_probe(void *ctx) { return 0; }
