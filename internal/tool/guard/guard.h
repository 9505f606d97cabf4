/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The tables and records of sonde guard, as tables.go and decode.go know them. */
#ifndef SONDE_GUARD_H
#define SONDE_GUARD_H

#include "file.h"

#define RECORD_GUARD 1 /* struct guard_record and the strings behind it */

/* Accesses, as rule.Access has them. */
#define ACCESS_READ 1
#define ACCESS_WRITE 2
#define ACCESS_CREATE 4
#define ACCESS_DELETE 8
#define ACCESS_RENAME 16
#define ACCESS_LINK 32
#define ACCESS_TRUNCATE 64
#define ACCESS_EXEC 128
#define ACCESS_METADATA 256

/* Actions, as rule.Action has them. */
#define ACTION_LOG 1
#define ACTION_KILL 2
#define ACTION_DENY 3
#define ACTION_DENY_KILL 4
#define ACTION_ALLOW 5

/* guard_record.outcome: what came of it */
#define OUTCOME_LOGGED 1  /* the rule asks for no more, or the kill it asks for cannot be (process 1, a kernel thread) */
#define OUTCOME_DENIED 2
#define OUTCOME_KILLED 3  /* SIGKILL is under way, the operation goes on */
#define OUTCOME_LATE 4    /* as KILLED, by a mechanism that cannot deny though the rule wants it */
#define OUTCOME_LIMITED 5 /* only logged: more was denied this second than is allowed */
#define OUTCOME_DRY 6     /* only logged: a dry run */

/* guard_record.match: by what the rule was found */
#define MATCH_OBJECT 1
#define MATCH_ENTRY 2
#define MATCH_NAME 3
#define MATCH_GLOB 4
#define MATCH_TREE 5
#define MATCH_DEPTH 6 /* it lies deeper than the programs climb: taken to be below every tree */
#define MATCH_LEARNT 7 /* another name of a file that a rule was about when it was last seen */

/* guard_record.mechanism */
#define BY_LSM 1
#define BY_FMOD_RET 2
#define BY_OVERRIDE 3
#define BY_KILL 4

/* guard_mode */
#define MODE_OFF 0
#define MODE_ARMED 1
#define MODE_DRY 2 /* every action is only logged */

struct guard_record {
	struct file_event f;
	__u32 rule;       /* its index in its generation */
	__u32 generation;
	__u16 access;     /* what the rule forbids of what was asked for */
	__u8 action;      /* of the rule */
	__u8 outcome;
	__u8 mechanism;
	__u8 match;
	__u16 error;      /* what the caller was told, 0: nothing */
	/* path, file, base */
};

/* Limits of the tables that the programs know. */
#define LIST_MAX 32     /* rules about one and the same thing */
#define GLOBS_MAX 64    /* globs of one directory */
#define WIDE_MAX 32     /* globs that are not of one directory only */
#define EXCEPTS_MAX 4
#define CLIMB_MAX 256   /* directories between a file and the root; each mount on the way may count for STEP of them */
#define NAME_BYTES 256
#define LEARNT_LISTS 4
#define STEP 16         /* turns of an inner loop */

/* A file or directory, of a generation of rules. */
struct guard_object {
	__u32 generation;
	__u32 dev;
	__u64 ino;
};

/* Where in guard_lists the rules are that something is about, ascending. */
struct guard_list {
	__u32 first;
	__u32 count;
};

/* A file that rules name. inode numbers are given anew: the inode's generation, noted when it is first seen, tells. */
struct guard_watched {
	struct guard_list list;
	__u32 seen;
	__u32 inode_generation;
};

/* A name in a directory. */
struct guard_entry {
	__u32 generation;
	__u32 dev;
	__u64 ino;
	__u64 name; /* guard_name_hash */
};

struct guard_name {
	__u32 generation;
	__u32 pad;
	__u64 name;
};

/* A directory that is the top of a tree, by a rule, or since it was moved out of one. */
struct guard_tree {
	struct guard_list list;
	__u32 globs; /* bit i: wide glob i is about what is below */
	__u32 seen;
	__u32 inode_generation; /* as in struct guard_watched */
	__u32 pad;
};

/* A file that was reached where rules are about it and that may be reached from elsewhere. */
struct guard_learnt {
	struct guard_list lists[LEARNT_LISTS];
	__u32 inode_generation;
	__u32 count;
};

/* A glob as a machine of up to 63 states that reads a name byte by byte: bit i says that i elements have matched. */
struct guard_glob {
	__u64 next[256]; /* by byte: the states that it may lead to */
	__u64 stay;      /* states before a star, which any byte leaves as they are */
	__u64 accept;
	__u32 rule;
	__u32 pad;
	struct guard_list list; /* of this rule alone */
};

/* What a task is about to remember. */
struct guard_learning {
	struct guard_object object;
	__u32 inode_generation;
	__u32 directory;
};

/* guard_rule.who: what of a process is looked at */
#define WHO_EXE 1
#define WHO_UID 2
#define WHO_PID 4
#define WHO_COMM 8
#define WHO_CGROUP 16
#define WHO_MNTNS 32
#define WHO_TREE 64

struct guard_rule {
	__u16 access;
	__u8 action;
	__u8 error;
	__u8 excepts;
	__u8 pad[3];
	__u32 who[1 + EXCEPTS_MAX]; /* the rule's own, then its exceptions: bits WHO_* */
	__u32 pad2;
};

/* One thing that a process may be. */
struct guard_who {
	__u32 generation;
	__u32 who; /* (rule * (1 + EXCEPTS_MAX) + which of them) << 8 | one of WHO_* */
	__u64 value[2]; /* exe: dev, ino; comm: its 16 bytes; else the number */
};

/* Where a name in a directory leads, of those that paths of rules lead through; also of "..". */
struct guard_step {
	__u64 ino;
	__u32 dev;
	__u32 link; /* it is a symbolic link */
};

/* A system call that takes paths. Arguments are counted from 1; 0: there is none. */
struct guard_call {
	__u16 access[2]; /* asked for of either path; of opens it depends on their flags */
	__u8 path[2], dirfd[2];
	__u8 how; /* BY_... */
	__u8 pad[3];
};

#define CALLS 1024 /* of 64-bit programs; those of 32-bit ones are behind them */

/* Exact: each is written by atomic additions. */
struct guard_counters {
	__u64 matches;
	__u64 denied;
	__u64 killed;
	__u64 logged;
	__u64 limited;
	__u64 dry;
	__u64 allowed;
	__u64 unsent; /* records that found no room */
};

/*
 * guard_has_0 and guard_has_1, of even and odd generations: which tables have anything in them, so that the others are not
 * asked; WIDE globs; in bits 16 to 31 all accesses that rules are about, in bits 32 to 63 the wide globs that are about names anywhere.
 */
#define HAS_OBJECTS 1
#define HAS_ENTRIES 2
#define HAS_TREES 4
#define HAS_NAMES 8
#define HAS_GLOBS 16
#define HAS_WIDE_SHIFT 8 /* six bits: how many */

#endif
