/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The records of sonde proc, besides those of execs (exec.h), as decode.go reads them. */
#ifndef SONDE_PROC_H
#define SONDE_PROC_H

#include "record.h"

#define RECORD_EXIT 3 /* struct exit_record */
#define RECORD_FORK 4 /* struct fork_record */

/* exit_record.flags */
#define EXIT_USAGE 1 /* what is behind want_usage was filled in */
#define EXIT_PART 2  /* ... but not of all threads: there were too many */
#define EXIT_NO_IO 4 /* the bytes are not known */

struct exit_record {
	struct record_header h; /* time: when the last thread ended */
	__u64 start;            /* CLOCK_MONOTONIC, when the process was made */
	__u64 age;              /* since then, by a clock that goes on in suspend */
	__u64 max_rss;          /* pages */
	__u64 cpu;              /* nanoseconds, all threads */
	__u64 min_flt;
	__u64 maj_flt;
	__u64 rchar;            /* bytes through system calls */
	__u64 wchar;
	__u64 read_bytes;       /* bytes from and to storage */
	__u64 write_bytes;
	__u32 pid;
	__u32 tid;              /* of the thread that was the last */
	__u32 ppid;
	__u32 uid;
	__u32 code;             /* as wait(2) gives it */
	__u32 exec_id;          /* counts the execs of the process and of those that it descends from */
	__u32 flags;
	__u32 pad;
	char comm[16];
};

struct fork_record {
	struct record_header h;
	__u32 pid;
	__u32 ppid;
	__u32 tid;              /* of the thread that called */
	__u32 uid;
	__u32 exec_id;
	__u32 pad;
	char comm[16];
};

#endif
