/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Paths of what an exec has to do with, walked name by name: bpf_d_path is not for these programs. */
#ifndef SONDE_EXEC_PATHS_BPF_H
#define SONDE_EXEC_PATHS_BPF_H

struct path_walk {
	__u64 dentry;
	__u64 mount;
	__u64 root; /* of that mount */
	__u64 off;  /* into the scratch data */
	__u64 limit;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct path_walk);
} path_walks SEC(".maps");

/* One name of a path, or one step from the root of a mount to where it is mounted. */
TURN path_turn(__u32 slot)
{
	struct dentry *d, *up;
	struct mount *m, *over;
	struct exec_buffer *b;
	struct path_walk *w;
	__u64 off;
	long n;

	b = bpf_map_lookup_elem(&scratch, &slot);
	w = bpf_map_lookup_elem(&path_walks, &slot);
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
static __noinline __u64 path_put(__u64 dentry, __u64 vfsmnt, __u64 off, __u32 slot)
{
	struct mount *m = (struct mount *)(vfsmnt - bpf_core_field_offset(struct mount, mnt));
	struct exec_buffer *b;
	struct path_walk *w;
	int i, state = TURN_MORE;

	b = bpf_map_lookup_elem(&scratch, &slot);
	w = bpf_map_lookup_elem(&path_walks, &slot);
	if (!b || !w)
		return off;
	w->dentry = dentry;
	w->mount = (__u64)m;
	w->root = (__u64)BPF_CORE_READ(m, mnt.mnt_root);
	w->off = off;
	w->limit = off + PATH_MAX - NAME_MAX;
	for (i = 0; i < PATH_DEPTH; i++) {
		state = path_turn(slot);
		if (state != TURN_MORE)
			break;
	}
	if (state != TURN_DONE)
		b->r.flags |= EXEC_CWD_CUT;
	return w->off;
}

static __always_inline __u64 put_paths(struct exec_buffer *b, struct task_struct *task, struct mm_struct *mm,
					    __u64 off, __u32 slot)
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
		end = path_put((__u64)BPF_CORE_READ(exe, f_path.dentry), (__u64)BPF_CORE_READ(exe, f_path.mnt), off, slot);
		b->r.exe_len = end - off;
		off = end;
		if (b->r.flags & EXEC_CWD_CUT)
			b->r.flags ^= EXEC_CWD_CUT | EXEC_EXE_CUT;
	}
	detached = b->r.flags & EXEC_DETACHED;
	if (fs) {
		end = path_put((__u64)BPF_CORE_READ(fs, pwd.dentry), (__u64)BPF_CORE_READ(fs, pwd.mnt), off, slot);
		b->r.cwd_len = end - off;
		off = end;
	}
	/* The flag is the executable's; that of a removed working directory is not kept. */
	if (!detached)
		b->r.flags &= ~EXEC_DETACHED;
	return off;
}

#endif
