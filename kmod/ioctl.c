// SPDX-License-Identifier: GPL-2.0
/*
 * All ioctls through one table, after iommufd: the struct's size comes first, so a
 * newer caller works with an older module and the other way round. Handlers see kernel
 * copies only.
 */
#include <linux/uaccess.h>
#include <linux/splice_vm.h>

#include "attach.h"
#include "batch.h"
#include "epoch.h"
#include "inflight.h"
#include "ioctl.h"
#include "scan.h"
#include "send.h"
#include "session.h"
#include "track.h"
#include "uffd.h"

/* All structs begin with these. */
struct splice_vm_ioctl_head {
	__u32 size;
	__u32 flags;
};

union splice_vm_ioctl_arg {
	struct splice_vm_ioctl_head head;
	struct splice_vm_info info;
	struct splice_vm_attach attach;
	struct splice_vm_send send;
	struct splice_vm_track track;
	struct splice_vm_epoch epoch;
	struct splice_vm_scan scan;
	struct splice_vm_uffd uffd;
};

/**
 * struct splice_vm_ioctl_op - one ioctl
 * @cmd: its number
 * @size: of its struct as this module knows it
 * @min_size: of the first version of the struct
 * @flags: all flags there are
 * @always_out: the struct is written back after errors too
 * @execute: the handler
 * @lost: called when the struct could not be written back, or NULL
 */
struct splice_vm_ioctl_op {
	unsigned int cmd;
	unsigned int size;
	unsigned int min_size;
	u32 flags;
	bool always_out;
	long (*execute)(struct splice_vm_session *sess, void *arg);
	void (*lost)(struct splice_vm_session *sess, void *arg);
};

static u64 splice_vm_features(void)
{
	u64 features = SPLICE_VM_FEATURE_SPLICE | SPLICE_VM_FEATURE_SEND;

	if (IS_ENABLED(CONFIG_MMU_NOTIFIER))
		features |= SPLICE_VM_FEATURE_NOTIFIER;
	if (IS_ENABLED(CONFIG_USERFAULTFD))
		features |= SPLICE_VM_FEATURE_UFFD;
	return features;
}

static long splice_vm_info(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_info *info = arg;
	unsigned long mine, all;

	splice_vm_inflight_read(sess, &mine, &all);
	*info = (struct splice_vm_info){
		.size = info->size,
		.features = splice_vm_features(),
		.trackers = splice_vm_trackers(),
		.page_size = PAGE_SIZE,
		.max_runs = SPLICE_VM_SEND_RUNS,
		.max_batch_pages = SPLICE_VM_BATCH_PAGES,
		.max_inflight_pages = READ_ONCE(sess->max_inflight),
		.tracker = splice_vm_session_tracker(sess),
		.attached = !!READ_ONCE(sess->mm),
		.gone = READ_ONCE(sess->gone),
		.epochs = atomic64_read(&sess->epochs),
		.pages_sent = atomic64_read(&sess->pages_sent),
		.pages_copied = atomic64_read(&sess->pages_copied),
		.pages_inflight = atomic64_read(&sess->inflight),
		.overflows = READ_ONCE(sess->dirty_log.overflows),
		.pages_queued = mine,
		.user_pages_queued = all,
		.user_max_inflight_pages = splice_vm_inflight_limit(),
	};
	return 0;
}

static const struct splice_vm_ioctl_op splice_vm_ioctl_ops[] = {
	{
		.cmd = SPLICE_VM_INFO,
		.size = sizeof(struct splice_vm_info),
		.min_size = offsetofend(struct splice_vm_info, overflows),
		.execute = splice_vm_info,
	},
	{
		.cmd = SPLICE_VM_ATTACH,
		.size = sizeof(struct splice_vm_attach),
		.min_size = offsetofend(struct splice_vm_attach,
					max_inflight_pages),
		.execute = splice_vm_attach,
	},
	{
		.cmd = SPLICE_VM_SEND,
		.size = sizeof(struct splice_vm_send),
		.min_size = offsetofend(struct splice_vm_send, bytes_sent),
		.always_out = true,
		.execute = splice_vm_send,
	},
	{
		.cmd = SPLICE_VM_TRACK,
		.size = sizeof(struct splice_vm_track),
		.min_size = offsetofend(struct splice_vm_track, uffd_fd),
		.execute = splice_vm_track,
	},
	{
		.cmd = SPLICE_VM_EPOCH,
		.size = sizeof(struct splice_vm_epoch),
		.min_size = offsetofend(struct splice_vm_epoch, reserved),
		.flags = SPLICE_VM_EPOCH_MORE,
		.execute = splice_vm_epoch,
	},
	{
		.cmd = SPLICE_VM_SCAN,
		.size = sizeof(struct splice_vm_scan),
		.min_size = offsetofend(struct splice_vm_scan, epoch),
		.flags = SPLICE_VM_SCAN_TRACKED | SPLICE_VM_SCAN_POPULATED |
			 SPLICE_VM_SCAN_MAPPINGS,
		.execute = splice_vm_scan,
		.lost = splice_vm_scan_lost,
	},
	{
		.cmd = SPLICE_VM_UFFD,
		.size = sizeof(struct splice_vm_uffd),
		.min_size = offsetofend(struct splice_vm_uffd, reserved),
		.execute = splice_vm_uffd,
		.lost = splice_vm_uffd_lost,
	},
};

static const struct splice_vm_ioctl_op *splice_vm_ioctl_find(unsigned int cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(splice_vm_ioctl_ops); i++) {
		if (splice_vm_ioctl_ops[i].cmd == cmd)
			return &splice_vm_ioctl_ops[i];
	}
	return NULL;
}

/**
 * splice_vm_ioctl() - all ioctls of the device
 * @file: a session's
 * @cmd: which
 * @arg: pointer of the caller to the ioctl's struct
 */
long splice_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct splice_vm_ioctl_op *op = splice_vm_ioctl_find(cmd);
	void __user *uarg = (void __user *)arg;
	union splice_vm_ioctl_arg karg;
	u32 size;
	long ret;

	if (!op)
		return -ENOTTY;
	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < op->min_size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(&karg, 0, sizeof(karg));
	ret = copy_struct_from_user(&karg, op->size, uarg, size);
	if (ret)
		return ret;
	/* It may have changed since get_user(). */
	karg.head.size = size;
	if (karg.head.flags & ~op->flags)
		return -EOPNOTSUPP;

	ret = op->execute(file->private_data, &karg);
	if (ret && !op->always_out)
		return ret;
	if (!copy_to_user(uarg, &karg, min(size, op->size)))
		return ret;
	if (!ret && op->lost)
		op->lost(file->private_data, &karg);
	return ret ?: -EFAULT;
}
