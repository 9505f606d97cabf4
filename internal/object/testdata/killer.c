// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A blocker as tutorials write them: who opens a file of one name is killed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

char forbidden[32] = "/nothing";

struct killed {
	unsigned int pid;
	char comm[16];
	char filename[32];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, struct killed);
} killed SEC(".maps");

struct enter_openat {
	unsigned long long common, nr, dirfd;
	const char *filename;
};

SEC("tp/syscalls/sys_enter_openat")
int kill_openers(struct enter_openat *ctx)
{
	struct killed *k;
	char name[32] = {};

	bpf_probe_read_user_str(name, sizeof(name), ctx->filename);
	for (int i = 0; i < sizeof(name); i++) {
		if (name[i] != forbidden[i])
			return 0;
		if (!name[i])
			break;
	}
	bpf_send_signal(9);
	k = bpf_ringbuf_reserve(&killed, sizeof(*k), 0);
	if (!k)
		return 0;
	k->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(k->comm, sizeof(k->comm));
	__builtin_memcpy(k->filename, name, sizeof(name));
	bpf_ringbuf_submit(k, 0);
	return 0;
}
