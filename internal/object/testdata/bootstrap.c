// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// In the style of libbpf-bootstrap's main example: exec and exit through a ring buffer, durations by a hash map, kernel types by
// CO-RE, settings as constants.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct task_struct {
	int tgid;
	struct task_struct *real_parent;
	int exit_code;
} __attribute__((preserve_access_index));

struct trace_event_raw_sched_process_exec {
	unsigned int __data_loc_filename;
} __attribute__((preserve_access_index));

struct event {
	int pid;
	int ppid;
	unsigned int exit_code;
	unsigned long long duration_ns;
	char comm[16];
	char filename[127];
	bool exit_event;
};

const struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, int);
	__type(value, unsigned long long);
} exec_start SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} rb SEC(".maps");

const volatile unsigned long long min_duration_ns = 0;
// Only the children of this process; 0 is all.
const volatile int parent = 0;

static int parent_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, real_parent, tgid);
}

SEC("tp/sched/sched_process_exec")
int handle_exec(struct trace_event_raw_sched_process_exec *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int pid = bpf_get_current_pid_tgid() >> 32, ppid = parent_of(task);
	unsigned long long now = bpf_ktime_get_ns();
	struct event *e;

	if (parent && ppid != parent)
		return 0;
	bpf_map_update_elem(&exec_start, &pid, &now, BPF_ANY);
	if (min_duration_ns)
		return 0;
	e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->pid = pid;
	e->ppid = ppid;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_probe_read_str(e->filename, sizeof(e->filename), (void *)ctx + (ctx->__data_loc_filename & 0xffff));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tp/sched/sched_process_exit")
int handle_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	unsigned long long id = bpf_get_current_pid_tgid(), *began, lived = 0;
	int pid = id >> 32, ppid = parent_of(task);
	struct event *e;

	if ((int)id != pid || (parent && ppid != parent))
		return 0;
	began = bpf_map_lookup_elem(&exec_start, &pid);
	if (began)
		lived = bpf_ktime_get_ns() - *began;
	else if (min_duration_ns)
		return 0;
	bpf_map_delete_elem(&exec_start, &pid);
	if (lived < min_duration_ns)
		return 0;
	e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->exit_event = true;
	e->duration_ns = lived;
	e->pid = pid;
	e->ppid = ppid;
	e->exit_code = (BPF_CORE_READ(task, exit_code) >> 8) & 0xff;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}
