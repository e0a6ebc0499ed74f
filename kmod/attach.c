// SPDX-License-Identifier: GPL-2.0
/*
 * Which caller may reach which memory. A descriptor of /proc/PID/mem is the capability: the
 * kernel's mem_open() checked ptrace access, Yama, the LSMs and dumpable, and made the mm the
 * file's private data.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/sched/mm.h>
#include <linux/user_namespace.h>
#include <linux/splice_vm.h>

#include "attach.h"
#include "notifier.h"
#include "stats.h"

#define SPLICE_VM_INFLIGHT_DEFAULT	65536
#define SPLICE_VM_INFLIGHT_MIN		1024

/* Set at init, then constant: what /proc/PID/mem is made of. */
static const struct file_operations *splice_vm_mem_fops;

/**
 * splice_vm_attach_init() - learn what a descriptor of /proc/PID/mem looks like
 *
 * Sleeps. Return: 0 or -errno
 */
int splice_vm_attach_init(void)
{
	struct file *file = filp_open("/proc/self/mem", O_RDONLY, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	if (file_inode(file)->i_sb->s_magic != PROC_SUPER_MAGIC) {
		filp_close(file, NULL);
		return -ENODEV;
	}
	splice_vm_mem_fops = file->f_op;
	filp_close(file, NULL);
	return 0;
}

static bool splice_vm_file_is_mem(const struct file *file)
{
	return file->f_op == splice_vm_mem_fops &&
	       file_inode(file)->i_sb->s_magic == PROC_SUPER_MAGIC;
}

/*
 * The process that the mm belongs to. The inode of /proc/PID/mem knows the one that was named,
 * but is opaque to modules; a task of the mm that leaves hands ownership on.
 */
static struct pid *splice_vm_mm_pid(struct mm_struct *mm)
{
	struct pid *pid = NULL;
#ifdef CONFIG_MEMCG
	struct task_struct *owner;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	if (owner)
		pid = get_task_pid(owner, PIDTYPE_TGID);
	rcu_read_unlock();
#endif
	return pid;
}

/* The notifier holds the mm as well, but not on kernels without notifiers. */
static int splice_vm_target_bind(struct splice_vm_session *sess,
				 struct mm_struct *mm, const struct file *file)
{
	int ret;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	ret = splice_vm_notifier_register(sess, mm);
	mmput_async(mm);
	if (ret)
		return ret;

	sess->may_track = file->f_mode & FMODE_WRITE;
	sess->ptrace_capable = file_ns_capable(file, &init_user_ns,
					       CAP_SYS_PTRACE);
	sess->pid = splice_vm_mm_pid(mm);
	mmgrab(mm);
	/* Pairs with the acquire in splice_vm_target_get(). */
	smp_store_release(&sess->mm, mm);
	return 0;
}

static int splice_vm_attach_file(struct splice_vm_session *sess,
				 const struct splice_vm_attach *arg,
				 const struct file *file)
{
	struct mm_struct *mm;
	int ret;

	if (!splice_vm_file_is_mem(file))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	mm = file->private_data;
	if (!mm)
		return -ESRCH;

	if (mutex_lock_killable(&sess->lock))
		return -EINTR;
	if (sess->mm) {
		ret = -EBUSY;
	} else {
		sess->max_inflight = arg->max_inflight_pages ?:
				     SPLICE_VM_INFLIGHT_DEFAULT;
		ret = splice_vm_target_bind(sess, mm, file);
	}
	mutex_unlock(&sess->lock);
	return ret;
}

/* At release: wait for running callbacks of the notifier; none runs afterwards. */
void splice_vm_detach(struct splice_vm_session *sess)
{
	splice_vm_notifier_unregister(sess);
}

/**
 * splice_vm_attach() - SPLICE_VM_ATTACH
 * @sess: the session
 * @arg: struct splice_vm_attach, a kernel copy
 */
long splice_vm_attach(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_attach *attach = arg;
	struct file *file;
	int ret;

	if (attach->max_inflight_pages &&
	    attach->max_inflight_pages < SPLICE_VM_INFLIGHT_MIN)
		return -EINVAL;
	file = fget(attach->mem_fd);
	if (!file)
		return -EBADF;
	ret = splice_vm_attach_file(sess, attach, file);
	splice_vm_stats_attach(sess, ret);
	fput(file);
	return ret;
}
