/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Kernel types that only guard looks into, and members that only guard wants: CO-RE takes what is behind ___ for no part of the name. */
#ifndef SONDE_GUARD_TYPES_BPF_H
#define SONDE_GUARD_TYPES_BPF_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct inode___guard {
	__u32 i_generation;
	unsigned int i_nlink;
	unsigned short i_mode;
};

struct dentry___guard {
	struct dentry___guard *d_parent;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct file___guard {
	unsigned int f_flags;
	unsigned int f_mode;
};

struct iattr {
	unsigned int ia_valid;
};

struct vm_area_struct {
	unsigned long vm_flags;
	struct file *vm_file;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set___guard {
	struct cgroup *dfl_cgrp;
};

struct fs_struct___guard {
	struct path root, pwd;
};

struct task_struct___guard {
	struct css_set___guard *cgroups;
	unsigned int flags;
	unsigned int in_execve : 1;
};

#pragma clang attribute pop

#define O_TRUNC 01000
#define O_RDWR 2
#define O_PATH 010000000
#define FMODE_READ 1
#define FMODE_WRITE 2
#define FMODE_EXEC 0x20      /* in f_flags and in f_mode */
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_TYPE 15
#define MAP_SHARED 1
#define MAP_SHARED_VALIDATE 3
#define VM_SHARED 8
#define PF_KTHREAD 0x200000
#define SIGKILL 9
#define EPERM 1
#define ENOENT 2
#define EACCES 13
#define EEXIST 17
#define S_IFMT 0170000
#define S_IFDIR 0040000

/* What sets flags of an inode; all of them are the same on amd64 and arm64. */
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820

#define PATH_MAX 4096

/* What a caller asks for by a path: asked.bpf.h. */
struct guard_asked {
	__u64 self;              /* its own address: what it is where a name's or a file's address is wanted */
	__u64 flags;             /* for the record: */
	__u64 start, start_mount; /* dentry and mount that the path starts from */
	__s32 dirfd;
	__u32 marks;
	__u16 mode, how;
	/* Where the walk has come to. */
	__u32 dev;                /* of the last directory that is known */
	__u64 ino;
	__u64 dentry, mount;      /* the start, or a directory above it */
	__u64 root, root_mount;   /* of the process */
	__u32 down;               /* steps from there to the directory that is known */
	__u32 unknown;            /* names behind that one */
	__u32 rooted;             /* the directory that it starts from is its root */
	__u32 away;               /* a link has led away from there */
	__u32 lost;               /* there is no telling where the path is */
	__u32 named;              /* the last name was not entered yet: */
	__u32 name, name_end;     /* where it is in path */
	__u32 off;
	__u32 globs;              /* those that are about names below a directory that it is in */
	__u64 pending, hash;      /* its hash; that of the name just read */
	__u64 file;               /* there is no path, but this file */
	char path[PATH_MAX + 16];
};

/* iattr.ia_valid */
#define ATTR_MODE (1 << 0)
#define ATTR_UID (1 << 1)
#define ATTR_GID (1 << 2)
#define ATTR_SIZE (1 << 3)
#define ATTR_ATIME (1 << 4)
#define ATTR_MTIME (1 << 5)
#define ATTR_FORCE (1 << 9) /* the kernel's own doing: it takes setuid bits off a file that is written to */
#define ATTR_OPEN (1 << 15) /* by O_TRUNC */

#endif
