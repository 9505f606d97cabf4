/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Absolute paths, walked name by name: bpf_d_path is not for most programs.
 *
 * Whoever includes this has defined before:
 *   PATH_SCRATCH  a per-CPU array, a value for each slot
 *   PATH_BUFFER   the struct that is its value; it has a member `char data[PATH_DATA]`
 *   PATH_DATA     the bytes of that, at least PATH_ROOM for each path that is put there
 *   PATH_SLOTS    how many slots: one for each program that may be preempted on its CPU by another one
 */
#ifndef SONDE_PATH_BPF_H
#define SONDE_PATH_BPF_H

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif
#define PATH_NAME 256
#define PATH_ROOM (PATH_MAX + PATH_NAME) /* what path_put may write to from its offset on */

/* What path_put returns: the bytes it appended, PATH_ROOM at the most, and these. */
#define PATH_LEN 0x3fff
#define PATH_CUT 0x4000      /* outer names are missing: longer than PATH_MAX, or deeper than PATH_STEPS */
#define PATH_DETACHED 0x8000 /* it does not end at the root of a mount namespace */

/*
 * What a loop does in one turn is a global function that keeps its state in a per-CPU value: the verifier looks at such
 * a function once, and at the loop around it as at so many calls. PATH_MAX bytes can be 2,048 names, so there are three such
 * loops in each other.
 */
#ifndef TURN
#define TURN __attribute__((noinline)) int
#endif
enum path_turn { PATH_MORE, PATH_DONE, PATH_ENDLESS, PATH_NOWHERE };

#define PATH_AT_ONCE 4 /* steps of one turn */
#define PATH_TURNS 16  /* turns of the innermost loop */
#define PATH_ROUNDS 8  /* of either loop around it */
#define PATH_STEPS (PATH_AT_ONCE * PATH_TURNS * PATH_ROUNDS * PATH_ROUNDS)

/* The members that a step needs lie side by side in every kernel so far, and one read is enough then. */
struct path_mount {
	__u64 parent, mountpoint, root;
};

struct path_name {
	__u64 parent, hash, name;
};

struct path_walk {
	__u64 dentry;
	__u64 at; /* the mount */
	struct path_mount mount;
	__u64 off;
	__u64 end; /* of what may be written, a last name left aside */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATH_SLOTS);
	__type(key, __u32);
	__type(value, struct path_walk);
} path_walks SEC(".maps");

#define PATH_MOUNT_AT bpf_core_field_offset(struct mount, mnt_parent)

static __always_inline void path_mount_read(struct path_mount *to, __u64 mount)
{
	struct mount *m = (struct mount *)mount;

	if (bpf_core_field_offset(struct mount, mnt_mountpoint) == PATH_MOUNT_AT + 8 &&
	    bpf_core_field_offset(struct mount, mnt.mnt_root) == PATH_MOUNT_AT + 16) {
		if (bpf_probe_read_kernel(to, sizeof(*to), (void *)(mount + PATH_MOUNT_AT)))
			to->parent = mount; /* the walk ends here */
		return;
	}
	to->parent = (__u64)BPF_CORE_READ(m, mnt_parent);
	to->mountpoint = (__u64)BPF_CORE_READ(m, mnt_mountpoint);
	to->root = (__u64)BPF_CORE_READ(m, mnt.mnt_root);
}

static __always_inline void path_name_read(struct path_name *to, __u64 dentry)
{
	__u64 parent = bpf_core_field_offset(struct dentry, d_parent);
	struct dentry *d = (struct dentry *)dentry;

	if (bpf_core_field_offset(struct dentry, d_name.name) == parent + 16) {
		bpf_probe_read_kernel(to, sizeof(*to), (void *)(dentry + parent));
		return;
	}
	to->parent = (__u64)BPF_CORE_READ(d, d_parent);
	to->name = (__u64)BPF_CORE_READ(d, d_name.name);
}

/* One name of a path, or one step from the root of a mount to where it is mounted. */
static __always_inline int path_step(struct PATH_BUFFER *b, struct path_walk *w)
{
	struct path_name name = {};
	__u64 dentry = w->dentry, off;
	long n;

	if (dentry == w->mount.root) {
		if (w->mount.parent == w->at) {
			/* No namespace: lazily unmounted. An error number for one: a mount of the kernel's own. */
			struct mount *top = (struct mount *)w->at;
			__u64 ns = (__u64)BPF_CORE_READ(top, mnt_ns);

			return ns && ns < -4095ULL ? PATH_DONE : PATH_NOWHERE;
		}
		w->dentry = w->mount.mountpoint;
		w->at = w->mount.parent;
		path_mount_read(&w->mount, w->at);
		return PATH_MORE;
	}
	off = w->off;
	if (off >= w->end)
		return PATH_ENDLESS;
	path_name_read(&name, dentry);
	barrier_var(off); /* or clang folds the two checks into one that the verifier cannot follow */
	if (off > PATH_DATA - PATH_NAME)
		return PATH_ENDLESS;
	n = bpf_probe_read_kernel_str(b->data + off, PATH_NAME, (void *)name.name);
	if (n < 0)
		return PATH_ENDLESS;
	w->off = off + (n & (2 * PATH_NAME - 1));
	if (name.parent == dentry)
		return PATH_NOWHERE;
	w->dentry = name.parent;
	return PATH_MORE;
}

TURN path_turn(__u32 slot)
{
	struct PATH_BUFFER *b = bpf_map_lookup_elem(&PATH_SCRATCH, &slot);
	struct path_walk *w = bpf_map_lookup_elem(&path_walks, &slot);
	int i, state;

	if (!b || !w)
		return PATH_ENDLESS;
	for (i = 0; i < PATH_AT_ONCE; i++) {
		state = path_step(b, w);
		if (state != PATH_MORE)
			return state;
	}
	return PATH_MORE;
}

TURN path_turns(__u32 slot)
{
	int i, state = PATH_MORE;

	for (i = 0; i < PATH_TURNS; i++) {
		state = path_turn(slot);
		if (state != PATH_MORE)
			return state;
	}
	return state;
}

TURN path_rounds(__u32 slot)
{
	int i, state = PATH_MORE;

	for (i = 0; i < PATH_ROUNDS; i++) {
		state = path_turns(slot);
		if (state != PATH_MORE)
			return state;
	}
	return state;
}

/*
 * Appends the names from a dentry up to the root of its mount namespace to the data of PATH_SCRATCH at off: the innermost
 * first, each ended by NUL, the root itself not among them. What a file that hangs in no tree has for a name is taken
 * for one. Without a mount it ends at the root of the file system, and is detached.
 */
static __always_inline int path_put(__u64 dentry, __u64 vfsmnt, __u32 off, __u32 slot)
{
	struct path_walk *w = bpf_map_lookup_elem(&path_walks, &slot);
	int i, len, state = PATH_MORE;

	if (!w || !dentry)
		return PATH_CUT;
	w->dentry = dentry;
	w->at = w->mount.parent = w->mount.root = 0;
	if (vfsmnt) {
		w->at = vfsmnt - bpf_core_field_offset(struct mount, mnt);
		path_mount_read(&w->mount, w->at);
	}
	w->off = off;
	w->end = (__u64)off + PATH_MAX;
	for (i = 0; i < PATH_ROUNDS; i++) {
		state = path_rounds(slot);
		if (state != PATH_MORE)
			break;
	}
	len = (w->off - off) & PATH_LEN;
	if (state == PATH_NOWHERE)
		len |= PATH_DETACHED;
	else if (state != PATH_DONE)
		len |= PATH_CUT;
	return len;
}

#endif
