/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The records of sonde exec, as decode.go reads them. */
#ifndef SONDE_EXEC_H
#define SONDE_EXEC_H

#include "record.h"

#define RECORD_EXEC 1 /* struct exec_record and what follows it */
#define RECORD_ARGS 2 /* struct args_record: more of the arguments of the exec record before it on this CPU */

/* exec_record.flags */
#define EXEC_SCRIPT 1       /* the kernel ran an interpreter in its place */
#define EXEC_COMPAT 2       /* a 32-bit program (of a failed exec: a 32-bit caller) */
#define EXEC_NOLINK 4       /* the executable has no name any more, or never had one */
#define EXEC_DETACHED 8     /* its directory entry hangs in no tree: a memfd */
#define EXEC_MORE 16        /* args_record follow, the last one marked */
#define EXEC_ARGS_CUT 32    /* --max-arg-bytes or a limit of the program cut the arguments */
#define EXEC_ARGS_FAULT 64  /* part of the arguments was not in memory */
#define EXEC_UNTIMED 128    /* the start of this exec was not seen; time is that of sched_process_exec */
#define EXEC_EXE_CUT 256    /* exe is deeper than PATH_DEPTH or longer than PATH_MAX */
#define EXEC_NO_FILENAME 512 /* the name as asked was not in memory */
#define EXEC_IDS 1024       /* what is behind WANT_IDS was filled in */
#define EXEC_CWD_CUT 2048   /* as EXEC_EXE_CUT, of cwd */

struct exec_record {
	struct record_header h; /* time: when the exec began */
	__u64 end;              /* CLOCK_MONOTONIC, at the return of the system call */
	__u64 cgroup_id;
	__u64 css_set;          /* its address: tasks that share it share their cgroups in every hierarchy */
	__u64 ino;
	__u64 unreadable;       /* bit i: argument i of a failed exec was not in memory */
	__u32 dev;              /* the kernel's own encoding: major << 20 | minor */
	__u32 mntns;
	__u32 pidns;
	__u32 pid;
	__u32 tid;              /* of the thread that called, which a successful exec takes the leader's place of */
	__u32 ppid;
	__u32 uid;
	__u32 euid;
	__u32 gid;
	__u32 sid;
	__s32 ret;
	__u32 args_total;       /* bytes of the whole argument vector; 0 for a failed exec */
	__u32 args_len;         /* bytes of it in this record */
	__u16 flags;
	__u16 filename_len;     /* the terminating NUL is counted in all three */
	__u16 exe_len;          /* names, the innermost first, each ended by NUL */
	__u16 cwd_len;
	char comm[16];
	char pcomm[16];
	char tty[16];
	__u32 exec_id;          /* counts the execs of the process and of those that it descends from */
	/* filename, exe, cwd, arguments */
};

struct args_record {
	struct record_header h;
	__u64 seq;  /* of the exec record these belong to */
	__u32 len;
	__u32 last; /* 1 on the last one */
	__u64 unreadable;
	__u32 flags; /* EXEC_ARGS_CUT, EXEC_ARGS_FAULT, known only now */
	__u32 pad;
};

#endif
