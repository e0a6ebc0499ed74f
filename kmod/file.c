// SPDX-License-Identifier: GPL-2.0
/* The file operations of the device: one open is one session. */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>

#include "attach.h"
#include "copy.h"
#include "event.h"
#include "file.h"
#include "inflight.h"
#include "ioctl.h"
#include "session.h"
#include "splice.h"
#include "track.h"

static int splice_vm_open(struct inode *inode, struct file *file)
{
	struct splice_vm_session *sess = splice_vm_session_alloc();

	if (!sess)
		return -ENOMEM;
	if (splice_vm_inflight_open(sess)) {
		splice_vm_session_free(sess);
		return -ENOMEM;
	}
	splice_vm_events_init(sess);
	splice_vm_session_list(sess);
	file->private_data = sess;
	return 0;
}

static int splice_vm_release(struct inode *inode, struct file *file)
{
	struct splice_vm_session *sess = file->private_data;

	splice_vm_session_unlist(sess);
	if (sess->mm) {
		splice_vm_detach(sess);
		splice_vm_events_stop(sess);
	}
	splice_vm_track_free(sess);
	splice_vm_inflight_close(sess);
	splice_vm_session_free(sess);
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

const struct file_operations splice_vm_fops = {
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
