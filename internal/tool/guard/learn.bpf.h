/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A file that rules are about because of where it is may be reached from elsewhere: by a hard link, or when it has been
 * moved. So what rules it has is remembered with its identity when it gets another name, when it is moved, and when one that
 * has several names is opened. It is asked for like a decision, with the lists noted in the place of being looked through.
 *
 * It is forgotten when other rules are loaded. The number of an inode that is gone is given to another one in time; its generation
 * then differs.
 */
#ifndef SONDE_GUARD_LEARN_BPF_H
#define SONDE_GUARD_LEARN_BPF_H

static __always_inline void learnt_full(void)
{
	__sync_fetch_and_add(&guard_learnt_full, 1);
}

/* Of the trees around a directory only the innermost is kept. */
static __always_inline void learn_directory(struct guard_learning *about, __u32 first, __u32 count)
{
	struct guard_tree tree = {};
	long err;

	tree.list.first = first;
	tree.list.count = count;
	tree.seen = 1;
	tree.inode_generation = about->inode_generation;
	err = bpf_map_update_elem(&guard_trees, &about->object, &tree, BPF_NOEXIST);
	if (err && err != -EEXIST && (__s32)err != -EEXIST)
		learnt_full();
}

__attribute__((noinline)) int learn_list(__u32 first, __u32 count, __u32 match)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct guard_learning *about = bpf_map_lookup_elem(&guard_learning, &task);
	struct guard_learnt fresh = {}, *known;
	__u32 i;

	if (!about || !count)
		return 0;
	if (about->directory) {
		if (match == MATCH_TREE)
			learn_directory(about, first, count);
		return 0;
	}
	fresh.inode_generation = about->inode_generation;
	known = bpf_map_lookup_elem(&guard_learnt, &about->object);
	if (!known || known->inode_generation != about->inode_generation) {
		fresh.lists[0].first = first;
		fresh.lists[0].count = count;
		if (bpf_map_update_elem(&guard_learnt, &about->object, &fresh, BPF_ANY))
			learnt_full();
		else
			WORD(guard_learnt_some) = 1;
		return 0;
	}
#pragma unroll
	for (i = 0; i < LEARNT_LISTS; i++) {
		if (known->lists[i].count == count && known->lists[i].first == first)
			return 0;
		if (!known->lists[i].count) {
			known->lists[i].first = first;
			known->lists[i].count = count;
			return 0;
		}
	}
	learnt_full();
	return 0;
}

#endif
