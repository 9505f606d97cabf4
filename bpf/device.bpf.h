/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The device of a file as stat(2) tells it. */
#ifndef SONDE_DEVICE_BPF_H
#define SONDE_DEVICE_BPF_H

/*
 * On btrfs each subvolume has inode numbers of its own, and a device number of its own that they belong to. Its types are
 * those of a module, so that user space looks up where things are: from an inode to the address of its subvolume, and in that
 * the device. subvolume_dev 0: there is no btrfs, or it is not known.
 */
const volatile __s32 subvolume_root = 0;
const volatile __u32 subvolume_dev = 0;

#define BTRFS_MAGIC 0x9123683e

static __always_inline __u32 subvolume_read(__u64 inode, __u32 dev)
{
	__u64 subvolume = 0;

	if (BPF_CORE_READ((struct inode *)inode, i_sb, s_magic) != BTRFS_MAGIC)
		return dev;
	bpf_probe_read_kernel(&subvolume, sizeof(subvolume), (void *)(inode + subvolume_root));
	bpf_probe_read_kernel(&dev, sizeof(dev), (void *)(subvolume + subvolume_dev));
	return dev;
}

/*
 * The device of an inode on a file system of that device. A global function: its stack is not added to that of those who call others
 * besides, and its branch does not double the ways through their loops.
 */
__attribute__((noinline)) unsigned int subvolume_device(__u64 inode, __u32 dev)
{
	return subvolume_read(inode, dev);
}

static __always_inline __u32 device_on(struct inode *inode, __u32 dev)
{
	return subvolume_dev ? subvolume_device((__u64)inode, dev) : dev;
}

static __always_inline __u32 device_of(struct inode *inode)
{
	return device_on(inode, BPF_CORE_READ(inode, i_sb, s_dev));
}

/* The same where eight calls are in each other already, which is as many as verifiers allow. */
static __always_inline __u32 device_here(struct inode *inode)
{
	__u32 dev = BPF_CORE_READ(inode, i_sb, s_dev);

	return subvolume_dev ? subvolume_read((__u64)inode, dev) : dev;
}

#endif
