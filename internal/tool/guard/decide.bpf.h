/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which rule decides. What a file is, where it is and how it is called each lead to a list of rules by one look-up; of
 * all rules in those lists the first that is about this access and this process decides. So what a question costs
 * depends on how deep the file lies, and not on how many rules there are.
 *
 * All state is in registers and on the stack: from 6.x on such a program may be preempted on its CPU, and the same
 * program run there for another task.
 */
#ifndef SONDE_GUARD_DECIDE_BPF_H
#define SONDE_GUARD_DECIDE_BPF_H

/* A decision: the rule's index, and by what it was found. */
#define RULE_BITS 24
#define RULE_NONE ((1U << RULE_BITS) - 1)
#define RULE_OF(decided) ((decided) & RULE_NONE)
#define MATCH_OF(decided) ((decided) >> RULE_BITS)
#define DECIDED(rule, match) ((__u64)(rule) | (__u64)(match) << RULE_BITS)

#define GLOBAL __attribute__((noinline))

/* What rule_at says where its rule does not apply, and the next one may. */
#define NOT_IT 0x7fffffff

/*
 * Looks at the rule at a place in the lists: a decision if it is about this access and this process, NOT_IT if it is not, and what
 * was decided so far where the list ends or goes on with later rules. A chain of calls has 8 frames, and this is the seventh.
 */
GLOBAL __u64 rule_at(__u64 index, __u64 end, __u64 decided, __u64 ask, __u64 match)
{
	__u32 at = index, *listed, rule, i;
	struct guard_rule *r;

	if (index >= end)
		return decided;
	listed = bpf_map_lookup_elem(&guard_lists, &at);
	if (!listed)
		return decided;
	rule = *listed;
	if (rule >= RULE_OF(decided))
		return decided;
	at = half_of(ask, guard_rules_half) + rule;
	r = bpf_map_lookup_elem(&guard_rules, &at);
	if (!r || rule >= guard_rules_half || !(r->access & ASK_ACCESS(ask)))
		return NOT_IT;
	for (i = 0; i <= EXCEPTS_MAX; i++) {
		if (i > r->excepts)
			break;
		/* The first must be so, the others must not. */
		if ((i || r->who[i]) && who_meant(rule * (1 + EXCEPTS_MAX) + i, r->who[i], ASK_GENERATION(ask)) != !i)
			return NOT_IT;
	}
	return DECIDED(rule, match);
}

/* The first rule of a list that applies and comes before the one found so far. */
GLOBAL __u64 scan(__u64 first, __u64 count, __u64 decided, __u64 ask, __u64 match)
{
	__u64 end, is;
	int i;

	if (ask & ASK_LEARN) {
		learn_list(first, count, match);
		return decided;
	}
	/* Not in the loop: 6.1 looks at both ways through it in each turn. */
	first += half_of(ask, guard_lists_half);
	end = first + count;
	barrier_var(first);
	barrier_var(end);
	for (i = 0; i < LIST_MAX; i++) {
		is = rule_at(first, end, decided, ask, match);
		if (is != NOT_IT)
			return is;
		first++;
	}
	return decided;
}

/* Names are read in pieces: all frames of a chain of calls have 512 bytes together. */
#define PIECE 32
#define PIECES 8

/* Reads bytes of a name from off on, and zeros behind its end. Returns how many bytes there were, the NUL among them. */
static __always_inline long piece_read(char *to, __u64 name, __u32 off)
{
	__builtin_memset(to, 0, PIECE + 8);
	return bpf_probe_read_kernel_str(to, PIECE + 1, (void *)(name + off));
}

/* Whether the name ends in that piece. */
GLOBAL int piece_ends(__u64 name, __u32 off)
{
	char bytes[PIECE + 8];

	return piece_read(bytes, name, off) <= PIECE;
}

static __always_inline __u64 word_hash(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

GLOBAL __u64 piece_hash(__u64 name, __u32 off, __u64 hash)
{
	__u64 words[PIECE / 8 + 1];
	long len = piece_read((char *)words, name, off);
	int i;

	for (i = 0; i < PIECE / 8; i++) {
		if (i * 8 >= len)
			break;
		hash = word_hash(hash, words[i]);
	}
	return hash;
}

/* Of a name at an address in the kernel. */
GLOBAL __u64 name_hash(__u64 name)
{
	__u64 hash = guard_seed;
	__u32 off;

	for (off = 0; off < PIECES * PIECE; off += PIECE) {
		hash = piece_hash(name, off, hash);
		if (piece_ends(name, off))
			break;
	}
	return hash;
}

/* Lets the machine of a glob read a piece of a name. Returns its state, or 0 where nothing can match any more. */
GLOBAL __u64 piece_glob(__u64 name, __u32 off, __u64 state, __u32 at)
{
	struct guard_glob *g = bpf_map_lookup_elem(&guard_globs, &at);
	unsigned char bytes[PIECE + 8];
	int i;

	piece_read((char *)bytes, name, off);
	if (!g)
		return 0;
	for (i = 0; i < PIECE; i++) {
		if (!bytes[i])
			break;
		state = (state << 1 & g->next[bytes[i]]) | (state & g->stay);
	}
	return state;
}

/* Whether a name matches a glob. */
GLOBAL int glob_matches(__u64 name, __u32 glob, __u64 ask)
{
	__u32 at = half_of(ask, guard_globs_half) + glob, off;
	struct guard_glob *g;
	__u64 state = 1;

	if (glob >= guard_globs_half)
		return 0;
	for (off = 0; off < PIECES * PIECE; off += PIECE) {
		state = piece_glob(name, off, state, at);
		if (!state || piece_ends(name, off))
			break;
	}
	g = bpf_map_lookup_elem(&guard_globs, &at);
	return g && (state & g->accept) != 0;
}

/* The rule of a glob, if it comes before the one found so far. */
static __always_inline __u64 glob_rule(struct guard_glob *g, __u64 decided, __u64 ask)
{
	__u64 first = g->list.first + half_of(ask, guard_lists_half), is;

	if (ask & ASK_LEARN) {
		learn_list(g->list.first, g->list.count, MATCH_GLOB);
		return decided;
	}
	is = rule_at(first, first + 1, decided, ask, MATCH_GLOB);
	return is == NOT_IT ? decided : is;
}

GLOBAL __u64 scan_globs_turn(__u64 index, __u64 decided, __u64 ask, __u64 name)
{
	__u32 at = half_of(ask, guard_lists_half) + index, *glob;
	struct guard_glob *g;

	glob = bpf_map_lookup_elem(&guard_lists, &at);
	if (!glob)
		return decided;
	at = half_of(ask, guard_globs_half) + *glob;
	g = bpf_map_lookup_elem(&guard_globs, &at);
	if (!g || g->rule >= RULE_OF(decided) || !glob_matches(name, *glob, ask))
		return decided;
	return glob_rule(g, decided, ask);
}

#define AT_ONCE 8 /* turns of an inner loop where the outer one has not many */

GLOBAL __u64 scan_globs_some(__u64 index, __u64 end, __u64 decided, __u64 ask, __u64 name)
{
	int i;

	for (i = 0; i < AT_ONCE; i++) {
		if (index >= end)
			break;
		decided = scan_globs_turn(index, decided, ask, name);
		index++;
	}
	return decided;
}

/* The same for a list of globs: any of them may be the first that matches. */
GLOBAL __u64 scan_globs(__u64 index, __u64 count, __u64 decided, __u64 ask, __u64 name)
{
	__u64 end = index + count;
	int i;

	for (i = 0; i < GLOBS_MAX / AT_ONCE; i++) {
		if (index >= end)
			break;
		decided = scan_globs_some(index, end, decided, ask, name);
		index += AT_ONCE;
	}
	return decided;
}

/* The bit of a wide glob, if it matches the name. A branch in the loop below would double the ways through it with each turn. */
GLOBAL __u64 glob_bit(__u64 name, __u64 glob, __u64 ask)
{
	return glob_matches(name, glob, ask) ? 1U << (glob & 31) : 0;
}

GLOBAL __u64 wide_globs_some(__u64 name, __u64 glob, __u64 end, __u64 ask)
{
	__u64 hits = 0;
	int i;

	for (i = 0; i < AT_ONCE; i++) {
		if (glob >= end)
			break;
		hits |= glob_bit(name, glob, ask);
		glob++;
	}
	return hits;
}

/* Which of the wide globs match the name. */
GLOBAL __u64 wide_globs(__u64 name, __u64 count, __u64 ask)
{
	__u64 hits = 0;
	__u32 i;

	for (i = 0; i < WIDE_MAX; i += AT_ONCE) {
		if (i >= count)
			break;
		hits |= wide_globs_some(name, i, count, ask);
	}
	return hits;
}

/* How many of the lowest 32 bits are set. */
static __always_inline __u64 bits_set(__u64 word)
{
	word -= word >> 1 & 0x55555555;
	word = (word & 0x33333333) + (word >> 2 & 0x33333333);
	word = (word + (word >> 4)) & 0x0f0f0f0f;
	return (word * 0x01010101 & 0xffffffff) >> 24;
}

/* The rule of the wide glob that is the lowest bit. */
GLOBAL __u64 scan_wide_turn(__u64 hits, __u64 decided, __u64 ask)
{
	__u32 at = half_of(ask, guard_globs_half) + bits_set((hits & -hits) - 1);
	struct guard_glob *g = bpf_map_lookup_elem(&guard_globs, &at);

	if (!g || g->rule >= RULE_OF(decided))
		return decided;
	return glob_rule(g, decided, ask);
}

GLOBAL __u64 scan_wide_some(__u64 hits, __u64 decided, __u64 ask)
{
	int i;

	for (i = 0; i < AT_ONCE; i++) {
		if (!hits)
			break;
		decided = scan_wide_turn(hits, decided, ask);
		hits &= hits - 1;
	}
	return decided;
}

/* The first rule of these wide globs that applies. */
GLOBAL __u64 scan_wide(__u64 hits, __u64 decided, __u64 ask)
{
	int i;

	for (i = 0; i < WIDE_MAX; i += AT_ONCE) {
		if (!hits)
			break;
		decided = scan_wide_some(hits & ((1 << AT_ONCE) - 1ULL) << i, decided, ask);
		hits &= ~(((1 << AT_ONCE) - 1ULL) << i);
	}
	return decided;
}

static __always_inline void object_key(struct guard_object *key, struct inode *inode, __u64 ask)
{
	key->generation = ASK_GENERATION(ask);
	key->dev = device_of(inode);
	key->ino = BPF_CORE_READ(inode, i_ino);
}

/* Whether it is still the file that was first seen under that number, and not another that was given the number of one that is gone. */
static __always_inline bool same_inode(__u32 *seen, __u32 *generation, __u64 inode)
{
	struct inode___guard *i = (struct inode___guard *)inode;
	__u32 now = BPF_CORE_READ(i, i_generation);

	if (!*seen) {
		*generation = now;
		*seen = 1;
	}
	return *generation == now;
}

GLOBAL __u64 by_object(__u64 inode, __u64 decided, __u64 ask)
{
	struct guard_watched *w;
	struct guard_object key;

	object_key(&key, (struct inode *)inode, ask);
	w = bpf_map_lookup_elem(&guard_objects, &key);
	if (!w || !same_inode(&w->seen, &w->inode_generation, inode))
		return decided;
	return scan(w->list.first, w->list.count, decided, ask, MATCH_OBJECT);
}

GLOBAL __u64 by_learnt(__u64 inode, __u64 decided, __u64 ask)
{
	struct inode___guard *node = (struct inode___guard *)inode;
	struct guard_learnt *known;
	struct guard_object key;
	__u32 i;

	object_key(&key, (struct inode *)inode, ask);
	known = bpf_map_lookup_elem(&guard_learnt, &key);
	if (!known || known->inode_generation != BPF_CORE_READ(node, i_generation))
		return decided;
	for (i = 0; i < LEARNT_LISTS; i++)
		decided = scan(known->lists[i].first, known->lists[i].count, decided, ask, MATCH_LEARNT);
	return decided;
}

/* By a name in the directory of that device and inode number. */
static __always_inline __u64 by_name(__u32 dev, __u64 ino, __u64 name, __u64 decided, __u64 ask)
{
	struct guard_object dir = {};
	struct guard_entry entry = {};
	struct guard_name any = {};
	struct guard_list *list;
	__u64 has = has_of(ask);

	dir.generation = ASK_GENERATION(ask);
	dir.dev = dev;
	dir.ino = ino;
	if (has & (HAS_ENTRIES | HAS_NAMES))
		any.name = name_hash(name);
	if (has & HAS_ENTRIES) {
		entry.generation = dir.generation;
		entry.dev = dir.dev;
		entry.ino = dir.ino;
		entry.name = any.name;
		list = bpf_map_lookup_elem(&guard_entries, &entry);
		if (list)
			decided = scan(list->first, list->count, decided, ask, MATCH_ENTRY);
	}
	if (has & HAS_NAMES) {
		any.generation = dir.generation;
		list = bpf_map_lookup_elem(&guard_names, &any);
		if (list)
			decided = scan(list->first, list->count, decided, ask, MATCH_NAME);
	}
	if (has & HAS_GLOBS) {
		list = bpf_map_lookup_elem(&guard_dir_globs, &dir);
		if (list)
			decided = scan_globs(list->first, list->count, decided, ask, name);
	}
	return decided;
}

/* What is found on the way up: a decision, and in the upper half which of the wide globs are about what is below. */
#define FOUND(decided, globs) ((__u32)(decided) | (__u64)(globs) << 32)

GLOBAL __u64 tree_at(__u64 directory, __u64 dev, __u64 found, __u64 ask, __u64 globs)
{
	struct inode *inode = (struct inode *)directory;
	struct guard_object key = {};
	struct guard_tree *tree;

	key.generation = ASK_GENERATION(ask);
	key.dev = device_on(inode, dev);
	key.ino = BPF_CORE_READ(inode, i_ino);
	tree = bpf_map_lookup_elem(&guard_trees, &key);
	if (!tree)
		return found;
	found |= (tree->globs & globs) << 32;
	if (!same_inode(&tree->seen, &tree->inode_generation, directory))
		return found;
	return FOUND(scan(tree->list.first, tree->list.count, (__u32)found, ask, MATCH_TREE), found >> 32);
}

/* What a climb needs of a directory. It lies side by side in every kernel so far, and one read is enough then. */
struct climbed {
	__u64 parent, name[2], inode;
};

#define PARENT_AT bpf_core_field_offset(struct dentry, d_parent)

static __always_inline void climbed_read(struct climbed *to, __u64 dentry)
{
	struct dentry___guard *d = (struct dentry___guard *)dentry;

	if (bpf_core_field_offset(struct dentry___guard, d_inode) == PARENT_AT + offsetof(struct climbed, inode)) {
		bpf_probe_read_kernel(to, sizeof(*to), (void *)(dentry + PARENT_AT));
		return;
	}
	to->parent = (__u64)BPF_CORE_READ(d, d_parent);
	to->inode = (__u64)BPF_CORE_READ(d, d_inode);
}

/* The directory of a directory; itself, if it is the root of its file system. */
static __always_inline __u64 parent_of(__u64 dentry)
{
	__u64 parent = dentry;

	bpf_probe_read_kernel(&parent, sizeof(parent), (void *)(dentry + PARENT_AT));
	return parent;
}

static __always_inline __u32 dev_of(__u64 dentry)
{
	return BPF_CORE_READ((struct dentry___guard *)dentry, d_sb, s_dev);
}

/*
 * The rules about what is below a directory, and below those above it, STEP of them, but not above the root. Long loops
 * are two loops, the inner one in a global function: the verifier looks at such a function once, so that it looks at 16 and
 * 16 turns in the place of 256. What is done in a turn is a function too, for the same reason.
 */
GLOBAL __u64 trees_step(__u64 dentry, __u64 found, __u64 ask, __u64 globs)
{
	__u64 dev = dev_of(dentry);
	struct climbed at;
	int i;

	for (i = 0; i < STEP; i++) {
		climbed_read(&at, dentry);
		found = tree_at(at.inode, dev, found, ask, globs);
		if (at.parent == dentry)
			break;
		dentry = at.parent;
	}
	return found;
}

/* Goes up STEP directories; 0 if that leads over the root of the file system. */
GLOBAL __u64 climb(__u64 dentry)
{
	__u64 up;
	int i;

	for (i = 0; i < STEP; i++) {
		up = parent_of(dentry);
		if (up == dentry)
			return 0;
		dentry = up;
	}
	return dentry;
}

/* The mount that a mount is mounted on; 0 if there is none, or it is not known. */
static __always_inline __u64 over(__u64 mount)
{
	__u64 parent = mount ? (__u64)BPF_CORE_READ((struct mount *)mount, mnt_parent) : 0;

	return parent == mount ? 0 : parent;
}

/* What a climb goes on with that has come to up: that, or where the mount is mounted; 0 if that is nowhere. */
GLOBAL __u64 next_dentry(__u64 up, __u64 mount)
{
	if (up)
		return up;
	return over(mount) ? (__u64)BPF_CORE_READ((struct mount *)mount, mnt_mountpoint) : 0;
}

GLOBAL __u64 next_mount(__u64 up, __u64 mount)
{
	return up ? mount : over(mount);
}

/* For what lies deeper than we climb: taken to be below every tree. Those rules are in the list of the object 0. */
GLOBAL __u64 too_deep(__u64 decided, __u64 ask)
{
	struct guard_object key = {};
	struct guard_tree *tree;

	key.generation = ASK_GENERATION(ask);
	tree = bpf_map_lookup_elem(&guard_trees, &key);
	if (tree)
		decided = scan(tree->list.first, tree->list.count, decided, ask, MATCH_DEPTH);
	return decided;
}

/*
 * Climbs from a dentry to the root of its file system, and from where that is mounted to the root of that one, and so
 * on. Above the root of a mount too: what is below a directory is so through a bind mount of one of its parts as well.
 */
GLOBAL __u64 by_tree(__u64 dentry, __u64 mount, __u64 decided, __u64 ask, __u64 globs)
{
	__u64 found = decided, up;
	int i;

	for (i = 0; i < CLIMB_MAX / STEP; i++) {
		found = trees_step(dentry, found, ask, globs);
		up = climb(dentry);
		dentry = next_dentry(up, mount);
		if (!dentry)
			return scan_wide(found >> 32, (__u32)found, ask);
		mount = next_mount(up, mount);
	}
	return too_deep(scan_wide(globs, (__u32)found, ask), ask);
}

/* What a hook is asked about: a file, or a name in a directory with or without a file behind it. */
struct subject {
	struct dentry *dentry;
	struct mount *mount; /* NULL where the hook is not told */
	struct inode *inode; /* NULL where there is none yet */
};

static __always_inline void subject_read(struct subject *s, __u64 subject, __u64 ask)
{
	struct file *file = (struct file *)subject;
	struct vfsmount *mnt;

	if (ask & ASK_FILE) {
		s->dentry = BPF_CORE_READ(file, f_path.dentry);
		mnt = BPF_CORE_READ(file, f_path.mnt);
		s->mount = mnt ? (void *)mnt - bpf_core_field_offset(struct mount, mnt) : 0;
		s->inode = BPF_CORE_READ(file, f_inode);
	} else {
		s->dentry = (struct dentry *)subject;
		s->mount = 0;
		s->inode = BPF_CORE_READ((struct dentry___guard *)subject, d_inode);
	}
}

/* How many mounts on top of each other a name is looked for under. */
#define STACKED_MOUNTS 4

static __always_inline __u64 name_of(struct dentry *d)
{
	return (__u64)BPF_CORE_READ(d, d_name.name);
}

GLOBAL __u64 by_dentry(__u64 dentry, __u64 decided, __u64 ask)
{
	struct dentry *d = (struct dentry *)dentry;
	struct inode *dir = BPF_CORE_READ((struct dentry___guard *)d, d_parent, d_inode);

	return by_name(device_of(dir), BPF_CORE_READ(dir, i_ino), name_of(d), decided, ask);
}

/* Where a mount is mounted whose root that is; 0 if it is not, or nowhere. */
GLOBAL __u64 mounted_on(__u64 dentry, __u64 mount)
{
	if (!mount || (__u64)BPF_CORE_READ((struct mount *)mount, mnt.mnt_root) != dentry)
		return 0;
	return next_dentry(0, mount);
}

static __always_inline __u64 by_names(struct subject *s, __u64 decided, __u64 ask)
{
	__u64 dentry = (__u64)s->dentry, mount = (__u64)s->mount;
	int i;

	decided = by_dentry(dentry, decided, ask);
	/* What is mounted somewhere also has the name that it is mounted on. */
	for (i = 0; i < STACKED_MOUNTS; i++) {
		dentry = mounted_on(dentry, mount);
		if (!dentry)
			break;
		mount = next_mount(0, mount);
		decided = by_dentry(dentry, decided, ask);
	}
	return decided;
}

#define HAS_PLACES (HAS_ENTRIES | HAS_NAMES | HAS_GLOBS | HAS_TREES)

/* By where it is and how it is called there. */
static __always_inline __u64 by_place(struct subject *s, __u64 decided, __u64 ask, __u64 has)
{
	__u64 globs = 0, anywhere;

	if (has & (HAS_ENTRIES | HAS_NAMES | HAS_GLOBS))
		decided = by_names(s, decided, ask);
	if (has >> HAS_WIDE_SHIFT & 63) {
		globs = wide_globs(name_of(s->dentry), has >> HAS_WIDE_SHIFT & 63, ask);
		anywhere = globs & (__u32)(has >> 32);
		if (anywhere)
			decided = scan_wide(anywhere, decided, ask);
		globs &= ~anywhere;
	}
	if ((has & HAS_TREES) || globs)
		decided = by_tree((__u64)s->dentry, (__u64)s->mount, decided, ask, globs);
	return decided;
}

GLOBAL int learn(__u64 subject, __u64 ask)
{
	__u64 task = bpf_get_current_pid_tgid(), has = has_of(ask);
	struct guard_learning about = {};
	struct inode___guard *inode;
	struct subject s = {};

	if (!(has & HAS_PLACES) && !(has >> HAS_WIDE_SHIFT & 63))
		return 0;
	subject_read(&s, subject, ask);
	inode = (struct inode___guard *)s.inode;
	if (!inode)
		return 0;
	object_key(&about.object, s.inode, ask);
	about.inode_generation = BPF_CORE_READ(inode, i_generation);
	about.directory = (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR;
	if (bpf_map_update_elem(&guard_learning, &task, &about, BPF_ANY)) {
		learnt_full();
		return 0;
	}
	by_place(&s, RULE_NONE, ask | ASK_LEARN, has);
	bpf_map_delete_elem(&guard_learning, &task);
	return 0;
}

/* Returns a decision, RULE_NONE if no rule applies. */
static __always_inline __u64 decide(__u64 subject, __u64 ask)
{
	__u64 decided = RULE_NONE;
	__u64 has = has_of(ask);
	struct subject s = {};

	if (!(ASK_ACCESS(ask) & (__u16)(has >> 16)))
		return decided;
	subject_read(&s, subject, ask);
	if ((has & HAS_OBJECTS) && s.inode)
		decided = by_object((__u64)s.inode, decided, ask);
	if (WORD(guard_learnt_some) && s.inode)
		decided = by_learnt((__u64)s.inode, decided, ask);
	return by_place(&s, decided, ask, has);
}

#endif
