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
#define DECIDED(rule, match) ((rule) | (__u32)(match) << RULE_BITS)

#define GLOBAL __attribute__((noinline))

/* Whether a rule is about this access and this process. A chain of calls has 8 frames, and this is the sixth. */
GLOBAL int rule_applies(__u32 rule, __u64 ask)
{
	__u32 at = half_of(ask, guard_rules_half) + rule, i;
	struct guard_rule *r = bpf_map_lookup_elem(&guard_rules, &at);

	if (!r || rule >= guard_rules_half || !(r->access & ASK_ACCESS(ask)))
		return 0;
	for (i = 0; i <= EXCEPTS_MAX; i++) {
		if (i > r->excepts)
			break;
		/* The first must be so, the others must not. */
		if ((i || r->who[i]) && who_is(rule * (1 + EXCEPTS_MAX) + i, r->who[i], ASK_GENERATION(ask)) != !i)
			return 0;
	}
	return 1;
}

/* The first rule of a list that applies and comes before the one found so far. */
GLOBAL unsigned int scan(__u32 first, __u32 count, __u32 decided, __u64 ask, __u32 match)
{
	__u32 at, i, *rule;

	if (ask & ASK_LEARN) {
		learn_list(first, count, match);
		return decided;
	}
	/* Not in the loop: 6.1 looks at both ways through it in each turn. */
	first += half_of(ask, guard_lists_half);
	barrier_var(first);
	for (i = 0; i < LIST_MAX; i++) {
		if (i >= count)
			break;
		at = first + i;
		rule = bpf_map_lookup_elem(&guard_lists, &at);
		if (!rule || *rule >= RULE_OF(decided))
			break;
		if (rule_applies(*rule, ask))
			return DECIDED(RULE_OF(*rule), match);
	}
	return decided;
}

/* Names are read in pieces: all frames of a chain of calls have 512 bytes together. */
#define PIECE 64
#define PIECES 4

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

GLOBAL unsigned int scan_globs_turn(__u32 index, __u32 decided, __u64 ask, __u64 name)
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
	if (ask & ASK_LEARN)
		learn_list(g->list.first, g->list.count, MATCH_GLOB);
	else if (rule_applies(g->rule, ask))
		return DECIDED(RULE_OF(g->rule), MATCH_GLOB);
	return decided;
}

/* The same for a list of globs: any of them may be the first that matches. */
GLOBAL unsigned int scan_globs(__u32 first, __u32 count, __u32 decided, __u64 ask, __u64 name)
{
	__u32 i;

	for (i = 0; i < GLOBS_MAX; i++) {
		if (i >= count)
			break;
		decided = scan_globs_turn(first + i, decided, ask, name);
	}
	return decided;
}

/* The bit of a wide glob, if it matches the name. A branch in the loop below would double the ways through it with each turn. */
GLOBAL unsigned int glob_bit(__u64 name, __u32 glob, __u64 ask)
{
	return glob_matches(name, glob, ask) ? 1U << (glob & 31) : 0;
}

/* Which of the wide globs match the name. */
GLOBAL unsigned int wide_globs(__u64 name, __u32 count, __u64 ask)
{
	__u32 i, hits = 0;

	for (i = 0; i < WIDE_MAX; i++) {
		if (i >= count)
			break;
		hits |= glob_bit(name, i, ask);
	}
	return hits;
}

GLOBAL unsigned int scan_wide_turn(__u32 glob, __u32 decided, __u64 ask)
{
	__u32 at = half_of(ask, guard_globs_half) + glob;
	struct guard_glob *g = bpf_map_lookup_elem(&guard_globs, &at);

	if (!g || g->rule >= RULE_OF(decided))
		return decided;
	if (ask & ASK_LEARN)
		learn_list(g->list.first, g->list.count, MATCH_GLOB);
	else if (rule_applies(g->rule, ask))
		return DECIDED(RULE_OF(g->rule), MATCH_GLOB);
	return decided;
}

/* The first rule of these wide globs that applies. */
GLOBAL unsigned int scan_wide(__u32 hits, __u32 decided, __u64 ask)
{
	__u32 i;

	for (i = 0; i < WIDE_MAX; i++) {
		if (hits & 1U << i)
			decided = scan_wide_turn(i, decided, ask);
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

GLOBAL unsigned int by_object(__u64 inode, __u32 decided, __u64 ask)
{
	struct guard_watched *w;
	struct guard_object key;

	object_key(&key, (struct inode *)inode, ask);
	w = bpf_map_lookup_elem(&guard_objects, &key);
	if (!w || !same_inode(&w->seen, &w->inode_generation, inode))
		return decided;
	return scan(w->list.first, w->list.count, decided, ask, MATCH_OBJECT);
}

GLOBAL unsigned int by_learnt(__u64 inode, __u32 decided, __u64 ask)
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
GLOBAL unsigned int by_name(__u32 dev, __u64 ino, __u64 name, __u32 decided, __u64 ask)
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

static __always_inline __u32 tree_at(__u64 dentry, __u32 dev, __u32 decided, __u64 ask)
{
	struct dentry___guard *d = (struct dentry___guard *)dentry;
	struct inode *inode = BPF_CORE_READ(d, d_inode);
	struct guard_object key = {};
	struct guard_tree *tree;

	key.generation = ASK_GENERATION(ask);
	key.dev = device_on(inode, dev);
	key.ino = BPF_CORE_READ(inode, i_ino);
	tree = bpf_map_lookup_elem(&guard_trees, &key);
	if (!tree || !same_inode(&tree->seen, &tree->inode_generation, (__u64)inode))
		return decided;
	return scan(tree->list.first, tree->list.count, decided, ask, MATCH_TREE);
}

GLOBAL unsigned int globs_at(__u64 dentry, __u32 dev, __u32 globs, __u64 ask)
{
	struct dentry___guard *d = (struct dentry___guard *)dentry;
	struct inode *inode = BPF_CORE_READ(d, d_inode);
	struct guard_object key = {};
	struct guard_tree *tree;

	key.generation = ASK_GENERATION(ask);
	key.dev = device_on(inode, dev);
	key.ino = BPF_CORE_READ(inode, i_ino);
	tree = bpf_map_lookup_elem(&guard_trees, &key);
	return tree ? tree->globs & globs : 0;
}

/* The directory of a directory; itself, if it is the root of its file system. */
static __always_inline __u64 parent_of(__u64 dentry)
{
	__u64 parent = dentry;

	bpf_probe_read_kernel(&parent, sizeof(parent), (void *)(dentry + bpf_core_field_offset(struct dentry, d_parent)));
	return parent;
}

/*
 * The rules about what is below a directory, and below those above it, STEP of them, but not above the root. Long loops
 * are two loops, the inner one in a global function: the verifier looks at such a function once, so that it looks at 16 and
 * 16 turns in the place of 256.
 */
GLOBAL unsigned int trees_step(__u64 dentry, __u32 dev, __u32 decided, __u64 ask)
{
	__u64 up;
	int i;

	for (i = 0; i < STEP; i++) {
		decided = tree_at(dentry, dev, decided, ask);
		up = parent_of(dentry);
		if (up == dentry)
			break;
		dentry = up;
	}
	return decided;
}

/* Those of the globs that are about names below these directories. */
GLOBAL unsigned int globs_step(__u64 dentry, __u32 dev, __u32 globs, __u64 ask)
{
	__u32 hits = 0;
	__u64 up;
	int i;

	for (i = 0; i < STEP; i++) {
		hits |= globs_at(dentry, dev, globs, ask);
		up = parent_of(dentry);
		if (up == dentry)
			break;
		dentry = up;
	}
	return hits;
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

GLOBAL unsigned int dev_of(__u64 dentry)
{
	return BPF_CORE_READ((struct dentry___guard *)dentry, d_sb, s_dev);
}

/* The mount that a mount is mounted on; 0 if there is none, or it is not known. */
GLOBAL __u64 over(__u64 mount)
{
	__u64 parent = mount ? (__u64)BPF_CORE_READ((struct mount *)mount, mnt_parent) : 0;

	return parent == mount ? 0 : parent;
}

/* For what lies deeper than we climb: taken to be below every tree. Those rules are in the list of the object 0. */
GLOBAL unsigned int too_deep(__u32 decided, __u64 ask)
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
GLOBAL unsigned int by_tree(__u64 dentry, __u64 mount, __u32 decided, __u64 ask, __u32 globs)
{
	__u32 dev = dev_of(dentry), hits = 0;
	__u64 up, next;
	int i;

	for (i = 0; i < CLIMB_MAX / STEP; i++) {
		decided = trees_step(dentry, dev, decided, ask);
		if (globs)
			hits |= globs_step(dentry, dev, globs, ask);
		up = climb(dentry);
		if (!up) {
			next = over(mount);
			if (!next)
				return scan_wide(hits, decided, ask);
			up = (__u64)BPF_CORE_READ((struct mount *)mount, mnt_mountpoint);
			dev = dev_of(up);
			mount = next;
		}
		dentry = up;
	}
	return too_deep(scan_wide(globs, decided, ask), ask);
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

static __always_inline __u32 by_dentry(struct dentry *d, __u32 decided, __u64 ask)
{
	struct inode *dir = BPF_CORE_READ((struct dentry___guard *)d, d_parent, d_inode);

	return by_name(device_of(dir), BPF_CORE_READ(dir, i_ino), name_of(d), decided, ask);
}

static __always_inline __u32 by_names(struct subject *s, __u32 decided, __u64 ask)
{
	struct dentry *dentry = s->dentry;
	struct mount *mount = s->mount;
	int i;

	decided = by_dentry(dentry, decided, ask);
	/* What is mounted somewhere also has the name that it is mounted on. */
	for (i = 0; i < STACKED_MOUNTS; i++) {
		if (!mount || BPF_CORE_READ(mount, mnt.mnt_root) != dentry)
			break;
		dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		if (mount == BPF_CORE_READ(mount, mnt_parent))
			break;
		mount = BPF_CORE_READ(mount, mnt_parent);
		decided = by_dentry(dentry, decided, ask);
	}
	return decided;
}

#define HAS_PLACES (HAS_ENTRIES | HAS_NAMES | HAS_GLOBS | HAS_TREES)

/* By where it is and how it is called there. */
static __always_inline __u32 by_place(struct subject *s, __u32 decided, __u64 ask, __u64 has)
{
	__u32 globs = 0, anywhere;

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
static __always_inline __u32 decide(__u64 subject, __u64 ask)
{
	__u32 decided = RULE_NONE;
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
