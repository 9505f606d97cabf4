//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * sonde exec: one record for each execve and execveat, sent when it returns.
 *
 *   sys_enter           remembers when it began and where the caller's strings are
 *   sched_process_exec  marks that the new program is in place, and catches execs whose start was not seen
 *   sys_exit            reads what is left to read, sends the record, forgets
 *   sched_process_exit  forgets what did not come to its end
 *
 * A program that is preempted (possible in these tracepoints from 6.19 on) is not run for other tasks of its CPU until
 * it is done: the kernel leaves those runs out, and counts them. So each of the programs makes up for one that was left
 * out: sched_process_exec for sys_enter, the next sys_exit of the task for that of the exec.
 *
 * The start is kept under the address of the task, not its tid: when another thread than the leader execs, its tid
 * changes on the way. Raw tracepoints see 32-bit callers and programs too, which the syscalls:* events do not.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "target.bpf.h"
#include "exec.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define LOST_RING 0  /* the ring was full */
#define LOST_TABLE 1 /* too many execs under way at once */
#define LOST_ARGS 2  /* the ring was full: the record is there, arguments are missing */
#define LOST_END 3   /* the return was not seen, nor anything later that could stand for it */

#define WANT_PATHS 1 /* exe, cwd, device and inode */
#define WANT_IDS 2   /* euid, gid, parent's comm, cgroup, namespaces, tty, session */

const volatile __u32 want = 0;
const volatile __u32 want_failed = 0;
const volatile __u32 max_arg_bytes = 128 * 1024;

#define PATH_MAX 4096
#define NAME_MAX 256
#define PATH_DEPTH 64
#define CHUNK 8192
#define DATA (3 * PATH_MAX + CHUNK)

#if defined(__TARGET_ARCH_x86)
#define NR_EXECVE 59
#define NR_EXECVEAT 322
#define NR_COMPAT_EXECVE 11
#define NR_COMPAT_EXECVEAT 358
#define TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h */
#else
#define NR_EXECVE 221
#define NR_EXECVEAT 281
#define NR_COMPAT_EXECVE 11
#define NR_COMPAT_EXECVEAT 387
#define MMCF_AARCH32 1 /* arch/arm64/include/asm/mmu.h */
#endif

struct exec_start {
	__u64 time;
	__u64 in_place; /* when the new program was; 0: it is not */
	__u64 filename; /* user pointers, good until the new program is in place */
	__u64 argv;
	__u32 tid;
	__u16 flags;
	__u16 compat_caller;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct exec_start);
} starts SEC(".maps");

struct exec_buffer {
	struct exec_record r;
	char data[DATA];
};

struct args_buffer {
	struct args_record r;
	char data[2 * CHUNK]; /* twice: the verifier adds the largest offset and the largest length */
};

/* Scratch of one value per CPU will do: only exec_exit and what it tail calls use it, and that never runs twice on a CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_buffer);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct args_buffer);
} args_scratch SEC(".maps");

/*
 * Execs under way among those traced. It makes sys_exit cheap: while it is 0, one load and out. User space reads it
 * too: when it was 0 before a drain, nothing older than the drain can still come.
 */
__u64 in_flight = 0;

/* in_flight goes up before the time is taken: where it reads 0, nothing that began earlier is still under way. */
static __always_inline int start_put(__u64 key, struct exec_start *s)
{
	__sync_fetch_and_add(&in_flight, 1);
	s->time = bpf_ktime_get_ns();
	if (!bpf_map_update_elem(&starts, &key, s, BPF_NOEXIST))
		return 0;
	__sync_fetch_and_add(&in_flight, -1);
	return bpf_map_update_elem(&starts, &key, s, BPF_ANY);
}

static __always_inline bool is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
#else
	return BPF_CORE_READ(task, mm, context.flags) & MMCF_AARCH32;
#endif
}

#if defined(__TARGET_ARCH_x86)
/* Whether a task returns from execve or execveat: the number of the system call outlives the exec in its registers. */
static __always_inline bool returns_from_exec(struct task_struct *task, struct pt_regs *regs)
{
	long nr = BPF_CORE_READ(regs, orig_ax);

	if (is_compat(task))
		return nr == NR_COMPAT_EXECVE || nr == NR_COMPAT_EXECVEAT;
	return nr == NR_EXECVE || nr == NR_EXECVEAT;
}

#define ARG(regs, native, compat, is) ((is) ? (__u32)BPF_CORE_READ(regs, compat) : BPF_CORE_READ(regs, native))
#define ARG0(regs, is) ARG(regs, di, bx, is)
#define ARG1(regs, is) ARG(regs, si, cx, is)
#define ARG2(regs, is) ARG(regs, dx, dx, is)
#else
static __always_inline bool returns_from_exec(struct task_struct *task, struct pt_regs *regs)
{
	int nr = BPF_CORE_READ(regs, syscallno);

	if (is_compat(task))
		return nr == NR_COMPAT_EXECVE || nr == NR_COMPAT_EXECVEAT;
	return nr == NR_EXECVE || nr == NR_EXECVEAT;
}

#define ARG0(regs, is) BPF_CORE_READ(regs, orig_x0)
#define ARG1(regs, is) BPF_CORE_READ(regs, user_regs.regs[1])
#define ARG2(regs, is) BPF_CORE_READ(regs, user_regs.regs[2])
#endif

SEC("raw_tp/sys_enter")
int exec_enter(struct bpf_raw_tracepoint_args *ctx)
{
	long nr = ctx->args[1];
	struct exec_start s = {};
	struct task_struct *task;
	struct pt_regs *regs;
	bool at, compat;

	/* Every system call of the host comes by here: out as early as can be. */
	if (nr == NR_EXECVE || nr == NR_EXECVEAT) {
		compat = false;
		at = nr == NR_EXECVEAT;
	} else if (nr == NR_COMPAT_EXECVE || nr == NR_COMPAT_EXECVEAT) {
		compat = true;
		at = nr == NR_COMPAT_EXECVEAT;
	} else {
		return 0;
	}
	task = (struct task_struct *)bpf_get_current_task();
	if (is_compat(task) != compat)
		return 0; /* the same number means something else */
	if (!target_match(task))
		return 0;
	regs = (struct pt_regs *)ctx->args[0];
	if (at) {
		s.filename = ARG1(regs, compat);
		s.argv = ARG2(regs, compat);
	} else {
		s.filename = ARG0(regs, compat);
		s.argv = ARG1(regs, compat);
	}
	s.tid = bpf_get_current_pid_tgid();
	s.compat_caller = compat;
	if (start_put((__u64)task, &s) && want_failed)
		count_lost(LOST_TABLE);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int exec_commit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct exec_start fresh = {};
	struct exec_start *s;
	__u64 key = (__u64)task;
	__u16 flags = 0;

	s = bpf_map_lookup_elem(&starts, &key);
	if (!s && !target_match(task))
		return 0;
	if (BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename))
		flags |= EXEC_SCRIPT;
	if (s) {
		s->flags = flags;
		s->in_place = bpf_ktime_get_ns();
		return 0;
	}
	/* By the kernel itself (a user mode helper), or begun before the probes were on, or the table was full. */
	fresh.tid = ctx->args[1];
	fresh.flags = flags | EXEC_UNTIMED;
	fresh.in_place = bpf_ktime_get_ns();
	if (start_put(key, &fresh))
		count_lost(LOST_TABLE);
	return 0;
}

/*
 * What a loop does in one turn is a global function without arguments, its state in a per-CPU value: the verifier looks
 * at such a function once, and at the loop around it as at so many calls. Inlined, every turn is verified anew, for
 * every way through it: half a second of start-up was measured.
 */
#define TURN __attribute__((noinline)) int

enum turn { TURN_MORE, TURN_DONE, TURN_CUT };

struct path_walk {
	__u64 dentry;
	__u64 mount;
	__u64 root; /* of that mount */
	__u64 off;  /* into the scratch data */
	__u64 limit;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path_walk);
} path_walks SEC(".maps");

/* One name of a path, or one step from the root of a mount to where it is mounted. */
TURN path_turn(void)
{
	struct dentry *d, *up;
	struct mount *m, *over;
	struct exec_buffer *b;
	struct path_walk *w;
	__u32 zero = 0;
	__u64 off;
	long n;

	b = bpf_map_lookup_elem(&scratch, &zero);
	w = bpf_map_lookup_elem(&path_walks, &zero);
	if (!b || !w)
		return TURN_CUT;
	d = (struct dentry *)w->dentry;
	if (w->dentry == w->root) {
		m = (struct mount *)w->mount;
		over = BPF_CORE_READ(m, mnt_parent);
		if (over == m)
			return TURN_DONE;
		w->dentry = (__u64)BPF_CORE_READ(m, mnt_mountpoint);
		w->mount = (__u64)over;
		w->root = (__u64)BPF_CORE_READ(over, mnt.mnt_root);
		return TURN_MORE;
	}
	off = w->off;
	if (off > w->limit)
		return TURN_CUT;
	barrier_var(off); /* or clang folds the two checks into one that the verifier cannot follow */
	if (off > 3 * PATH_MAX - NAME_MAX)
		return TURN_CUT;
	n = bpf_probe_read_kernel_str(b->data + off, NAME_MAX, BPF_CORE_READ(d, d_name.name));
	if (n < 0)
		return TURN_CUT;
	w->off = off + (n & (2 * NAME_MAX - 1));
	up = BPF_CORE_READ(d, d_parent);
	if (up == d) {
		b->r.flags |= EXEC_DETACHED;
		return TURN_DONE;
	}
	w->dentry = (__u64)up;
	return TURN_MORE;
}

/*
 * Appends the names from a dentry up to the root of the mount namespace to the scratch data at off, the innermost first.
 * Returns the new offset.
 */
static __noinline __u64 path_put(__u64 dentry, __u64 vfsmnt, __u64 off)
{
	struct mount *m = (struct mount *)(vfsmnt - bpf_core_field_offset(struct mount, mnt));
	struct exec_buffer *b;
	struct path_walk *w;
	__u32 zero = 0;
	int i, state = TURN_MORE;

	b = bpf_map_lookup_elem(&scratch, &zero);
	w = bpf_map_lookup_elem(&path_walks, &zero);
	if (!b || !w)
		return off;
	w->dentry = dentry;
	w->mount = (__u64)m;
	w->root = (__u64)BPF_CORE_READ(m, mnt.mnt_root);
	w->off = off;
	w->limit = off + PATH_MAX - NAME_MAX;
	for (i = 0; i < PATH_DEPTH; i++) {
		state = path_turn();
		if (state != TURN_MORE)
			break;
	}
	if (state != TURN_DONE)
		b->r.flags |= EXEC_PATHS_CUT;
	return w->off;
}

static __always_inline __u64 put_paths(struct exec_buffer *b, struct task_struct *task, struct mm_struct *mm, __u64 off)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct file *exe = mm ? BPF_CORE_READ(mm, exe_file) : 0;
	struct inode *inode;
	__u64 end;
	__u32 detached;

	if (exe) {
		inode = BPF_CORE_READ(exe, f_inode);
		b->r.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		b->r.ino = BPF_CORE_READ(inode, i_ino);
		if (BPF_CORE_READ(inode, i_nlink) == 0)
			b->r.flags |= EXEC_NOLINK;
		end = path_put((__u64)BPF_CORE_READ(exe, f_path.dentry), (__u64)BPF_CORE_READ(exe, f_path.mnt), off);
		b->r.exe_len = end - off;
		off = end;
	}
	detached = b->r.flags & EXEC_DETACHED;
	if (fs) {
		end = path_put((__u64)BPF_CORE_READ(fs, pwd.dentry), (__u64)BPF_CORE_READ(fs, pwd.mnt), off);
		b->r.cwd_len = end - off;
		off = end;
	}
	/* The flag is the executable's; that of a removed working directory is not kept. */
	if (!detached)
		b->r.flags &= ~EXEC_DETACHED;
	return off;
}

static __always_inline void put_ids(struct exec_record *r, struct task_struct *task, const struct cred *cred)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct pid *session = BPF_CORE_READ(task, signal, pids[PIDTYPE_SID]);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	struct upid *innermost;
	__u32 level = BPF_CORE_READ(pid, level);

	r->flags |= EXEC_IDS;
	r->euid = BPF_CORE_READ(cred, euid.val);
	r->gid = BPF_CORE_READ(cred, gid.val);
	r->cgroup_id = bpf_get_current_cgroup_id();
	r->css_set = (__u64)BPF_CORE_READ(task, cgroups);
	r->mntns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	innermost = (struct upid *)((void *)pid + bpf_core_field_offset(struct pid, numbers) +
				    level * bpf_core_type_size(struct upid));
	r->pidns = BPF_CORE_READ(innermost, ns, ns.inum);
	r->sid = BPF_CORE_READ(session, numbers[0].nr);
	BPF_CORE_READ_STR_INTO(&r->pcomm, task, real_parent, comm);
	r->tty[0] = 0;
	if (tty)
		BPF_CORE_READ_STR_INTO(&r->tty, tty, name);
}

/* Sends len bytes of arguments that lie in b->data, as a continuation of the exec record seq. */
static __always_inline void args_send(struct args_buffer *b, __u64 seq, __u64 time, __u64 len, __u32 flags, bool last)
{
	/* 64 bits wide: a 32-bit sum is shifted up and down again, and the verifier of 5.10 loses its bounds there. */
	barrier_var(len);
	if (len > CHUNK)
		len = CHUNK;
	b->r.h.time = time;
	b->r.seq = seq;
	b->r.len = len;
	b->r.last = last;
	b->r.flags = flags;
	b->r.pad = 0;
	record_send(&b->r.h, sizeof(b->r) + len, sizeof(*b), RECORD_ARGS, LOST_ARGS);
}

/*
 * What does not go with the record itself is sent by two programs that are tail called and call themselves: a loop
 * is verified turn by turn, so the turns of one program are few, and 33 calls in a row make them many.
 */
#define TURNS 32
#define WALK_TURNS 128
#define CALLS 32
#define REST 0 /* the slots of `walkers` */
#define WALK 1

int exec_rest(struct bpf_raw_tracepoint_args *ctx);
int exec_walk(struct bpf_raw_tracepoint_args *ctx);

struct walk {
	__u64 ptr;   /* where to read next: the arguments themselves, or the next pointer of argv */
	__u64 at;    /* inside a string that did not fit: where it goes on; else 0 */
	__u64 seq;   /* of the exec record */
	__u64 time;
	__u64 off;   /* fill of the chunk */
	__u32 bytes; /* of arguments: still to be sent, or already seen */
	__u32 index;
	__u32 flags;
	__u32 compat;
	__u32 calls;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, int(void *));
} walkers SEC(".maps") = {
	.values = {
		[REST] = (void *)&exec_rest,
		[WALK] = (void *)&exec_walk,
	},
};

static __always_inline struct walk *walk_begin(struct args_buffer *b, __u64 seq, __u64 time)
{
	__u32 zero = 0;
	struct walk *w = bpf_map_lookup_elem(&walks, &zero);

	if (!w)
		return 0;
	b->r.unreadable = 0;
	w->at = 0;
	w->seq = seq;
	w->time = time;
	w->off = 0;
	w->bytes = 0;
	w->index = 0;
	w->flags = 0;
	w->compat = 0;
	w->calls = 0;
	return w;
}

/* One chunk of what is left of the arguments. */
TURN rest_turn(void)
{
	struct args_buffer *b;
	struct walk *w;
	__u32 zero = 0;
	__u64 len;

	b = bpf_map_lookup_elem(&args_scratch, &zero);
	w = bpf_map_lookup_elem(&walks, &zero);
	if (!b || !w)
		return TURN_DONE;
	len = w->bytes;
	barrier_var(len);
	if (len > CHUNK)
		len = CHUNK;
	if (len && bpf_probe_read_user(b->data, len, (void *)w->ptr)) {
		w->flags |= EXEC_ARGS_FAULT;
		args_send(b, w->seq, w->time, 0, w->flags, true);
		return TURN_DONE;
	}
	w->ptr += len;
	w->bytes -= len;
	args_send(b, w->seq, w->time, len, 0, w->bytes == 0);
	return w->bytes ? TURN_MORE : TURN_DONE;
}

SEC("raw_tp/sys_exit")
int exec_rest(struct bpf_raw_tracepoint_args *ctx)
{
	struct args_buffer *b;
	struct walk *w;
	__u32 zero = 0;
	int i;

	b = bpf_map_lookup_elem(&args_scratch, &zero);
	w = bpf_map_lookup_elem(&walks, &zero);
	if (!b || !w)
		return 0;
	for (i = 0; i < TURNS; i++) {
		if (rest_turn() != TURN_MORE)
			goto out;
	}
	if (w->calls++ < CALLS)
		bpf_tail_call(ctx, &walkers, REST);
	args_send(b, w->seq, w->time, 0, EXEC_ARGS_CUT, true);
out:
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

/*
 * A program that is in place has its arguments in one run of its own memory, empty ones and all. The first CHUNK
 * bytes go with the record, the rest behind it. Returns true when a rest is to be sent.
 */
static __always_inline bool send_committed(struct exec_buffer *b, struct mm_struct *mm, __u64 off)
{
	__u64 from = BPF_CORE_READ(mm, arg_start), to = BPF_CORE_READ(mm, arg_end);
	struct args_buffer *more;
	struct walk *w;
	__u64 total, len;
	__u32 zero = 0;

	total = to > from ? to - from : 0;
	b->r.args_total = total;
	if (total > max_arg_bytes) {
		total = max_arg_bytes;
		b->r.flags |= EXEC_ARGS_CUT;
	}
	len = total;
	barrier_var(len);
	if (len > CHUNK)
		len = CHUNK;
	barrier_var(off);
	if (off > 3 * PATH_MAX)
		off = 3 * PATH_MAX;
	if (len && bpf_probe_read_user(b->data + off, len, (void *)from)) {
		b->r.flags |= EXEC_ARGS_FAULT;
		len = 0;
		total = 0;
	}
	b->r.args_len = len;
	if (total > CHUNK)
		b->r.flags |= EXEC_MORE;
	if (record_send(&b->r.h, sizeof(b->r) + off + len, sizeof(*b), RECORD_EXEC, LOST_RING) || total <= CHUNK)
		return false;
	more = bpf_map_lookup_elem(&args_scratch, &zero);
	if (!more)
		return false;
	w = walk_begin(more, b->r.h.seq, b->r.h.time);
	if (!w)
		return false;
	w->ptr = from + CHUNK;
	w->bytes = total - CHUNK;
	return true;
}

/*
 * The arguments of an exec that failed are still the caller's: strings behind pointers, some perhaps never read and
 * so not in memory.
 *
 * One turn: one string, or as much of it as the chunk still takes. Done when there is no more.
 */
TURN walk_turn(void)
{
	struct args_buffer *b;
	struct walk *w;
	__u32 zero = 0;
	__u64 p, off, room;
	long n;

	b = bpf_map_lookup_elem(&args_scratch, &zero);
	w = bpf_map_lookup_elem(&walks, &zero);
	if (!b || !w)
		return TURN_DONE;
	p = w->at;
	off = w->off;
	if (!p) {
		if (bpf_probe_read_user(&p, w->compat ? 4 : 8, (void *)w->ptr)) {
			w->flags |= EXEC_ARGS_FAULT;
			return TURN_DONE;
		}
		if (!p)
			return TURN_DONE;
	}
	if (w->bytes >= max_arg_bytes) {
		w->flags |= EXEC_ARGS_CUT;
		return TURN_DONE;
	}
	if (off >= CHUNK) {
		args_send(b, w->seq, w->time, CHUNK, 0, false);
		b->r.unreadable = 0;
		off = 0;
	}
	room = CHUNK - off;
	n = bpf_probe_read_user_str(b->data + off, room, (void *)p);
	if (n == 0) {
		b->data[off] = 0; /* what 5.10 returns for an empty string */
		n = 1;
	} else if (n < 0) {
		/* An empty word stands in its place, and a bit says that it is not one. */
		b->data[off] = 0;
		if (w->index < 64)
			b->r.unreadable |= 1ULL << w->index;
		w->flags |= EXEC_ARGS_FAULT;
		n = 1;
	} else if (n == room) {
		/*
		 * The string may go on behind the chunk: its last byte here is the helper's NUL, not its own.
		 * It is read again from there; where it had in fact ended, what is read is that NUL.
		 */
		n -= 1;
		w->at = p + n;
		w->bytes += n;
		args_send(b, w->seq, w->time, off + n, 0, false);
		b->r.unreadable = 0;
		w->off = 0;
		return TURN_MORE;
	}
	w->at = 0;
	w->off = off + n;
	w->bytes += n;
	w->index++;
	w->ptr += w->compat ? 4 : 8;
	return TURN_MORE;
}

SEC("raw_tp/sys_exit")
int exec_walk(struct bpf_raw_tracepoint_args *ctx)
{
	struct args_buffer *b;
	struct walk *w;
	__u32 zero = 0;
	int i;

	b = bpf_map_lookup_elem(&args_scratch, &zero);
	w = bpf_map_lookup_elem(&walks, &zero);
	if (!b || !w)
		return 0;
	for (i = 0; i < WALK_TURNS; i++) {
		if (walk_turn() != TURN_MORE)
			goto last;
	}
	if (w->calls++ < CALLS)
		bpf_tail_call(ctx, &walkers, WALK);
	w->flags |= EXEC_ARGS_CUT;
last:
	args_send(b, w->seq, w->time, w->off, w->flags, true);
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

SEC("raw_tp/sys_exit")
int exec_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task;
	struct exec_start *found, s;
	struct exec_buffer *b;
	struct args_buffer *more;
	struct mm_struct *mm;
	const struct cred *cred;
	struct walk *w;
	__u64 key, name, off, end;
	bool in_place;
	__u32 zero = 0;
	long ret = ctx->args[1], n;

	/* Every return of the host comes by here too, and an exec never returns more than 0. */
	if (*(volatile __u64 *)&in_flight == 0 || ret > 0)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	key = (__u64)task;
	found = bpf_map_lookup_elem(&starts, &key);
	if (!found)
		return 0;
	s = *found;
	if (bpf_map_delete_elem(&starts, &key))
		return 0;
	end = bpf_ktime_get_ns();
	if (!returns_from_exec(task, (struct pt_regs *)ctx->args[0])) {
		/* A later system call stands in. What the exec returned is known if it put its program in place. */
		if (!s.in_place) {
			if (want_failed)
				count_lost(LOST_END);
			goto out;
		}
		ret = 0;
		end = s.in_place;
	}
	/* What returns 0 is in place, also if sched_process_exec was left out. */
	in_place = s.in_place || ret == 0;
	if (!in_place && !want_failed)
		goto out;
	b = bpf_map_lookup_elem(&scratch, &zero);
	if (!b)
		goto out;
	mm = BPF_CORE_READ(task, mm);
	cred = BPF_CORE_READ(task, cred);
	b->r.h.time = s.time;
	b->r.end = end;
	b->r.flags = s.flags;
	b->r.ret = ret;
	b->r.pid = bpf_get_current_pid_tgid() >> 32;
	b->r.tid = s.tid;
	b->r.ppid = BPF_CORE_READ(task, real_parent, tgid);
	b->r.uid = BPF_CORE_READ(cred, uid.val);
	b->r.unreadable = 0;
	b->r.exe_len = 0;
	b->r.cwd_len = 0;
	b->r.dev = 0;
	b->r.ino = 0;
	bpf_get_current_comm(&b->r.comm, sizeof(b->r.comm));
	if (in_place ? is_compat(task) : s.compat_caller)
		b->r.flags |= EXEC_COMPAT;
	/*
	 * The name as asked: of a program in place the kernel left it on the new stack, right behind the environment
	 * (fs/exec.c pushes it first, create_elf_tables ends env_end before it). Otherwise it is still the caller's.
	 */
	name = in_place && mm ? BPF_CORE_READ(mm, env_end) : s.filename;
	n = bpf_probe_read_user_str(b->data, PATH_MAX, (void *)name);
	if (n < 0) {
		b->r.flags |= EXEC_NO_FILENAME;
		n = 0;
	}
	off = n & (2 * PATH_MAX - 1);
	b->r.filename_len = off;
	if (want & WANT_IDS)
		put_ids(&b->r, task, cred);
	if (want & WANT_PATHS)
		off = put_paths(b, task, mm, off);
	if (in_place) {
		if (mm && send_committed(b, mm, off))
			bpf_tail_call(ctx, &walkers, REST);
		goto out;
	}
	if (!want_failed)
		goto out;
	b->r.args_total = 0;
	b->r.args_len = 0;
	b->r.flags |= EXEC_MORE;
	barrier_var(off);
	if (off > 3 * PATH_MAX)
		off = 3 * PATH_MAX;
	if (record_send(&b->r.h, sizeof(b->r) + off, sizeof(*b), RECORD_EXEC, LOST_RING))
		goto out;
	more = bpf_map_lookup_elem(&args_scratch, &zero);
	if (!more)
		goto out;
	w = walk_begin(more, b->r.h.seq, s.time);
	if (!w)
		goto out;
	w->ptr = s.argv;
	w->compat = s.compat_caller;
	bpf_tail_call(ctx, &walkers, WALK);
out:
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

/* A task that ends in the middle of an exec, or of whose exec no later system call told. */
SEC("raw_tp/sched_process_exit")
int exec_abandon(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = bpf_get_current_task();

	if (*(volatile __u64 *)&in_flight == 0)
		return 0;
	if (bpf_map_delete_elem(&starts, &key))
		return 0;
	count_lost(LOST_END);
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}
