// SPDX-License-Identifier: GPL-2.0
/*
 * A userfaultfd of the target's mm, made without entering the target: a kernel thread that
 * borrows the mm for a moment asks /dev/userfaultfd for one. That device is opened with the
 * caller's rights, by its path in the caller's mounts.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/workqueue.h>
#include <linux/splice_vm.h>
/* userfaultfd_k.h has it only in a kernel with userfaultfd. */
#include <uapi/linux/userfaultfd.h>

#include "uffd.h"

/**
 * struct splice_vm_uffd_work - one userfaultfd being made
 * @work: on the stack of the ioctl that waits for it
 * @dev: /dev/userfaultfd
 * @cred: of the ioctl's caller: the rights to make it with
 * @mm: the target's; the ioctl holds a user of it
 * @file: out: the userfaultfd, or ERR_PTR
 */
struct splice_vm_uffd_work {
	struct work_struct work;
	struct file *dev;
	const struct cred *cred;
	struct mm_struct *mm;
	struct file *file;
};

/*
 * Is this the kernel's own device? The caller may have put another file at that path, and a file
 * whose answers come from user space must not hold up, or mislead, a kernel thread.
 */
static bool splice_vm_uffd_is_dev(const struct file *dev)
{
	const struct inode *inode = file_inode(dev);

	return S_ISCHR(inode->i_mode) && imajor(inode) == MISC_MAJOR &&
	       dev->f_op->unlocked_ioctl && !dev->f_op->owner;
}

/**
 * splice_vm_file_is_uffd() - is this a userfaultfd, as far as its name tells
 * @file: any file
 *
 * Not a proof: nothing that the file holds may be followed because of it.
 */
bool splice_vm_file_is_uffd(const struct file *file)
{
	return !strcmp(file->f_path.dentry->d_name.name, "[userfaultfd]");
}

/* Nothing here waits for user space. The number lives in a table of kernel threads. */
static void splice_vm_uffd_make(struct work_struct *work)
{
	struct splice_vm_uffd_work *make;
	const struct cred *old;
	long fd;

	make = container_of(work, struct splice_vm_uffd_work, work);
	/* An LSM judges the ioctl's caller, and labels the file for the caller. */
	old = override_creds(make->cred);
	kthread_use_mm(make->mm);
	fd = make->dev->f_op->unlocked_ioctl(make->dev, USERFAULTFD_IOC_NEW,
					     O_CLOEXEC | O_NONBLOCK);
	kthread_unuse_mm(make->mm);
	revert_creds(old);
	if (fd < 0) {
		make->file = ERR_PTR(fd);
		return;
	}
	make->file = fget(fd) ?: ERR_PTR(-EBADF);
	close_fd(fd);
	if (!IS_ERR(make->file) && !splice_vm_file_is_uffd(make->file)) {
		fput(make->file);
		make->file = ERR_PTR(-EOPNOTSUPP);
	}
}

/*
 * A userfaultfd of @mm, of which the caller holds a user; UFFDIO_API not done yet. Sleeps.
 * Return: the file; ERR_PTR(-EOPNOTSUPP) without /dev/userfaultfd, or what opening it said
 */
static struct file *splice_vm_uffd_create(struct mm_struct *mm)
{
	struct splice_vm_uffd_work make = {
		.mm = mm,
		.cred = current_cred(),
	};

	make.dev = filp_open("/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0);
	if (IS_ERR(make.dev))
		return make.dev == ERR_PTR(-ENOENT) ? ERR_PTR(-EOPNOTSUPP) :
						      make.dev;
	if (!splice_vm_uffd_is_dev(make.dev)) {
		make.file = ERR_PTR(-EOPNOTSUPP);
	} else {
		INIT_WORK_ONSTACK(&make.work, splice_vm_uffd_make);
		schedule_work(&make.work);
		flush_work(&make.work);
		destroy_work_on_stack(&make.work);
	}
	filp_close(make.dev, NULL);
	return make.file;
}

static int splice_vm_uffd_install(struct splice_vm_uffd *arg,
				  struct mm_struct *mm)
{
	struct file *file;
	int fd = get_unused_fd_flags(O_CLOEXEC);

	if (fd < 0)
		return fd;
	file = splice_vm_uffd_create(mm);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	arg->fd = fd;
	return 0;
}

/**
 * splice_vm_uffd() - SPLICE_VM_UFFD
 * @sess: the session
 * @arg: struct splice_vm_uffd, a kernel copy
 */
long splice_vm_uffd(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_uffd *uffd = arg;
	struct mm_struct *mm;
	int ret;

	if (uffd->reserved)
		return -EINVAL;
	mm = splice_vm_target_get(sess);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	if (!sess->may_track)
		ret = -EACCES;
	else if (!sess->ptrace_capable)
		ret = -EPERM;
	else
		ret = splice_vm_uffd_install(uffd, mm);
	splice_vm_target_put(mm);
	return ret;
}

/**
 * splice_vm_uffd_lost() - the number did not reach the caller
 * @sess: the session
 * @arg: struct splice_vm_uffd, as splice_vm_uffd() left it
 */
void splice_vm_uffd_lost(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_uffd *uffd = arg;

	close_fd(uffd->fd);
}
