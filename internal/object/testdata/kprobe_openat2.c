// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A tracer of opens by the function that all of them come to.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

struct open_event {
	unsigned int pid;
	int dirfd;
	char comm[16];
	char filename[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
	__type(value, struct open_event);
} opens SEC(".maps");

SEC("kprobe/do_sys_openat2")
int BPF_KPROBE(on_open, int dirfd, const char *filename)
{
	struct open_event *e = bpf_ringbuf_reserve(&opens, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->dirfd = dirfd;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_probe_read_user_str(e->filename, sizeof(e->filename), filename);
	bpf_ringbuf_submit(e, 0);
	return 0;
}
