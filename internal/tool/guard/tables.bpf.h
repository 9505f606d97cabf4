/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Guard's tables. Entries of hashes carry the generation of rules that they are of; arrays have two halves, for even
 * and odd generations. So a new set is written beside the one in force, and a word decides which of them is.
 */
#ifndef SONDE_GUARD_TABLES_BPF_H
#define SONDE_GUARD_TABLES_BPF_H

/* Half the size of the arrays. */
const volatile __u64 guard_rules_half = 1;
const volatile __u64 guard_lists_half = 1;
const volatile __u64 guard_globs_half = 1;
/* How many steps of paths there is room for; 0: the mechanism goes by no paths. */
const volatile __u64 guard_steps_room = 0;
/* Makes hashes of names unforeseeable: two names with one hash would be one name to us. */
const volatile __u64 guard_seed = 0;

#define GUARD_HASH(NAME, KEY, VALUE)                       \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_HASH);           \
		__uint(max_entries, 1);                    \
		__type(key, KEY);                          \
		__type(value, VALUE);                      \
	} NAME SEC(".maps")

#define GUARD_ARRAY(NAME, VALUE)                           \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY);          \
		__uint(max_entries, 2);                    \
		__type(key, __u32);                        \
		__type(value, VALUE);                      \
	} NAME SEC(".maps")

GUARD_HASH(guard_objects, struct guard_object, struct guard_watched);
GUARD_HASH(guard_entries, struct guard_entry, struct guard_list);
GUARD_HASH(guard_trees, struct guard_object, struct guard_tree);
GUARD_HASH(guard_names, struct guard_name, struct guard_list);
GUARD_HASH(guard_dir_globs, struct guard_object, struct guard_list); /* a list of globs, not of rules */
GUARD_HASH(guard_whos, struct guard_who, __u8);
GUARD_HASH(guard_learnt, struct guard_object, struct guard_learnt);
GUARD_HASH(guard_learning, __u64, struct guard_learning); /* by the task that is at it */
GUARD_HASH(guard_steps, struct guard_entry, struct guard_step);
GUARD_ARRAY(guard_lists, __u32);
GUARD_ARRAY(guard_globs, struct guard_glob);
GUARD_ARRAY(guard_rules, struct guard_rule);
GUARD_ARRAY(guard_counts, struct guard_counters);

/* Written by user space while the programs run. */
__u64 guard_mode = 0;
__u64 guard_generation = 0;
__u64 guard_deadline = 0;    /* CLOCK_BOOTTIME ns; 0: none */
__u64 guard_max_denies = 0;  /* a second; 0: any number */
__u64 guard_self = 0;        /* the process that is never denied anything: sonde itself */
__u64 guard_has_0 = 0;
__u64 guard_has_1 = 0;

/* Written here. */
__u64 guard_limit_second = 0;
__u64 guard_limit_count = 0;
__u64 guard_learnt_some = 0; /* files are remembered, or were once */
__u64 guard_learnt_full = 0; /* files that could not be remembered */

#define WORD(name) (*(volatile __u64 *)&(name))

/* What is asked in one question to the tables: the generation in the upper half, accesses in the lowest 16 bits. */
#define ASK_GENERATION(ask) ((__u32)((ask) >> 32))
#define ASK_ACCESS(ask) ((__u16)(ask))
#define ASK_FILE 0x10000  /* the subject is a struct file, not a struct dentry */
#define ASK_LEARN 0x20000 /* what leads to rules is to be remembered; nothing is decided */
#define ASK_PATH 0x40000  /* the subject is what a caller wrote: a struct guard_asked */

static __always_inline __u32 half_of(__u64 ask, __u32 half)
{
	return ASK_GENERATION(ask) & 1 ? half : 0;
}

static __always_inline __u64 has_of(__u64 ask)
{
	return ASK_GENERATION(ask) & 1 ? WORD(guard_has_1) : WORD(guard_has_0);
}

#endif
