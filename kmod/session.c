// SPDX-License-Identifier: GPL-2.0
/* One open of the device: from open to release, and what poll() says of it. */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/splice_vm.h>

#include "copy.h"
#include "event.h"
#include "inflight.h"
#include "ioctl.h"
#include "registry.h"
#include "session.h"
#include "splice.h"
#include "track.h"

static int splice_vm_open(struct inode *inode, struct file *file)
{
	struct splice_vm_session *sess;

	sess = kvzalloc(sizeof(*sess), GFP_KERNEL_ACCOUNT);
	if (!sess)
		return -ENOMEM;
	mutex_init(&sess->lock);
	init_waitqueue_head(&sess->wait);
	splice_vm_record_init(&sess->record);
	splice_vm_record_init(&sess->pending);
	sess->opener_uid = current_uid();
	if (splice_vm_inflight_open(sess)) {
		kvfree(sess);
		return -ENOMEM;
	}
	sess->opener = get_pid(task_tgid(current));
	splice_vm_events_init(sess);
	splice_vm_registry_add(sess);
	file->private_data = sess;
	return 0;
}

static int splice_vm_release(struct inode *inode, struct file *file)
{
	struct splice_vm_session *sess = file->private_data;

	splice_vm_registry_del(sess);
	if (sess->mm) {
		splice_vm_notifier_unregister(sess);
		splice_vm_events_stop(sess);
	}
	splice_vm_track_free(sess);
	if (sess->mm)
		mmdrop(sess->mm);
	splice_vm_inflight_close(sess);
	put_pid(sess->pid);
	put_pid(sess->opener);
	splice_vm_record_destroy(&sess->record);
	splice_vm_record_destroy(&sess->pending);
	kvfree(sess);
	return 0;
}

static __poll_t splice_vm_poll(struct file *file, poll_table *wait)
{
	struct splice_vm_session *sess = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &sess->wait, wait);
	if (atomic64_read(&sess->epochs) != atomic64_read(&sess->epochs_seen))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(sess->gone))
		mask |= EPOLLHUP;
	return mask;
}

/* The position is an address; there is no end to count from. */
static loff_t splice_vm_llseek(struct file *file, loff_t offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += file->f_pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	file->f_pos = offset;
	return offset;
}

const struct file_operations splice_vm_session_fops = {
	.owner = THIS_MODULE,
	.open = splice_vm_open,
	.release = splice_vm_release,
	.llseek = splice_vm_llseek,
	.read_iter = splice_vm_read_iter,
	.splice_read = splice_vm_splice_read,
	.poll = splice_vm_poll,
	.unlocked_ioctl = splice_vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
