/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What is told of one access to a file: the whole record of sonde open, and the head of one of sonde guard.
 * internal/fileevent reads it; the layouts must stay the same.
 */
#ifndef SONDE_FILE_H
#define SONDE_FILE_H

#include "record.h"

/* file_event.how: by what the file was reached */
#define BY_OPEN 1
#define BY_OPENAT 2
#define BY_OPENAT2 3
#define BY_CREAT 4
#define BY_HANDLE 5    /* open_by_handle_at */
#define BY_IO_URING 6
#define BY_EXEC 7
#define BY_KERNEL 8    /* an open of the kernel's own, in the context of this task */
#define BY_HOOK 9      /* a hook of the kernel told of it, the system call is not known */

/* file_event.marks */
#define FILE_COMPAT 1        /* a 32-bit caller */
#define FILE_UNTIMED 2       /* its start was not seen: time is that of its end, duration 0 */
#define FILE_NO_PATH 4       /* the path as asked was not in memory, or is not known to this hook */
#define FILE_PATH_CUT 8      /* path is longer than 4,095 bytes */
#define FILE_FILE_CUT 16     /* file is deeper or longer than the program can follow: it begins with "..." */
#define FILE_NO_FILE 32      /* it was opened, but which file it is could not be read */
#define FILE_DETACHED 64     /* file hangs in no tree of this mount namespace: a memfd, a pipe, a lazily unmounted tree */
#define FILE_DELETED 128     /* file has no name any more */
#define FILE_BASE_CUT 256    /* as FILE_FILE_CUT, of base */
#define FILE_CREATED 512     /* this open made the file */
#define FILE_NO_DIRFD 1024   /* dirfd does not apply (creat, an absolute path of open(2), a handle) */
#define FILE_NO_MODE 2048    /* mode does not apply */
#define FILE_WALKED 4096     /* file was asked for: where file_len is 0, it is the root directory */
#define FILE_BASED 8192      /* base was asked for and applies: where base_len is 0, it is the root directory */

struct file_event {
	struct record_header h; /* time: CLOCK_MONOTONIC ns, when the access began */
	__u64 duration;         /* ns */
	__u64 cgroup_id;
	__u64 css_set;          /* its address: tasks that share it share their cgroups in every hierarchy */
	__u64 ino;              /* of the file reached, 0: none */
	__u64 flags;            /* as given: of openat2 all 64 bits */
	__u32 dev;              /* the kernel's own encoding: major << 20 | minor */
	__u32 pid;
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__s32 dirfd;            /* -100 is AT_FDCWD */
	__s32 ret;              /* the descriptor, or the negative error number; where there is neither, 0 */
	__u32 marks;
	__u16 mode;
	__u16 how;
	__u16 path_len;         /* bytes of the path as asked, without a NUL */
	__u16 file_len;         /* names from the file up to the root, each ended by NUL, the innermost first */
	__u16 base_len;         /* the same of the directory that a relative path starts from, where it was asked for */
	__u16 pad[3];
	char comm[16];
	char pcomm[16];
	/* path, file, base */
};

#endif
