// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A dump of execs in the style of goebpf: maps as structs in a section "maps", with goebpf's two pointers behind the usual five
// words; a buffer in a per-CPU array; each of up to 20 arguments in a record of its own; the function of the system call by guess.
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(NAME) __attribute__((section(NAME), used))

struct bpf_map_def {
	u32 map_type, key_size, value_size, max_entries, map_flags;
	void *inner_map_def;
	const char *persistent_path;
};
#define BPF_MAP_DEF(name) struct bpf_map_def SEC("maps") name

static void *(*map_lookup)(const void *map, const void *key) = (void *)1;
static u64 (*current_pid_tgid)(void) = (void *)14;
static int (*current_comm)(void *buf, int size) = (void *)16;
static int (*perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static int (*probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static int (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static int (*probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;

#define ARGS 20
#define ARGSIZE 128

struct exec_arg {
	u32 pid;
	u32 number;
	char comm[16];
	char text[ARGSIZE];
};

struct exec_arg *unused_exec_arg __attribute__((unused));

BPF_MAP_DEF(perf_events) = {
	.map_type = 4, // perf event array
	.max_entries = 128,
	.key_size = 4,
	.value_size = 4,
};

BPF_MAP_DEF(buffers) = {
	.map_type = 6, // per-CPU array
	.key_size = 4,
	.value_size = sizeof(struct exec_arg),
	.max_entries = 1,
	.persistent_path = "/sys/fs/bpf/exec_buffers",
};

// What the kernel's function of a system call is given: the registers of the caller.
struct regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
};

SEC("kprobe/guess_execve")
int execve_entry(struct regs *ctx)
{
	struct exec_arg *e;
	struct regs *caller = (void *)ctx->di;
	const char *const *argv = 0;
	const char *arg;
	u32 zero = 0;

	e = map_lookup(&buffers, &zero);
	if (!e)
		return 0;
	e->pid = current_pid_tgid() >> 32;
	current_comm(e->comm, sizeof(e->comm));
	probe_read_kernel(&argv, sizeof(argv), &caller->si);
#pragma clang loop unroll(full)
	for (int i = 0; i < ARGS; i++) {
		arg = 0;
		if (probe_read_user(&arg, sizeof(arg), &argv[i]) < 0 || !arg)
			return 0;
		e->number = i;
		if (probe_read_user_str(e->text, sizeof(e->text), arg) < 0)
			return 0;
		perf_event_output(ctx, &perf_events, 0xffffffffULL, e, sizeof(*e));
	}
	return 0;
}

char _license[] SEC("license") = "GPL";
