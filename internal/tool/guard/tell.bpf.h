/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What comes of a decision: counted, done, told. */
#ifndef SONDE_GUARD_TELL_BPF_H
#define SONDE_GUARD_TELL_BPF_H

/* What of a record is worth its work. */
#define WANT_FILE 1
#define WANT_PCOMM 2
#define WANT_PATH 4
const volatile __u32 guard_want = 0;
const volatile __u32 guard_mechanism = 0;

#define LOST_RING 0    /* logged, and the ring was full */
#define LOST_URGENT 1  /* denied or killed, and both rings were full */
#define LOST_SCRATCH 2 /* more programs of one CPU were at it than there is room for */
#define LOST_UNREAD 3  /* a path was not in memory when it was to be decided about */

/* Records of what was denied or killed: they wait for no others. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} urgent SEC(".maps");

#define PATH_SLOTS 4
#define PATH_DATA (3 * 4352)
struct guard_buffer {
	struct guard_record r;
	char data[PATH_DATA]; /* the path as asked, the file; and as much again: the verifier adds the largest offset and the largest length */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATH_SLOTS);
	__type(key, __u32);
	__type(value, struct guard_buffer);
} scratch SEC(".maps");

/*
 * Which slots of which CPU are in use. A program may be preempted in the middle of its record and another run there; an
 * entry that must not exist yet is taken by one of them only, on kernels without fetching atomics too.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8);
} guard_claims SEC(".maps");

#define PATH_BUFFER guard_buffer
#define PATH_SCRATCH scratch
#include "path.bpf.h"

/*
 * As path_put, where the mount is not known: up to the root of the file system. Says PATH_DETACHED; user space knows where that is
 * mounted.
 */
GLOBAL int names_put(__u64 dentry, __u32 off, __u32 slot)
{
	struct path_walk *w = bpf_map_lookup_elem(&path_walks, &slot);
	int i, state = PATH_MORE;

	if (!w || !dentry)
		return PATH_CUT;
	__builtin_memset(w, 0, sizeof(*w));
	w->dentry = dentry;
	w->off = off;
	w->end = off + PATH_MAX;
	for (i = 0; i < PATH_TURNS; i++) {
		state = path_turns(slot);
		if (state != PATH_MORE)
			break;
	}
	return ((w->off - off) & PATH_LEN) | (state == PATH_NOWHERE ? PATH_DETACHED : PATH_CUT);
}

/*
 * What the caller asked for, where the current system call is an open or an exec: its arguments are still in its registers,
 * and the path in memory, for the kernel has just read it. Returns the bytes of the path.
 */
GLOBAL int asked_put(__u32 slot)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct guard_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	struct syscall_args s = {};
	struct open_how how = {};
	struct file_event *f;
	struct caller c;
	__u64 path;
	long n, nr;

	if (!b)
		return 0;
	f = &b->r.f;
	caller_read(&c, task);
	if (!c.regs || (!c.family && c.how != BY_EXEC))
		return 0;
	f->how = c.how;
	if (c.compat)
		f->marks |= FILE_COMPAT;
	syscall_args(&s, c.regs, c.compat);
	path = s.arg[1];
	switch (c.how) {
	case BY_EXEC:
		nr = syscall_number(c.regs) & ~NR_X32;
		if (c.compat ? nr == NR_COMPAT_EXECVE : nr == NR_EXECVE) {
			path = s.arg[0];
			break;
		}
		f->dirfd = s.arg[0];
		f->marks &= ~FILE_NO_DIRFD;
		break;
	case BY_OPEN:
		path = s.arg[0];
		f->mode = s.arg[2];
		break;
	case BY_CREAT:
		path = s.arg[0];
		f->mode = s.arg[1];
		break;
	case BY_HANDLE:
		return 0;
	case BY_OPENAT2:
		bpf_probe_read_user(&how, sizeof(how), (void *)s.arg[2]);
		f->mode = how.mode;
		f->dirfd = s.arg[0];
		f->marks &= ~FILE_NO_DIRFD;
		break;
	default:
		f->mode = s.arg[3];
		f->dirfd = s.arg[0];
		f->marks &= ~FILE_NO_DIRFD;
	}
	if (c.how != BY_EXEC && (f->flags & (O_CREAT | O_TMPFILE_ONLY)))
		f->marks &= ~FILE_NO_MODE;
	n = bpf_probe_read_user_str(b->data, PATH_MAX, (void *)path);
	if (n <= 0)
		return 0;
	f->marks &= ~FILE_NO_PATH;
	/* A path that the kernel took is shorter than what was read. */
	return (n - 1) & (PATH_MAX - 1);
}

/*
 * The same where a path was decided about by what the caller wrote: as it was then, for the caller may have changed it. No file
 * was reached yet.
 */
GLOBAL int asked_told(__u32 slot, __u64 asked)
{
	struct guard_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	struct guard_asked *a = (struct guard_asked *)asked;
	struct file_event *f;
	long n;

	if (!b)
		return 0;
	f = &b->r.f;
	bpf_probe_read_kernel(&f->flags, sizeof(f->flags), &a->flags);
	bpf_probe_read_kernel(&f->dirfd, sizeof(f->dirfd), &a->dirfd);
	bpf_probe_read_kernel(&f->marks, sizeof(f->marks), &a->marks);
	bpf_probe_read_kernel(&f->mode, sizeof(f->mode), &a->mode);
	bpf_probe_read_kernel(&f->how, sizeof(f->how), &a->how);
	f->marks |= FILE_UNTIMED;
	n = bpf_probe_read_kernel_str(b->data, PATH_MAX, a->path);
	return n > 0 ? (n - 1) & (PATH_MAX - 1) : 0;
}

/* Where a path that is not absolute starts from. */
GLOBAL int asked_base(__u32 slot, __u64 asked, __u32 off)
{
	struct guard_asked *a = (struct guard_asked *)asked;
	__u64 dentry = 0, mount = 0;

	bpf_probe_read_kernel(&dentry, sizeof(dentry), &a->start);
	bpf_probe_read_kernel(&mount, sizeof(mount), &a->start_mount);
	return path_put(dentry, mount + bpf_core_field_offset(struct mount, mnt), off, slot);
}

/* Which of the slots: those of records, or those of paths that are decided about. */
#define CLAIM_RECORD 0
#define CLAIM_PATH 0x80000000

static __always_inline __u32 claim(__u32 *key, __u32 what)
{
	__u32 cpu = bpf_get_smp_processor_id(), slot;
	__u8 one = 1;

#pragma unroll
	for (slot = 0; slot < PATH_SLOTS; slot++) {
		*key = what | (cpu * PATH_SLOTS + slot);
		if (!bpf_map_update_elem(&guard_claims, key, &one, BPF_NOEXIST))
			return slot;
	}
	return PATH_SLOTS;
}

static __always_inline struct guard_counters *counts_of(__u32 decided, __u64 ask)
{
	__u32 at = half_of(ask, guard_rules_half) + RULE_OF(decided);

	return bpf_map_lookup_elem(&guard_counts, &at);
}

/* Whether it is about a path as it was written. All mechanisms but one have none of that in their programs. */
static __always_inline bool by_path(__u64 ask)
{
	return guard_mechanism == BY_OVERRIDE && (ask & ASK_PATH);
}

/* Fills in and sends the record; urgent ones go by the ring of their own. */
static __always_inline long tell_in(__u32 slot, __u64 subject, __u64 ask, __u32 decided, __u32 what, __u32 error)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct guard_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	__u32 outcome = what & 0xff;
	struct dentry___guard *dentry;
	struct file___guard *file;
	struct subject s = {};
	struct file_event *f;
	struct inode *inode;
	__u64 size, mnt;
	int len = 0, path = 0;

	if (!b)
		return -1;
	f = &b->r.f;
	if (!by_path(ask))
		subject_read(&s, subject, ask);
	__builtin_memset(&b->r, 0, sizeof(b->r));
	f->h.type = RECORD_GUARD;
	f->h.cpu = bpf_get_smp_processor_id();
	f->h.time = bpf_ktime_get_ns();
	f->how = BY_HOOK;
	f->marks = FILE_UNTIMED | FILE_NO_PATH | FILE_NO_DIRFD | FILE_NO_MODE;
	f->dirfd = -100;
	f->pid = bpf_get_current_pid_tgid() >> 32;
	f->tid = bpf_get_current_pid_tgid();
	f->ppid = BPF_CORE_READ(task, real_parent, tgid);
	f->uid = bpf_get_current_uid_gid();
	f->cgroup_id = bpf_get_current_cgroup_id();
	f->css_set = (__u64)BPF_CORE_READ(task, cgroups);
	f->ret = -(__s32)error;
	bpf_get_current_comm(&f->comm, sizeof(f->comm));
	if (guard_want & WANT_PCOMM)
		BPF_CORE_READ_STR_INTO(&f->pcomm, task, real_parent, comm);
	if (!by_path(ask) && (ask & ASK_FILE)) {
		file = (struct file___guard *)subject;
		f->flags = BPF_CORE_READ(file, f_flags) & ~FMODE_EXEC;
		if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
			f->marks |= FILE_CREATED;
	}
	/* Not s.dentry in the macro: it would take s for a type of the kernel's. */
	dentry = (struct dentry___guard *)s.dentry;
	if (dentry)
		f->dev = BPF_CORE_READ(dentry, d_sb, s_dev);
	inode = s.inode;
	if (inode) {
		f->ino = BPF_CORE_READ(inode, i_ino);
		f->dev = device_of(inode);
		if (!BPF_CORE_READ(inode, i_nlink))
			f->marks |= FILE_DELETED;
	}
	b->r.rule = RULE_OF(decided);
	b->r.match = MATCH_OF(decided);
	b->r.generation = ASK_GENERATION(ask);
	b->r.outcome = outcome;
	b->r.action = what >> 8;
	b->r.access = what >> 16;
	b->r.error = error;
	b->r.mechanism = guard_mechanism;
	if (by_path(ask)) {
		path = asked_told(slot, subject) & (PATH_MAX - 1);
		f->path_len = path;
		if (f->marks & FILE_BASED) {
			len = asked_base(slot, subject, path);
			if (len & PATH_CUT)
				f->marks |= FILE_BASE_CUT;
			len &= PATH_LEN;
			f->base_len = len;
		}
	} else if ((guard_want & WANT_PATH) && (ask & ASK_FILE)) {
		path = asked_put(slot) & (PATH_MAX - 1);
		f->path_len = path;
	}
	if (!by_path(ask) && (guard_want & WANT_FILE)) {
		f->marks |= FILE_WALKED;
		if (s.mount) {
			mnt = (__u64)s.mount + bpf_core_field_offset(struct mount, mnt);
			len = path_put((__u64)s.dentry, mnt, path, slot);
		} else {
			len = names_put((__u64)s.dentry, path, slot);
		}
		if (len & PATH_DETACHED)
			f->marks |= FILE_DETACHED;
		if (len & PATH_CUT)
			f->marks |= FILE_FILE_CUT;
		len &= PATH_LEN;
		f->file_len = len;
	}
	size = sizeof(b->r) + path + len;
	f->h.size = size;
	/* Checked here, behind the calls: before 5.16 the verifier forgets the bounds of a number that is spilled. */
	barrier_var(size);
	if (size > sizeof(b->r) + 2 * PATH_ROOM)
		size = sizeof(b->r) + 2 * PATH_ROOM;
	if (outcome == OUTCOME_DENIED || outcome == OUTCOME_KILLED || outcome == OUTCOME_LATE)
		return bpf_ringbuf_output(&urgent, b, size, 0);
	return bpf_ringbuf_output(&records, b, size, 0);
}

GLOBAL int tell(__u64 subject, __u64 ask, __u32 decided, __u32 what, __u32 error)
{
	struct guard_counters *c = counts_of(decided, ask);
	__u32 outcome = what & 0xff, key, slot = claim(&key, CLAIM_RECORD), lost = LOST_SCRATCH;
	long err = -1;

	if (slot < PATH_SLOTS) {
		err = tell_in(slot, subject, ask, decided, what, error);
		bpf_map_delete_elem(&guard_claims, &key);
		lost = outcome == OUTCOME_DENIED || outcome == OUTCOME_KILLED || outcome == OUTCOME_LATE ? LOST_URGENT : LOST_RING;
	}
	if (!err)
		return 0;
	count_lost(lost);
	if (c)
		__sync_fetch_and_add(&c->unsent, 1);
	return 0;
}

/* Whether one more may be denied in this second. Counts of one second may be off by what several CPUs do at its very start. */
static __always_inline bool within_limit(void)
{
	__u64 most = WORD(guard_max_denies), second;

	if (!most)
		return true;
	second = bpf_ktime_get_ns() / 1000000000;
	if (WORD(guard_limit_second) != second) {
		WORD(guard_limit_second) = second;
		WORD(guard_limit_count) = 0;
	}
	if (WORD(guard_limit_count) >= most)
		return false;
	__sync_fetch_and_add(&guard_limit_count, 1);
	return true;
}

static __always_inline bool can_kill(struct task_struct *task)
{
	return bpf_get_current_pid_tgid() >> 32 != 1 &&
	       !(BPF_CORE_READ((struct task_struct___guard *)task, flags) & PF_KTHREAD);
}

/* Does what the rule says. Returns the error for the caller, a positive number, or 0. */
GLOBAL int carry_out(__u64 subject, __u64 ask, __u32 decided)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 at = half_of(ask, guard_rules_half) + RULE_OF(decided);
	struct guard_rule *r = bpf_map_lookup_elem(&guard_rules, &at);
	struct guard_counters *c = counts_of(decided, ask);
	__u32 action, error = 0, outcome = OUTCOME_LOGGED, what;
	bool kill = false;

	if (!r || !c)
		return 0;
	action = r->action;
	__sync_fetch_and_add(&c->matches, 1);
	if (action == ACTION_ALLOW) {
		__sync_fetch_and_add(&c->allowed, 1);
		return 0;
	}
	if (action == ACTION_LOG) {
		__sync_fetch_and_add(&c->logged, 1);
	} else if (WORD(guard_mode) == MODE_DRY) {
		outcome = OUTCOME_DRY;
		__sync_fetch_and_add(&c->dry, 1);
	} else if (!within_limit()) {
		outcome = OUTCOME_LIMITED;
		__sync_fetch_and_add(&c->limited, 1);
	} else {
		kill = action != ACTION_DENY;
		if (guard_mechanism == BY_KILL) {
			kill = true;
		} else if (action != ACTION_KILL) {
			error = r->error;
			outcome = OUTCOME_DENIED;
			__sync_fetch_and_add(&c->denied, 1);
		}
		if (kill && can_kill(task) && !bpf_send_signal(SIGKILL)) {
			__sync_fetch_and_add(&c->killed, 1);
			if (guard_mechanism == BY_KILL)
				outcome = OUTCOME_LATE;
			else if (!error)
				outcome = OUTCOME_KILLED;
		} else if (!error) {
			__sync_fetch_and_add(&c->logged, 1);
		}
	}
	what = outcome | action << 8 | (__u32)(r->access & ASK_ACCESS(ask)) << 16;
	tell(subject, ask, decided, what, error);
	return error;
}

#endif
