// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Maps and records of many kinds of types, filled by a program that sees one process only.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

enum colour { RED, GREEN = 5, BLUE };

struct inner {
	short x;
	signed char y;
};

struct record {
	unsigned char u8;
	signed char s8;
	unsigned short u16;
	short s16;
	unsigned int u32;
	int s32;
	unsigned long long u64;
	long long s64;
	bool flag;
	enum colour colour;
	unsigned int low : 3, high : 5;
	int minus : 4;
	struct inner nested;
	struct inner pair[2];
	int list[3];
	unsigned char bytes[4];
	char text[8];
	void *pointer;
	union {
		unsigned int word;
		unsigned char half[2];
	};
	char tail[];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, struct record);
} typed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} untyped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct inner);
	__type(value, enum colour);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16);
	__type(key, unsigned int);
	__type(value, struct inner);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, unsigned int);
	__type(value, long long);
} array SEC(".maps");

int target = 0;
unsigned char small = 200;
bool yes = true;
char name[8] = "first";
const volatile short numbers[3] = {1, -2, 3};
const volatile enum colour favourite = GREEN;
unsigned long long seen = 0;
int version = 0;

extern int LINUX_KERNEL_VERSION __kconfig;

SEC("raw_tp/sys_enter")
int look(struct bpf_raw_tracepoint_args *ctx)
{
	struct inner key = {.x = -3, .y = 4};
	enum colour colour = favourite;
	unsigned int index = 2;
	long long value = -7;
	struct record *r;
	char *raw;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	if (ctx->args[1] != 110 && ctx->args[1] != 173) // getppid, of x86-64 and arm64
		return 0;
	seen++;
	version = LINUX_KERNEL_VERSION;
	bpf_map_update_elem(&hash, &key, &colour, BPF_ANY);
	bpf_map_update_elem(&percpu, &index, &key, BPF_ANY);
	bpf_map_update_elem(&array, &index, &value, BPF_ANY);
	r = bpf_ringbuf_reserve(&typed, sizeof(*r) + 8, 0);
	if (r) {
		__builtin_memset(r, 0, sizeof(*r) + 8);
		r->u8 = small;
		r->s8 = -1;
		r->u16 = 65535;
		r->s16 = -32768;
		r->u32 = 4000000000;
		r->s32 = -2000000000;
		r->u64 = 18446744073709551615ULL;
		r->s64 = -9223372036854775807LL;
		r->flag = yes;
		r->colour = colour;
		r->low = 5;
		r->high = 17;
		r->minus = -3;
		r->nested = key;
		r->pair[1].x = 9;
		r->list[0] = numbers[0];
		r->list[1] = numbers[1];
		r->list[2] = numbers[2];
		r->bytes[0] = 0xde;
		r->bytes[3] = 0x0f;
		__builtin_memcpy(r->text, name, sizeof(r->text));
		r->pointer = (void *)0xffff888000001000;
		r->word = 0x01020304;
		__builtin_memcpy(r->tail, "tail\n\033", 6);
		bpf_ringbuf_submit(r, 0);
	}
	raw = bpf_ringbuf_reserve(&untyped, 5, 0);
	if (raw) {
		__builtin_memcpy(raw, "\001\002abc", 5);
		bpf_ringbuf_submit(raw, 0);
	}
	return 0;
}
