/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the programs of sonde malloc and user space tell each other; decode.go and tables.go read it: the layouts must stay the same. */
#ifndef SONDE_MALLOC_H
#define SONDE_MALLOC_H

#include "record.h"

#define FRAMES 127   /* of a stack, at the most: kernel.perf_event_max_stack as it is by default */
#define FUNCTIONS 256
#define OBJECTS 32
#define SLOTS 4      /* runs at once on a CPU */
#define INNER 12     /* ranges of code from which a call is an allocator's own */
#define PASSAGES 16

/* Where the size is. */
#define SIZE_ARG0 0    /* malloc(size) */
#define SIZE_ARG1 1    /* aligned_alloc(alignment, size), realloc(old, size) */
#define SIZE_ARG2 2    /* posix_memalign(&p, alignment, size) */
#define SIZE_PRODUCT01 3 /* calloc(n, size) */
#define SIZE_PRODUCT12 4 /* reallocarray(old, n, size) */
#define SIZE_MMAP 5    /* mmap(at, size, protection, flags, ...) */
#define SIZE_GO 6      /* runtime.mallocgc, which takes its arguments in registers of Go's own */

#define FN_PAIR 1      /* its return is probed too */
#define FN_OLD 2       /* its first argument is memory that it gives back */
#define FN_STORES 4    /* it stores the address where its first argument points, and returns an error number */
#define FN_NULL_JUMPS 8 /* called without old memory it goes on in another of these functions, as if that had been called */

/* A function that gives memory. */
struct function {
	__u64 address; /* in its file */
	__u32 size;    /* SIZE_... */
	__u32 flags;   /* FN_... */
	__u32 object;
	__u32 pad;
};

struct code_range {
	__u64 start, end; /* addresses in the file */
};

/* The file of an allocator. */
struct object {
	struct code_range text;  /* all of its code: what calls mmap from here does so for itself */
	struct code_range inner[INNER];
	__u32 inners;
	__u32 whole; /* text is nobody's but the allocator's and libc's */
};

/*
 * A place in a function without a frame of its own that does nothing but call another (C++'s operator new, which calls
 * malloc): who called it is at a fixed distance on the stack. It is known by its code, for where its file is mapped is not.
 */
struct passage {
	__u64 code[2];   /* the bytes before and behind the place */
	__u32 in_page;   /* the lower 12 bits of its address */
	__u32 distance;  /* from where its own return address is to that of its function */
};

struct passages {
	__u32 count, pad;
	struct passage at[PASSAGES];
};

struct stack_key {
	__u64 hash;
	__u32 tgid;
	__u32 pad;
};

struct total {
	__u64 bytes, calls;
	__u64 check; /* another hash of the same stack */
};

#define WITHOUT_SCRATCH 0   /* too many runs at once on the CPU */
#define WITHOUT_RING 1      /* the stack could not be told */
#define WITHOUT_ROOM 2      /* the table of stacks is full */
#define WITHOUT_COLLISION 3 /* two stacks with the same hash */
#define WITHOUT 4

struct block_key {
	__u64 address;
	__u32 tgid;
	__u32 pad;
};

/* A piece of memory that was not given back. */
struct block {
	struct stack_key stack;
	__u64 size, time;
};

/* A call under way. */
struct note {
	__u64 sp, back, time;
	__u64 size;
	__u64 at;      /* of FN_STORES: where the address will be */
	__u64 old;     /* of FN_OLD: the address of what is given back */
	struct block block;
	struct block was; /* what is given back; size 0 with time 0: not known */
	__u32 flags;
	__u32 counted;
};

struct base_key {
	__u32 tgid, object;
};

#define RECORD_STACK 1
#define RECORD_FORK 2
#define RECORD_EXEC 3
#define RECORD_EXIT 4
#define RECORD_FILES 5
#define RECORD_MAPPED 6

/* How a stack ended. */
#define END_ROOT 0     /* the frame pointer, or the address to return to, was 0 */
#define END_BROKEN 1   /* it led to nowhere, or back */
#define END_FULL 2     /* there were more */

struct stack_record {
	struct record_header h;
	__u64 hash;
	__u32 tgid, tid;
	__u32 count;    /* of frames */
	__u32 direct;   /* how many of the first were not found by frame pointers */
	__u32 end;      /* END_... */
	__u32 function; /* its number */
	char comm[16];
	__u64 frames[FRAMES + 1]; /* the function itself, who called it, and so on */
};

/* As the kernel has it: the file that an address lies in, and where. */
struct build_id {
	__s32 status; /* 1: the rest is known */
	unsigned char id[20];
	__u64 offset;
};

/* The files that the addresses of a stack lie in. It comes before the stack. */
struct files_record {
	struct record_header h;
	__u32 tgid;
	__u32 count;
	struct build_id files[FRAMES];
};

struct task_record {
	struct record_header h;
	__u32 tgid, parent;
	__u64 code; /* of RECORD_EXEC: where the program's code begins */
	char comm[16];
};

#define WINDOW 128 /* words of the stack that are read at once */

struct scratch {
	__u64 busy;
	__u64 slot;
	__u64 fp;          /* where walk begins */
	__u64 hash, check; /* of the stack, by walk */
	__u64 from;  /* the address of the window */
	__u64 words; /* that it has */
	__u64 window[WINDOW];
	struct stack_record r;
	struct files_record files;
};

#endif
