// SPDX-License-Identifier: GPL-2.0
/*
 * The write-protect tracker: a userfaultfd of the target protects its pages, and a write lifts the
 * protection (of 4 KiB, in a huge page too) without a word to anybody. PAGEMAP_SCAN finds what is
 * not protected and protects it, in one step for the target: so each SCAN ends an epoch of its
 * range. Mappings that came since the last one are registered then, and looked at whole; so are,
 * each time, those that cannot be followed: hugetlb, DAX, and what a userfaultfd of the target's
 * own covers.
 *
 * The kernel's own paths do the protecting, so KVM and IOMMUs are told. What direct I/O
 * writes by reference is found by held.c, as with the other tracker.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include <uapi/linux/fs.h>

#include "held.h"
#include "protect.h"
#include "protect_range.h"
#include "uffd.h"
#include "walk.h"

#if SPLICE_VM_HAS_PROTECT

/* Regions that are copied in at a time, on the stack. */
#define SPLICE_VM_PROTECT_COPY	16
/* A mapping that changes all the time is not followed for ever. */
#define SPLICE_VM_PROTECT_TRIES	64
/* Memory whose protection is lifted in one hold of the mmap lock: some milliseconds. */
#define SPLICE_VM_PROTECT_CLEAR	SZ_1G
/* Page tables that held.c reads in one hold of the mmap lock: some milliseconds. */
#define SPLICE_VM_PROTECT_TABLES	64

static DEFINE_MUTEX(splice_vm_protect_lock); /* the list, and sessions' ->protecting */
static LIST_HEAD(splice_vm_protect_sessions);

/**
 * splice_vm_protect_pagemap() - /proc/PID/pagemap beside a /proc/PID/mem
 * @mm: behind @mem
 * @mem: a file of /proc/PID/mem
 *
 * Opened with the caller's rights. Return: the file, whose private data is @mm
 * (fs/proc/task_mmu.c, pagemap_open); NULL where it may not be opened; ERR_PTR(-ENOMEM)
 */
struct file *splice_vm_protect_pagemap(struct mm_struct *mm,
				       const struct file *mem)
{
	struct path dir = { .mnt = mem->f_path.mnt };
	struct file *file;

	dir.dentry = dget_parent(mem->f_path.dentry);
	file = file_open_root(&dir, "pagemap", O_RDONLY | O_CLOEXEC, 0);
	dput(dir.dentry);
	if (IS_ERR(file))
		return file == ERR_PTR(-ENOMEM) ? file : NULL;
	/* The task may have called exec in between. */
	if (file->private_data == mm)
		return file;
	fput(file);
	return NULL;
}

static int splice_vm_protect_api(struct file *uffd)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct splice_vm_usercall call;
	int ret;

	ret = splice_vm_usercall_map(&call);
	if (ret)
		return ret;
	ret = splice_vm_usercall_ioctl(&call, uffd, UFFDIO_API, &api,
				       sizeof(api));
	splice_vm_usercall_end(&call);
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

/*
 * What our ioctls ask for is in the caller's memory, where its threads can change it into what a
 * mere holder of the session must not do, such as to make the target wait at missing pages.
 */
static bool splice_vm_protect_may(const struct splice_vm_session *sess)
{
	return current->mm == sess->attached_by;
}

/* One session a target: PAGEMAP_SCAN would take what belongs to the other. */
static int splice_vm_protect_claim(struct splice_vm_session *sess)
{
	struct splice_vm_session *other;
	int ret = 0;

	mutex_lock(&splice_vm_protect_lock);
	list_for_each_entry(other, &splice_vm_protect_sessions, protecting)
		if (other->mm == sess->mm)
			ret = -EBUSY;
	if (!ret)
		list_add(&sess->protecting, &splice_vm_protect_sessions);
	mutex_unlock(&splice_vm_protect_lock);
	return ret;
}

static int splice_vm_protect_open(struct splice_vm_session *sess,
				  struct mm_struct *mm)
{
	struct file *uffd;
	int ret;

	/* A fault of the kernel must never wait for it, whatever it is made to register. */
	uffd = splice_vm_uffd_create(mm, UFFD_USER_MODE_ONLY);
	if (IS_ERR(uffd))
		return PTR_ERR(uffd);
	ret = splice_vm_protect_api(uffd);
	if (ret)
		fput(uffd);
	else
		sess->uffd = uffd;
	return ret;
}

/* The last reference lifts all protection. */
static void splice_vm_protect_close(struct splice_vm_session *sess)
{
	if (sess->uffd)
		fput(sess->uffd);
	sess->uffd = NULL;
}

/**
 * splice_vm_protect_start() - make ready to protect; nothing is yet
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 *
 * Return: 0; -EACCES when /proc/PID/pagemap or /dev/userfaultfd could not be opened, or another
 * address space than the caller's did ATTACH; -EBUSY when another session protects this mm;
 * -EOPNOTSUPP when the kernel has no asynchronous write-protection
 */
int splice_vm_protect_start(struct splice_vm_session *sess,
			    struct mm_struct *mm)
{
	int ret;

	lockdep_assert_held(&sess->lock);
	if (!sess->pagemap || !splice_vm_protect_may(sess))
		return -EACCES;
	ret = splice_vm_protect_claim(sess);
	if (ret)
		return ret;
	ret = splice_vm_protect_open(sess, mm);
	if (ret)
		splice_vm_protect_stop(sess);
	return ret;
}

/**
 * splice_vm_protect_stop() - protect no more, if ever
 * @sess: the session, its lock is held, or it is about to end
 */
void splice_vm_protect_stop(struct splice_vm_session *sess)
{
	splice_vm_protect_close(sess);
	mutex_lock(&splice_vm_protect_lock);
	list_del_init(&sess->protecting);
	mutex_unlock(&splice_vm_protect_lock);
}

/*
 * mremap takes the registration of a mapping that it merges with a moved one, but leaves its
 * entries the bit of a protected page: written once, such an entry is writable and still says
 * that it is protected. So no entry may bring the bit along.
 */
static int splice_vm_protect_clear(struct splice_vm_session *sess,
				   struct mm_struct *mm,
				   struct splice_vm_usercall *call,
				   struct splice_vm_range range)
{
	unsigned int tries = SPLICE_VM_PROTECT_TRIES;
	bool found;

	while (tries) {
		struct splice_vm_range part = range;
		struct uffdio_writeprotect clear = {};

		if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
			return -EINTR;
		found = splice_vm_protect_registered(sess, mm, &part);
		mmap_read_unlock(mm);
		if (!found)
			return 0;
		/* At a multiple, since no huge page must be split for it. */
		part.end = min(part.end, ALIGN(part.start + 1,
					       SPLICE_VM_PROTECT_CLEAR));
		clear.range.start = part.start;
		clear.range.len = part.end - part.start;
		/* It fails where a part has gone meanwhile: what is left of it? */
		if (splice_vm_usercall_ioctl(call, sess->uffd,
					     UFFDIO_WRITEPROTECT, &clear,
					     sizeof(clear)))
			tries--;
		else
			range.start = part.end;
		cond_resched();
	}
	return -EAGAIN;
}

/* It may fail, for all of the range or a part: that is not followed, but looked at whole. */
static int splice_vm_protect_register(struct splice_vm_session *sess,
				      struct mm_struct *mm,
				      struct splice_vm_usercall *call,
				      const struct splice_vm_range *range)
{
	struct uffdio_register reg = {
		.range.start = range->start,
		.range.len = range->end - range->start,
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	splice_vm_usercall_ioctl(call, sess->uffd, UFFDIO_REGISTER, &reg,
				 sizeof(reg));
	return splice_vm_protect_clear(sess, mm, call, *range);
}

/* Some entries cannot be trusted, so none is: the next SCAN begins with all anew. */
static void splice_vm_protect_reset(struct splice_vm_session *sess)
{
	splice_vm_protect_close(sess);
	splice_vm_record_log(&sess->record, 0, TASK_SIZE_MAX);
}

/**
 * splice_vm_protect_begin() - a SCAN begins: register what is new
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 * @call: memory of the caller
 * @start: first address
 * @end: byte after the last
 *
 * Return: 0; -EINTR by a fatal signal; -EAGAIN when mappings change too fast; or what
 * splice_vm_protect_start() says but for EBUSY
 */
int splice_vm_protect_begin(struct splice_vm_session *sess,
			    struct mm_struct *mm,
			    struct splice_vm_usercall *call,
			    unsigned long start, unsigned long end)
{
	int ret = 0;

	lockdep_assert_held(&sess->lock);
	if (!splice_vm_protect_may(sess))
		return -EACCES;
	if (!sess->uffd) {
		ret = splice_vm_protect_open(sess, mm);
		if (ret)
			return ret;
	}
	splice_vm_record_move(&sess->record, &sess->pending);
	while (start < end) {
		struct splice_vm_range range = { start, end };
		bool found, may;

		if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
			return -EINTR;
		found = splice_vm_protect_next(sess, mm, &range, &may);
		mmap_read_unlock(mm);
		if (!found)
			break;
		if (may)
			ret = splice_vm_protect_register(sess, mm, call, &range);
		if (ret) {
			splice_vm_protect_reset(sess);
			return ret;
		}
		/* All of it is looked at, registered or not. */
		splice_vm_record_log(&sess->record, range.start, range.end);
		start = range.end;
		cond_resched();
	}
	return 0;
}

/* In order, and within the range: so all of them together are no longer than it. */
static bool splice_vm_protect_is_sane(const struct page_region *region,
				      u64 from, u64 end)
{
	return region->start >= from && region->start < region->end &&
	       region->end <= end &&
	       PAGE_ALIGNED(region->start) && PAGE_ALIGNED(region->end);
}

/* What PAGEMAP_SCAN found, from the caller's memory: it may say anything by now. */
static int splice_vm_protect_record(struct splice_vm_session *sess,
				    const struct splice_vm_usercall *call,
				    unsigned int nr, unsigned long start,
				    unsigned long end)
{
	struct page_region regions[SPLICE_VM_PROTECT_COPY];
	struct page_region __user *from;
	unsigned int i, n;

	from = (struct page_region __user *)(call->addr +
					     SPLICE_VM_USERCALL_ARG);
	for (; nr; nr -= n, from += n) {
		n = min_t(unsigned int, nr, SPLICE_VM_PROTECT_COPY);
		if (copy_from_user(regions, from, n * sizeof(*from)))
			return -EFAULT;
		for (i = 0; i < n; i++) {
			if (!splice_vm_protect_is_sane(&regions[i], start, end))
				return -EFAULT;
			start = regions[i].end;
			splice_vm_record_written(&sess->record,
						 regions[i].start, start);
		}
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/* Who holds what of the pages that were protected just now. */
static int splice_vm_protect_held(struct splice_vm_session *sess,
				  struct mm_struct *mm, unsigned long addr,
				  unsigned long end)
{
	while (addr < end) {
		unsigned int tables = SPLICE_VM_PROTECT_TABLES;

		if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
			return -EINTR;
		while (tables && addr < end)
			addr = splice_vm_held_collect(sess, mm, addr, end,
						      &tables);
		mmap_read_unlock(mm);
		cond_resched();
	}
	return 0;
}

/* PAGEMAP_SCAN of @range; out: where it stopped. Return: 0 or -errno */
static int splice_vm_protect_scan(struct splice_vm_session *sess,
				  struct splice_vm_usercall *call,
				  const struct splice_vm_range *range,
				  unsigned long *until)
{
	unsigned long max = (call->size - SPLICE_VM_USERCALL_ARG) /
			    sizeof(struct page_region);
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING,
		.start = range->start,
		.end = range->end,
		.vec = call->addr + SPLICE_VM_USERCALL_ARG,
		.vec_len = max,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	long ret;

	BUILD_BUG_ON(sizeof(arg) > SPLICE_VM_USERCALL_ARG);
	ret = splice_vm_usercall_ioctl(call, sess->pagemap, PAGEMAP_SCAN, &arg,
				       sizeof(arg));
	if (ret < 0)
		return ret;
	*until = clamp_t(u64, arg.walk_end & PAGE_MASK, range->start, range->end);
	if (*until == range->start)
		return -EFAULT;
	ret = min_t(u64, ret, max);
	/* What it found may lie behind where it says that it stopped. */
	return splice_vm_protect_record(sess, call, ret, range->start,
					range->end);
}

/**
 * splice_vm_protect_collect() - record what was written, and protect it again
 * @sess: the session, its lock is held; splice_vm_protect_begin() was called
 * @mm: its mm; the caller holds a user of it
 * @call: memory of the caller
 * @start: first address
 * @end: byte after the last
 * @until: out: so far it came, as there was no more room
 *
 * After an error all of the range is looked at by the next SCAN, so that nothing is lost.
 * Return: 0 or -errno
 */
int splice_vm_protect_collect(struct splice_vm_session *sess,
			      struct mm_struct *mm,
			      struct splice_vm_usercall *call,
			      unsigned long start, unsigned long end,
			      unsigned long *until)
{
	struct splice_vm_range range = { start, end };
	int ret = 0;

	lockdep_assert_held(&sess->lock);
	if (mmap_read_lock_killable(mm)) {
		ret = -EINTR;
		goto out_log;
	}
	splice_vm_protect_tables(sess, mm, &range);
	mmap_read_unlock(mm);
	*until = range.end;
	if (range.start < range.end)
		ret = splice_vm_protect_scan(sess, call, &range, until);
	if (!ret)
		ret = splice_vm_protect_held(sess, mm, start, *until);
out_log:
	if (ret)
		splice_vm_record_log(&sess->record, start, end);
	return ret;
}

#endif
