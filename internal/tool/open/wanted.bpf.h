/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What can be told at once of the paths that are asked for (--path). Patterns are matched in user space; here files go that none
 * of them can match, before their path is put together where the last name tells, and before it is sent where the first ones do.
 */
#ifndef SONDE_OPEN_WANTED_BPF_H
#define SONDE_OPEN_WANTED_BPF_H

#define PATH_TESTS 4
#define TEST_BYTES 32

/* path_test.how: what the last name must be */
#define NAME_ANY 0
#define NAME_IS 1
#define NAME_ENDS 2
#define NAME_BEGINS 3

/* internal/tool/open/pathtest.go has the same layout. */
struct path_test {
	__u64 name[TEST_BYTES / 8];
	__u64 tail[TEST_BYTES / 8]; /* the first directories, as they end the names of a file: the outermost last, each with a NUL */
	__u32 name_len;
	__u32 tail_len;
	__u32 how;
	__u32 pad;
};

const volatile struct path_test path_tests[PATH_TESTS] = {};
const volatile __u32 path_test_count = 0; /* 0: every file is sent */

/* What cannot be read passes: user space has the last word. */
static __always_inline bool same_bytes(const volatile __u64 *want, const void *from, __u32 len)
{
	__u64 got[TEST_BYTES / 8] = {};

	if (!len || len > TEST_BYTES || bpf_probe_read_kernel(got, len, from))
		return true;
	return !((got[0] ^ want[0]) | (got[1] ^ want[1]) | (got[2] ^ want[2]) | (got[3] ^ want[3]));
}

static __always_inline bool name_passes(const volatile struct path_test *t, const void *name, __u32 n)
{
	__u32 len = t->name_len;

	if (t->how == NAME_ANY)
		return true;
	if (n < len || (t->how == NAME_IS && n != len))
		return false;
	return same_bytes(t->name, t->how == NAME_ENDS ? name + (n - len) : name, len);
}

/* Which of the tests the last name passes: bits. What is mounted has the name that it is mounted on, which is not at hand. */
__attribute__((noinline)) unsigned int names_pass(__u64 dentry, __u64 mnt)
{
	struct dentry *d = (struct dentry *)dentry;
	const void *name = BPF_CORE_READ(d, d_name.name);
	__u32 n = BPF_CORE_READ(d, d_name.len), bits = 0, i;

	if ((__u64)BPF_CORE_READ((struct vfsmount *)mnt, mnt_root) == dentry)
		return ~0U;
	for (i = 0; i < PATH_TESTS; i++) {
		if (i < path_test_count && name_passes(&path_tests[i], name, n))
			bits |= 1U << i;
	}
	return bits;
}

/* Which of these tests the first names pass. The names lie in the scratch of that slot, `len` bytes up to `end`. */
__attribute__((noinline)) unsigned int tails_pass(__u32 slot, __u32 end, __u32 len, __u32 bits)
{
	struct open_buffer *b = bpf_map_lookup_elem(&scratch, &slot);
	__u32 passed = 0, i, n, at;
	char before;

	if (!b || end > OPEN_DATA || len > end)
		return ~0U;
	for (i = 0; i < PATH_TESTS; i++) {
		if (i >= path_test_count || !(bits >> i & 1))
			continue;
		n = path_tests[i].tail_len;
		if (n > len)
			continue;
		at = end - n;
		before = 0;
		if (n < len && n)
			bpf_probe_read_kernel(&before, 1, b->data + at - 1);
		if (!before && same_bytes(path_tests[i].tail, b->data + at, n))
			passed |= 1U << i;
	}
	return passed;
}

#endif
