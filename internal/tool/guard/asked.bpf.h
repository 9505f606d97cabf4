/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a caller asks for by a path, decided at the entry of the system call, by what the caller wrote. It can be got around: by
 * links, by mounts, by whatever is not a path, and by changing the path once it was read here.
 *
 * The path is not compared as a string. It is walked, from the directory that it starts from, through the steps that paths of
 * rules lead through (guard_steps), so that the tables about directories and names in them are the same as for the hooks.
 * Names that no rule leads through lead to directories that are not known; below one that is known they still are in its tree.
 */
#ifndef SONDE_GUARD_ASKED_BPF_H
#define SONDE_GUARD_ASKED_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * CALLS);
	__type(key, __u32);
	__type(value, struct guard_call);
} guard_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATH_SLOTS);
	__type(key, __u32);
	__type(value, struct guard_asked);
} guard_asked SEC(".maps");

#define RESOLVE_IN_ROOT 0x10
#define DOTDOT_HASH 0 /* of "..", which no seed makes unforeseeable and no name has */
#define NAME_WORDS 32 /* of the longest name, and the word with its end */
#define STACKED 4     /* mounts on top of each other */

#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL
#define SLASHES (ONES * '/')

/* The lowest bit that is set is that of the first byte that ends a name. */
static __always_inline __u64 name_ends(__u64 word)
{
	__u64 slash = word ^ SLASHES;

	return ((word - ONES) & ~word & HIGHS) | ((slash - ONES) & ~slash & HIGHS);
}

/* Hashes the name at off, as name_hash does. Returns where it ends; more than PATH_MAX if it is no name of a file. */
GLOBAL unsigned int name_end(__u32 slot, __u32 off)
{
	struct guard_asked *a = bpf_map_lookup_elem(&guard_asked, &slot);
	__u64 hash = guard_seed, word, ends, below;
	__u32 i, at = off;

	if (!a)
		return 2 * PATH_MAX;
	for (i = 0; i < NAME_WORDS; i++) {
		word = *(__u64 *)(a->path + (at & (PATH_MAX - 1)));
		ends = name_ends(word);
		if (ends) {
			below = ((ends & -ends) >> 7) - 1;
			a->hash = word_hash(hash, word & below);
			return at + ((below & ONES) * ONES >> 56);
		}
		hash = word_hash(hash, word);
		at += 8;
	}
	return 2 * PATH_MAX;
}

static __always_inline void stand_at(struct guard_asked *a, __u64 dentry)
{
	struct inode *inode = BPF_CORE_READ((struct dentry___guard *)dentry, d_inode);

	a->dentry = dentry;
	a->dev = device_of(inode);
	a->ino = BPF_CORE_READ(inode, i_ino);
}

static __always_inline struct guard_step *step_from(struct guard_asked *a, __u64 hash, __u32 generation)
{
	struct guard_entry key = {};

	key.generation = generation;
	key.dev = a->dev;
	key.ino = a->ino;
	key.name = hash;
	return bpf_map_lookup_elem(&guard_steps, &key);
}

/* Goes on from the directory that the path has led to so far. */
static __always_inline void enter(struct guard_asked *a, __u32 generation)
{
	struct guard_step *to = a->unknown ? 0 : step_from(a, a->pending, generation);

	if (!to) {
		a->unknown++;
		return;
	}
	a->dev = to->dev;
	a->ino = to->ino;
	a->down++;
	if (to->link)
		a->away = 1;
}

static __always_inline void leave(struct guard_asked *a, __u32 generation)
{
	struct guard_step *to;
	struct mount *mount;
	struct dentry *at;
	int i;

	if (a->unknown) {
		a->unknown--;
		return;
	}
	if (a->down || a->away) {
		to = step_from(a, DOTDOT_HASH, generation);
		if (!to) {
			a->lost = 1;
			return;
		}
		a->dev = to->dev;
		a->ino = to->ino;
		if (!a->away)
			a->down--;
		return;
	}
	/* Above where it started from: these directories are at hand. */
	at = (struct dentry *)a->dentry;
	mount = (struct mount *)a->mount;
	for (i = 0; i < STACKED; i++) {
		if (BPF_CORE_READ(mount, mnt.mnt_root) != at || ((__u64)at == a->root && (__u64)mount == a->root_mount))
			break;
		if (BPF_CORE_READ(mount, mnt_parent) == mount)
			return; /* the root of all */
		at = BPF_CORE_READ(mount, mnt_mountpoint);
		mount = BPF_CORE_READ(mount, mnt_parent);
	}
	a->mount = (__u64)mount;
	if ((__u64)at != a->root || (__u64)mount != a->root_mount)
		at = (struct dentry *)parent_of((__u64)at);
	stand_at(a, (__u64)at);
}

/* One name of the path. Returns whether there are more. */
GLOBAL int asked_step(__u32 slot, __u32 generation)
{
	struct guard_asked *a = bpf_map_lookup_elem(&guard_asked, &slot);
	__u32 off, end, len;
	__u16 dots;

	if (!a || a->lost)
		return 0;
	off = a->off;
	end = name_end(slot, off);
	if (end >= PATH_MAX) {
		a->lost = 1; /* the kernel takes no such path */
		return 0;
	}
	len = end - off;
	a->off = end + 1;
	dots = *(__u16 *)(a->path + (off & (PATH_MAX - 1)));
	if (len) {
		if (a->named)
			enter(a, generation);
		a->named = 0;
		if (len == 2 && dots == ('.' | '.' << 8)) {
			leave(a, generation);
		} else if (len > 1 || (dots & 0xff) != '.') {
			a->named = 1;
			a->pending = a->hash;
			a->name = off;
			a->name_end = end;
		}
	}
	return a->path[end & (PATH_MAX - 1)] != 0;
}

GLOBAL int asked_steps(__u32 slot, __u32 generation)
{
	int i;

	for (i = 0; i < 64; i++) {
		if (!asked_step(slot, generation))
			return 0;
	}
	return 1;
}

/* Walks the whole path: PATH_MAX bytes can be 2,048 names. */
GLOBAL int asked_walk(__u32 slot, __u32 generation)
{
	struct guard_asked *a = bpf_map_lookup_elem(&guard_asked, &slot);
	int i;

	for (i = 0; i < 32 + 1; i++) {
		if (!asked_steps(slot, generation))
			break;
	}
	if (a && a->named)
		a->path[a->name_end & (PATH_MAX - 1)] = 0; /* slashes at its end are no part of the name */
	return 0;
}

GLOBAL __u64 register_of(__u64 regs, __u32 n)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct syscall_args s = {};

	if (!n || n > 4)
		return 0;
	syscall_args(&s, (struct pt_regs *)regs, is_compat(task));
	/* The compiler makes no index of this that the verifier would follow. */
	return n == 1 ? s.arg[0] : n == 2 ? s.arg[1] : n == 3 ? s.arg[2] : s.arg[3];
}

/* What an open asks for, and what its record says of it. */
static __always_inline __u32 open_wants(struct guard_asked *a, struct guard_call *call, __u64 regs)
{
	struct open_how how = {};
	__u32 access;

	switch (call->how) {
	case BY_OPEN:
		how.flags = (__u32)register_of(regs, 2);
		how.mode = register_of(regs, 3);
		break;
	case BY_CREAT:
		how.flags = O_CREAT | O_WRONLY | O_TRUNC;
		how.mode = register_of(regs, 2);
		break;
	case BY_OPENAT:
		how.flags = (__u32)register_of(regs, 3);
		how.mode = register_of(regs, 4);
		break;
	case BY_OPENAT2:
		bpf_probe_read_user(&how, sizeof(how), (void *)register_of(regs, 3));
		break;
	default:
		return call->access[0];
	}
	a->flags = how.flags;
	a->mode = how.mode;
	a->rooted = how.resolve & RESOLVE_IN_ROOT;
	if (how.flags & O_CREAT)
		a->marks &= ~FILE_NO_MODE;
	if (how.flags & O_PATH)
		return 0; /* what is done with such a descriptor is asked about then */
	access = (how.flags & O_ACCMODE) == O_WRONLY ? ACCESS_WRITE : ACCESS_READ;
	if ((how.flags & O_ACCMODE) == O_RDWR)
		access |= ACCESS_WRITE;
	if (how.flags & O_TRUNC)
		access |= ACCESS_TRUNCATE;
	/* Whether it will make the file is not known here. */
	if (how.flags & O_CREAT)
		access |= ACCESS_CREATE;
	return access;
}

static __always_inline __u64 mount_of(struct vfsmount *mnt)
{
	return mnt ? (__u64)mnt - bpf_core_field_offset(struct mount, mnt) : 0;
}

/* Says what of a call to ask about: its access. Where there is something, the path is in the slot, and where it starts from. */
GLOBAL int asked_read(__u64 regs, __u32 number, __u32 which, __u32 slot)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct guard_asked *a = bpf_map_lookup_elem(&guard_asked, &slot);
	struct guard_call *call = bpf_map_lookup_elem(&guard_calls, &number);
	__u32 access, path, dirfd;
	struct file *file = 0;
	struct fs_struct___guard *fs;
	__u64 at;
	long n;

	if (!a || !call)
		return 0;
	path = which ? call->path[1] : call->path[0];
	dirfd = which ? call->dirfd[1] : call->dirfd[0];
	__builtin_memset(a, 0, offsetof(struct guard_asked, path));
	a->self = (__u64)a;
	a->how = call->how;
	a->dirfd = AT_FDCWD;
	a->marks = FILE_NO_DIRFD | FILE_NO_MODE;
	if (number >= CALLS)
		a->marks |= FILE_COMPAT;
	access = which ? call->access[1] : open_wants(a, call, regs);
	if (!(access & (__u16)(has_of((__u64)WORD(guard_generation) << 32) >> 16)))
		return 0;
	if (dirfd) {
		a->dirfd = register_of(regs, dirfd);
		a->marks &= ~FILE_NO_DIRFD;
	}
	at = register_of(regs, path);
	n = at ? bpf_probe_read_user_str(a->path, PATH_MAX, (void *)at) : 1;
	if (n < 0) {
		count_lost(LOST_UNREAD);
		return 0;
	}
	fs = (struct fs_struct___guard *)BPF_CORE_READ(task, fs);
	a->root = (__u64)BPF_CORE_READ(fs, root.dentry);
	a->root_mount = mount_of(BPF_CORE_READ(fs, root.mnt));
	if (n <= 1) {
		/* No path: about what the descriptor is for. An empty one counts 1 byte, and 0 on older kernels. */
		a->path[0] = 0;
		a->file = (__u64)file_of(task, a->dirfd);
		return a->file ? access : 0;
	}
	a->mount = a->root_mount;
	a->dentry = a->root;
	if (a->path[0] != '/' || a->rooted) {
		a->marks |= FILE_BASED;
		if (a->dirfd != AT_FDCWD) {
			file = file_of(task, a->dirfd);
			a->dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
			a->mount = mount_of(BPF_CORE_READ(file, f_path.mnt));
		} else {
			a->dentry = (__u64)BPF_CORE_READ(fs, pwd.dentry);
			a->mount = mount_of(BPF_CORE_READ(fs, pwd.mnt));
		}
	}
	if (a->rooted) {
		a->root = a->dentry;
		a->root_mount = a->mount;
	}
	a->start = a->dentry;
	a->start_mount = a->mount;
	stand_at(a, a->dentry);
	return access;
}

/* The rules about what is below that directory; notes which of the globs are about names below it. */
static __always_inline __u64 below(struct guard_asked *a, __u32 dev, __u64 ino, __u64 decided, __u64 ask)
{
	struct guard_object key = {};
	struct guard_tree *tree;

	key.generation = ASK_GENERATION(ask);
	key.dev = dev;
	key.ino = ino;
	tree = bpf_map_lookup_elem(&guard_trees, &key);
	if (!tree)
		return decided;
	a->globs |= tree->globs;
	return scan(tree->list.first, tree->list.count, decided, ask, MATCH_TREE);
}

/* The same of the last directory that is known and of those above it, STEP of them. */
GLOBAL __u64 above(__u32 slot, __u64 decided, __u64 ask)
{
	struct guard_asked *a = bpf_map_lookup_elem(&guard_asked, &slot);
	struct guard_step *to;
	int i;

	for (i = 0; i < STEP; i++) {
		if (!a || a->lost)
			break;
		decided = below(a, a->dev, a->ino, decided, ask);
		to = step_from(a, DOTDOT_HASH, ASK_GENERATION(ask));
		if (!to) {
			a->lost = 1; /* there are no more */
			break;
		}
		a->dev = to->dev;
		a->ino = to->ino;
	}
	return decided;
}

GLOBAL __u64 by_last_name(__u64 dev, __u64 ino, __u64 name, __u64 decided, __u64 ask)
{
	return by_name(dev, ino, name, decided, ask);
}

/* Which rule decides about a path that was walked. */
GLOBAL __u64 asked_decide(__u32 slot, __u64 ask)
{
	struct guard_asked *a = bpf_map_lookup_elem(&guard_asked, &slot);
	__u64 decided = RULE_NONE, globs = 0, anywhere, has = has_of(ask), name;
	struct guard_step *to;
	bool known;
	int i;

	if (!a)
		return decided;
	known = !a->unknown && !a->lost;
	if (a->named) {
		name = a->self + offsetof(struct guard_asked, path) + (a->name & (PATH_MAX - 1));
		if (has & (HAS_ENTRIES | HAS_NAMES | HAS_GLOBS))
			decided = by_last_name(known ? a->dev : 0, known ? a->ino : 0, name, decided, ask);
		if (has >> HAS_WIDE_SHIFT & 63) {
			globs = wide_globs(name, has >> HAS_WIDE_SHIFT & 63, ask);
			anywhere = globs & (__u32)(has >> 32);
			if (anywhere)
				decided = scan_wide(anywhere, decided, ask);
			globs &= ~anywhere;
		}
		to = known ? step_from(a, a->pending, ASK_GENERATION(ask)) : 0;
		if (to && (has & HAS_TREES)) /* it is the directory itself */
			decided = below(a, to->dev, to->ino, decided, ask);
	}
	if (a->lost || (!(has & HAS_TREES) && !globs))
		return decided;
	if (!a->away)
		decided = by_tree(a->dentry, a->mount, decided, ask, globs);
	if (a->down || a->away) {
		a->globs = 0;
		for (i = 0; i < CLIMB_MAX / STEP; i++)
			decided = above(slot, decided, ask);
		decided = scan_wide(a->globs & globs, decided, ask);
	}
	return decided;
}

#endif
