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
#define LOST_URGENT 1  /* denied or killed, and both rings were full; the next number after LOST_RING */
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

/* Which of the slots: those of records, or those of paths that are decided about. */
#define CLAIM_RECORD 0
#define CLAIM_PATH 0x80000000

static __always_inline __u32 claim_of(__u32 what, __u32 slot)
{
	return what | (bpf_get_smp_processor_id() * PATH_SLOTS + slot);
}

/* Returns a slot, or PATH_SLOTS. A function of its own: the verifier would look at what is behind it once for each slot. */
GLOBAL int claim(__u32 what)
{
	__u32 slot, key;
	__u8 one = 1;

	for (slot = 0; slot < PATH_SLOTS; slot++) {
		key = claim_of(what, slot);
		if (!bpf_map_update_elem(&guard_claims, &key, &one, BPF_NOEXIST))
			break;
	}
	return slot;
}

static __always_inline void release(__u32 what, __u32 slot)
{
	__u32 key = claim_of(what, slot);

	bpf_map_delete_elem(&guard_claims, &key);
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

/* What the record says of the file. A function of its own, as others are: what its branches differ in is forgotten at its end. */
GLOBAL int subject_told(__u32 slot, __u64 subject, __u64 ask)
{
	struct guard_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	struct file___guard *file = (struct file___guard *)subject;
	struct dentry___guard *dentry;
	struct inode___guard *node;
	struct subject s = {};
	struct file_event *f;
	struct inode *inode;

	if (!b)
		return 0;
	f = &b->r.f;
	subject_read(&s, subject, ask);
	if (ask & ASK_FILE) {
		f->flags = BPF_CORE_READ(file, f_flags) & ~FMODE_EXEC;
		if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
			f->marks |= FILE_CREATED;
	}
	/* Not s.dentry in the macro: it would take s for a type of the kernel's. */
	dentry = (struct dentry___guard *)s.dentry;
	f->dev = BPF_CORE_READ(dentry, d_sb, s_dev);
	inode = s.inode;
	if (inode) {
		f->ino = BPF_CORE_READ(inode, i_ino);
		f->dev = device_of(inode);
		node = (struct inode___guard *)inode;
		if (!BPF_CORE_READ(node, i_nlink))
			f->marks |= FILE_DELETED;
	}
	return 0;
}

/*
 * Appends the file's path at off, or where a path that was decided about as it was written starts from. Returns the bytes.
 * Where a hook is not told the mount, it is the path in the file system; user space knows where that is mounted.
 */
GLOBAL int file_told(__u32 slot, __u64 subject, __u64 ask, __u32 off)
{
	struct guard_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	struct guard_asked *a = (struct guard_asked *)subject;
	__u64 dentry = subject, vfsmnt = 0;
	struct file *file;
	int len;

	if (!b)
		return 0;
	if (by_path(ask)) {
		bpf_probe_read_kernel(&dentry, sizeof(dentry), &a->start);
		bpf_probe_read_kernel(&vfsmnt, sizeof(vfsmnt), &a->start_mount);
		vfsmnt += bpf_core_field_offset(struct mount, mnt);
	} else if (ask & ASK_FILE) {
		file = (struct file *)subject;
		dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
		vfsmnt = (__u64)BPF_CORE_READ(file, f_path.mnt);
	}
	len = path_put(dentry, vfsmnt, off, slot);
	if (by_path(ask)) {
		if (len & PATH_CUT)
			b->r.f.marks |= FILE_BASE_CUT;
		b->r.f.base_len = len & PATH_LEN;
	} else {
		b->r.f.marks |= FILE_WALKED;
		if (len & PATH_DETACHED)
			b->r.f.marks |= FILE_DETACHED;
		if (len & PATH_CUT)
			b->r.f.marks |= FILE_FILE_CUT;
		b->r.f.file_len = len & PATH_LEN;
	}
	return len & PATH_LEN;
}

/* Whether records of that outcome go by the ring of their own: 1 or 0, without a branch. */
static __always_inline __u32 is_urgent(__u32 outcome)
{
	return (1 << OUTCOME_DENIED | 1 << OUTCOME_KILLED | 1 << OUTCOME_LATE) >> (outcome & 31) & 1;
}

/* Fills in and sends the record. */
static __always_inline long tell_in(__u32 slot, __u64 subject, __u64 ask, __u32 decided, __u32 what, __u32 error)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct guard_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	__u32 outcome = what & 0xff, len = 0, path = 0;
	struct file_event *f;
	__u64 size;

	if (!b)
		return -1;
	f = &b->r.f;
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
		if (f->marks & FILE_BASED)
			len = file_told(slot, subject, ask, path);
	} else {
		subject_told(slot, subject, ask);
		if ((guard_want & WANT_PATH) && (ask & ASK_FILE))
			path = asked_put(slot) & (PATH_MAX - 1);
		if (guard_want & WANT_FILE)
			len = file_told(slot, subject, ask, path);
	}
	f->path_len = path;
	size = sizeof(b->r) + path + (len & PATH_LEN);
	f->h.size = size;
	/* Checked here, behind the calls: before 5.16 the verifier forgets the bounds of a number that is spilled. */
	barrier_var(size);
	if (size > sizeof(b->r) + 2 * PATH_ROOM)
		size = sizeof(b->r) + 2 * PATH_ROOM;
	if (is_urgent(outcome))
		return bpf_ringbuf_output(&urgent, b, size, 0);
	return bpf_ringbuf_output(&records, b, size, 0);
}

GLOBAL int tell(__u64 subject, __u64 ask, __u32 decided, __u32 what, __u32 error)
{
	__u32 slot = claim(CLAIM_RECORD), lost = LOST_SCRATCH;
	struct guard_counters *c;
	long err = -1;

	if (slot < PATH_SLOTS) {
		err = tell_in(slot, subject, ask, decided, what, error);
		release(CLAIM_RECORD, slot);
		lost = LOST_RING + is_urgent(what & 0xff);
	}
	if (!err)
		return 0;
	count_lost(lost);
	c = counts_of(decided, ask);
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
