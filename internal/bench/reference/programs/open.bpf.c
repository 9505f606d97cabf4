// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* printf("%s %s\n", comm, str(args->filename)) */
#include "reference.h"
#include "event.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct openat {
	__u64 common;
	__u64 nr;
	__u64 dfd;
	const char *filename;
};

SEC("tracepoint/syscalls/sys_enter_openat")
int enter(struct openat *ctx)
{
	struct event *event;

	if (!TARGETED())
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	bpf_probe_read_user_str(event->path, sizeof(event->path), ctx->filename);
	bpf_ringbuf_submit(event, 0);
	return 0;
}
