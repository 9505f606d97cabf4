/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* An open that is over: what is read of it, and its record. */
#ifndef SONDE_OPEN_SEND_BPF_H
#define SONDE_OPEN_SEND_BPF_H

#define FMODE_CREATED 0x100000
#define MAX_ERRNO 4095

/* The members of a file that lie close together in every kernel so far. */
#define FILE_HEAD 80
#define FILE_PATH_AT bpf_core_field_offset(struct file, f_path)
#define FILE_INODE_AT bpf_core_field_offset(struct file, f_inode)
#define FILE_MODE_AT bpf_core_field_offset(struct file, f_mode)

struct reached {
	__u64 mnt, dentry, inode;
	__u32 mode;
};

static __always_inline void reached_read(struct reached *to, struct file *file)
{
	if (FILE_PATH_AT + 16 <= FILE_HEAD && FILE_INODE_AT + 8 <= FILE_HEAD && FILE_MODE_AT + 4 <= FILE_HEAD) {
		__u64 head[FILE_HEAD / 8];

		if (bpf_probe_read_kernel(head, sizeof(head), file))
			return;
		to->mnt = *(__u64 *)((void *)head + FILE_PATH_AT);
		to->dentry = *(__u64 *)((void *)head + FILE_PATH_AT + 8);
		to->inode = *(__u64 *)((void *)head + FILE_INODE_AT);
		to->mode = *(__u32 *)((void *)head + FILE_MODE_AT);
		return;
	}
	to->mnt = (__u64)BPF_CORE_READ(file, f_path.mnt);
	to->dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	to->inode = (__u64)BPF_CORE_READ(file, f_inode);
	to->mode = BPF_CORE_READ(file, f_mode);
}

/* The same of an inode. */
#define INODE_SB_AT bpf_core_field_offset(struct inode, i_sb)

static __always_inline void inode_read(struct file_event *r, __u64 at)
{
	struct inode *inode = (struct inode *)at;
	struct super_block *sb;
	__u32 links;

	if (bpf_core_field_offset(struct inode, i_ino) == INODE_SB_AT + 24 &&
	    bpf_core_field_offset(struct inode, i_nlink) == INODE_SB_AT + 32) {
		__u64 raw[5] = {};

		bpf_probe_read_kernel(raw, sizeof(raw), (void *)at + INODE_SB_AT);
		sb = (struct super_block *)raw[0];
		r->ino = raw[3];
		links = raw[4];
	} else {
		sb = BPF_CORE_READ(inode, i_sb);
		r->ino = BPF_CORE_READ(inode, i_ino);
		links = BPF_CORE_READ(inode, i_nlink);
	}
	r->dev = device_on(inode, BPF_CORE_READ(sb, s_dev));
	if (links == 0)
		r->marks |= FILE_DELETED;
}

/* Flags and mode of openat2 are in the caller's memory, or where the kernel has copied them to. */
static __always_inline void how_read(struct open_args *a)
{
	const void *from = (const void *)a->how_at;
	struct open_how how = {};

	if (a->kernel_how)
		bpf_probe_read_kernel(&how, sizeof(how), from);
	else
		bpf_probe_read_user(&how, sizeof(how), from);
	a->flags = how.flags;
	a->mode = how.mode;
}

/* The arguments of a system call of the open family. */
static __always_inline void args_take(struct open_args *a, struct syscall_args *s)
{
	a->dirfd = s->arg[0];
	a->path = s->arg[1];
	switch (a->how) {
	case BY_OPEN:
		a->dirfd = AT_FDCWD;
		a->path = s->arg[0];
		a->flags = (__u32)s->arg[1];
		a->mode = s->arg[2];
		break;
	case BY_CREAT:
		a->dirfd = AT_FDCWD;
		a->path = s->arg[0];
		a->flags = O_CREAT | O_WRONLY | O_TRUNC;
		a->mode = s->arg[1];
		break;
	case BY_HANDLE:
		a->path = 0;
		a->flags = (__u32)s->arg[2];
		break;
	case BY_OPENAT2:
		a->how_at = s->arg[2];
		break;
	default:
		a->flags = (__u32)s->arg[2];
		a->mode = s->arg[3];
	}
}

/* Whether the flags are among those that are asked for. */
static __always_inline bool flags_wanted(__u64 flags)
{
	if (want_write && !(flags & O_ACCMODE) && !(flags & O_TRUNC))
		return false;
	if (!want_flags)
		return true;
	return (flags & any_bits) || (access_modes >> (flags & O_ACCMODE) & 1) ||
	       (all_bits[0] && (flags & all_bits[0]) == all_bits[0]) ||
	       (all_bits[1] && (flags & all_bits[1]) == all_bits[1]);
}

static __always_inline void put_ids(struct file_event *r, struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);

	r->ppid = BPF_CORE_READ(parent, tgid);
	r->cgroup_id = bpf_get_current_cgroup_id();
	r->css_set = (__u64)BPF_CORE_READ(task, cgroups);
	BPF_CORE_READ_STR_INTO(&r->pcomm, parent, comm);
}

__attribute__((noinline)) int path_told(__u64 dentry, __u64 mnt, __u32 off, __u32 slot)
{
	return path_put(dentry, mnt, off, slot);
}

/* Appends the names of a directory or file; returns how many bytes, and marks what is to be marked. */
static __always_inline __u32 names_put(struct file_event *r, __u64 dentry, __u64 mnt, __u64 off, __u32 slot, __u32 cut,
				       __u32 detached)
{
	int put = path_told(dentry, mnt, off, slot);

	if (put & PATH_CUT)
		r->marks |= cut;
	if (put & PATH_DETACHED)
		r->marks |= detached;
	return put & PATH_LEN;
}

/* Where a relative path starts from, if it is one and no file tells more. Returns the bytes appended. */
static __always_inline __u32 base_put(struct open_buffer *b, struct task_struct *task, struct open_args *a, __u64 off,
				      __u32 slot)
{
	__u64 dentry, mnt;
	struct file *dir;
	__u32 put;

	if (b->data[0] == '/' || (b->r.marks & FILE_NO_PATH))
		return 0;
	if (a->dirfd == AT_FDCWD) {
		dentry = (__u64)BPF_CORE_READ(task, fs, pwd.dentry);
		mnt = (__u64)BPF_CORE_READ(task, fs, pwd.mnt);
	} else {
		dir = file_of(task, a->dirfd);
		dentry = (__u64)BPF_CORE_READ(dir, f_path.dentry);
		mnt = (__u64)BPF_CORE_READ(dir, f_path.mnt);
	}
	if (!dentry || !mnt)
		return 0;
	b->r.marks |= FILE_BASED;
	put = names_put(&b->r, dentry, mnt, off, slot, FILE_BASE_CUT, 0);
	b->r.base_len = put;
	return put;
}

/* Reads the path as asked to the start of the data, and returns its length without the NUL. */
static __always_inline __u64 path_take(struct open_buffer *b, struct open_args *a)
{
	bool user = !b->kernel_path;
	char more = 0;
	long n;

	b->data[0] = 0;
	if (!a->path) {
		b->r.marks |= FILE_NO_PATH;
		return 0;
	}
	if (user)
		n = bpf_probe_read_user_str(b->data, PATH_MAX, (void *)a->path);
	else
		n = bpf_probe_read_kernel_str(b->data, PATH_MAX, (void *)a->path);
	if (n < 0) {
		b->r.marks |= FILE_NO_PATH;
		return 0;
	}
	if (n == 0)
		return 0; /* what 5.10 returns for an empty string */
	if (n == PATH_MAX && user && !bpf_probe_read_user(&more, 1, (void *)a->path + PATH_MAX - 1) && more)
		b->r.marks |= FILE_PATH_CUT;
	return (n - 1) & (PATH_MAX - 1);
}

/*
 * Only one program may number its records (record_send), and that is the one of the calls. If one of the others is lost it
 * is counted, as any.
 */
static __always_inline void send_unnumbered(struct record_header *h, __u64 size)
{
	h->type = RECORD_OPEN;
	h->cpu = bpf_get_smp_processor_id();
	h->seq = 0;
	h->size = size;
	barrier_var(size);
	if (size > sizeof(struct file_event) + OPEN_DATA)
		size = sizeof(struct file_event) + OPEN_DATA;
	if (bpf_ringbuf_output(&records, h, size, 0))
		count_lost(LOST_RING);
}

/*
 * Sends the record of the open that is described in the scratch of this slot, and is over. A global function, as path_told
 * is: whatever way led here, the verifier looks at it once.
 */
__attribute__((noinline)) int finish(__u32 slot)
{
	struct open_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct open_args *a;
	struct reached f = {};
	struct file *file;
	__u32 put, tests = 0;
	__u64 off, id;
	long ret;

	if (!b)
		return 0;
	a = &b->a;
	ret = b->ret;
	if (a->how_at)
		how_read(a);
	if (!flags_wanted(a->flags))
		return 0;
	if (want_created && (ret < 0 || !(a->flags & (O_CREAT | O_TMPFILE_ONLY))))
		return 0;
	if (ret >= 0 && (want & WANT_ANY_FILE)) {
		file = (struct file *)b->file;
		if (!file)
			file = file_of(task, ret);
		if (file)
			reached_read(&f, file);
		if (want_created && !(f.mode & FMODE_CREATED) && !(a->flags & O_TMPFILE_ONLY))
			return 0;
	}
	if (path_test_count && f.inode) {
		tests = names_pass(f.dentry, f.mnt);
		if (!tests)
			return 0;
	}
	id = bpf_get_current_pid_tgid();
	b->r.h.time = a->time ? a->time : b->end;
	b->r.duration = a->time ? b->end - a->time : 0;
	b->r.cgroup_id = 0;
	b->r.css_set = 0;
	b->r.ino = 0;
	b->r.flags = a->flags;
	b->r.dev = 0;
	b->r.pid = id >> 32;
	b->r.tid = id;
	b->r.ppid = 0;
	b->r.uid = bpf_get_current_uid_gid();
	b->r.dirfd = a->dirfd;
	b->r.ret = ret;
	b->r.marks = a->marks;
	b->r.mode = a->mode;
	b->r.how = a->how;
	b->r.file_len = 0;
	b->r.base_len = 0;
	bpf_get_current_comm(&b->r.comm, sizeof(b->r.comm));
	if (!a->time)
		b->r.marks |= FILE_UNTIMED;
	if (!(a->flags & (O_CREAT | O_TMPFILE_ONLY)))
		b->r.marks |= FILE_NO_MODE;
	off = path_take(b, a);
	b->r.path_len = off;
	if (a->how == BY_CREAT || a->how == BY_HANDLE || (a->how == BY_OPEN && b->data[0] == '/'))
		b->r.marks |= FILE_NO_DIRFD;
	if (want & WANT_IDS)
		put_ids(&b->r, task);
	if (ret < 0 || !(want & WANT_ANY_FILE)) {
		if (want & WANT_BASE)
			off += base_put(b, task, a, off, slot);
	} else if (!f.inode) {
		b->r.marks |= FILE_NO_FILE;
	} else {
		inode_read(&b->r, f.inode);
		if ((f.mode & FMODE_CREATED) || (a->flags & O_TMPFILE_ONLY))
			b->r.marks |= FILE_CREATED;
		if (want & WANT_FILE) {
			b->r.marks |= FILE_WALKED;
			put = names_put(&b->r, f.dentry, f.mnt, off, slot, FILE_FILE_CUT, FILE_DETACHED);
			b->r.file_len = put;
			off += put;
			if (path_test_count && !(b->r.marks & (FILE_FILE_CUT | FILE_DETACHED)) && !tails_pass(slot, off, put, tests))
				return 0;
		}
	}
	barrier_var(off);
	if (off > OPEN_DATA)
		off = OPEN_DATA;
	if (slot == AT_CALL)
		record_send(&b->r.h, sizeof(b->r) + off, sizeof(b->r) + OPEN_DATA, RECORD_OPEN, LOST_RING);
	else
		send_unnumbered(&b->r.h, sizeof(b->r) + off);
	return 0;
}

#endif
