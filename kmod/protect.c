// SPDX-License-Identifier: GPL-2.0
/*
 * The write-protect tracker: a userfaultfd of the target protects its pages, and a write lifts the
 * protection (of 4 KiB, in a huge page too) without a word to anybody. PAGEMAP_SCAN finds what is
 * not protected and protects it, in one step for the target: so each SCAN ends an epoch of its
 * range. Mappings that came since the last one are registered then, and looked at whole; so are,
 * each time, those that cannot be registered: hugetlb, and what a userfaultfd of the target's
 * own covers.
 *
 * The kernel's own paths do the protecting, so KVM and IOMMUs are told. What direct I/O
 * writes by reference is found by held.c, as with the other tracker.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include <uapi/linux/fs.h>

#include "held.h"
#include "protect.h"
#include "uffd.h"
#include "walk.h"

#if SPLICE_VM_HAS_PROTECT

#define SPLICE_VM_PROTECT_REGIONS \
	((SPLICE_VM_PROTECT_MEMORY - PAGE_SIZE) / sizeof(struct page_region))
/* Regions that are copied in at a time, on the stack. */
#define SPLICE_VM_PROTECT_COPY	16
/* Steps of held.c in one hold of the mmap lock: some milliseconds. */
#define SPLICE_VM_PROTECT_STEPS	64

/**
 * splice_vm_protect_pagemap() - /proc/PID/pagemap beside a /proc/PID/mem
 * @mm: behind @mem
 * @mem: a file of /proc/PID/mem
 *
 * Opened with the caller's rights. Return: the file, whose private data is @mm
 * (fs/proc/task_mmu.c, pagemap_open), or NULL
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
		return NULL;
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

	ret = splice_vm_usercall_begin(&call, PAGE_SIZE);
	if (ret)
		return ret;
	ret = splice_vm_usercall_ioctl(&call, uffd, UFFDIO_API, &api,
				       sizeof(api));
	splice_vm_usercall_end(&call);
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

/**
 * splice_vm_protect_start() - make ready to protect; nothing is yet
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 *
 * Return: 0; -EACCES when /proc/PID/pagemap or /dev/userfaultfd could not be opened;
 * -EOPNOTSUPP when the kernel has no asynchronous write-protection
 */
int splice_vm_protect_start(struct splice_vm_session *sess,
			    struct mm_struct *mm)
{
	struct file *uffd;
	int ret;

	lockdep_assert_held(&sess->lock);
	if (!sess->pagemap)
		return -EACCES;
	uffd = splice_vm_uffd_create(mm);
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
void splice_vm_protect_stop(struct splice_vm_session *sess)
{
	if (sess->uffd)
		fput(sess->uffd);
	sess->uffd = NULL;
}

/*
 * First mapping in [@range->start, @range->end) that is not registered with us, or false. The
 * rest has been followed since the last SCAN. @may: whether it can be registered. PAGEMAP_SCAN
 * passes over huge pages of 1 GiB without a word, so no hugetlb is.
 */
static bool splice_vm_protect_next(struct splice_vm_session *sess,
				   struct mm_struct *mm,
				   struct splice_vm_range *range, bool *may)
{
	VMA_ITERATOR(vmi, mm, range->start);
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, range->end) {
		if (splice_vm_vma_is_io(vma) ||
		    vma->vm_userfaultfd_ctx.ctx == sess->uffd->private_data)
			continue;
		range->start = max(range->start, vma->vm_start);
		range->end = min(range->end, vma->vm_end);
		*may = !is_vm_hugetlb_page(vma);
		return true;
	}
	return false;
}

/*
 * mremap takes the registration of a mapping that it merges with a moved one, but leaves its
 * entries the bit of a protected page: written once, such an entry is writable and still says
 * that it is protected. So no entry may bring the bit along. When mappings change too fast for
 * that the range is given back, which clears it too.
 */
static int splice_vm_protect_clear(struct splice_vm_session *sess,
				   struct splice_vm_usercall *call,
				   const struct uffdio_range *range)
{
	struct uffdio_writeprotect clear = { .range = *range };
	struct uffdio_range back = *range;

	if (!splice_vm_usercall_ioctl(call, sess->uffd, UFFDIO_WRITEPROTECT,
				      &clear, sizeof(clear)))
		return 0;
	return splice_vm_usercall_ioctl(call, sess->uffd, UFFDIO_UNREGISTER,
					&back, sizeof(back));
}

/* What was said of the range may have changed: then it fails, or the next SCAN sees it. */
static int splice_vm_protect_register(struct splice_vm_session *sess,
				      struct splice_vm_usercall *call,
				      const struct splice_vm_range *range)
{
	struct uffdio_register reg = {
		.range.start = range->start,
		.range.len = range->end - range->start,
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	if (splice_vm_usercall_ioctl(call, sess->uffd, UFFDIO_REGISTER, &reg,
				     sizeof(reg)))
		return 0;
	return splice_vm_protect_clear(sess, call, &reg.range);
}

/* Some entries cannot be trusted, so none is: the next SCAN begins with all anew. */
static int splice_vm_protect_reset(struct splice_vm_session *sess)
{
	splice_vm_protect_stop(sess);
	splice_vm_record_log(&sess->record, 0, TASK_SIZE_MAX);
	return -EAGAIN;
}

/**
 * splice_vm_protect_begin() - a SCAN begins: register what is new
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 * @call: SPLICE_VM_PROTECT_MEMORY
 * @start: first address
 * @end: byte after the last
 *
 * Return: 0; -EINTR by a fatal signal; -EAGAIN when mappings change too fast; or what
 * splice_vm_protect_start() says
 */
int splice_vm_protect_begin(struct splice_vm_session *sess,
			    struct mm_struct *mm,
			    struct splice_vm_usercall *call,
			    unsigned long start, unsigned long end)
{
	int ret;

	lockdep_assert_held(&sess->lock);
	if (!sess->uffd) {
		ret = splice_vm_protect_start(sess, mm);
		if (ret)
			return ret;
	}
	splice_vm_held_report(sess);
	while (start < end) {
		struct splice_vm_range range = { start, end };
		bool found, may;

		if (mmap_read_lock_killable(mm))
			return -EINTR;
		found = splice_vm_protect_next(sess, mm, &range, &may);
		mmap_read_unlock(mm);
		if (!found)
			break;
		if (may && splice_vm_protect_register(sess, call, &range))
			return splice_vm_protect_reset(sess);
		/* All of it is looked at, registered or not. */
		splice_vm_record_log(&sess->record, range.start, range.end);
		start = range.end;
		cond_resched();
	}
	return 0;
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

	from = (struct page_region __user *)(call->addr + PAGE_SIZE);
	for (; nr; nr -= n, from += n) {
		n = min_t(unsigned int, nr, SPLICE_VM_PROTECT_COPY);
		if (copy_from_user(regions, from, n * sizeof(*from)))
			return -EFAULT;
		for (i = 0; i < n; i++)
			splice_vm_record_written(&sess->record,
						 max(regions[i].start & PAGE_MASK,
						     (u64)start),
						 min(regions[i].end & PAGE_MASK,
						     (u64)end));
		cond_resched();
	}
	return 0;
}

/* Who holds what of the pages that were protected just now. */
static int splice_vm_protect_held(struct splice_vm_session *sess,
				  struct mm_struct *mm, unsigned long addr,
				  unsigned long end)
{
	int i;

	while (addr < end) {
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		for (i = 0; i < SPLICE_VM_PROTECT_STEPS && addr < end; i++)
			addr = splice_vm_held_collect(sess, mm, addr);
		mmap_read_unlock(mm);
		cond_resched();
	}
	return 0;
}

/**
 * splice_vm_protect_collect() - record what was written, and protect it again
 * @sess: the session, its lock is held; splice_vm_protect_begin() was called
 * @mm: its mm; the caller holds a user of it
 * @call: SPLICE_VM_PROTECT_MEMORY
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
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING,
		.start = start,
		.end = end,
		.vec = call->addr + PAGE_SIZE,
		.vec_len = SPLICE_VM_PROTECT_REGIONS,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	long ret;

	lockdep_assert_held(&sess->lock);
	ret = splice_vm_usercall_ioctl(call, sess->pagemap, PAGEMAP_SCAN, &arg,
				       sizeof(arg));
	if (ret >= 0) {
		*until = clamp_t(u64, arg.walk_end & PAGE_MASK, start, end);
		ret = min_t(u64, ret, SPLICE_VM_PROTECT_REGIONS);
		/* What it found may lie behind where it says that it stopped. */
		ret = splice_vm_protect_record(sess, call, ret, start, end);
	}
	if (!ret && *until == start)
		ret = -EFAULT;
	if (!ret)
		ret = splice_vm_protect_held(sess, mm, start, *until);
	if (ret)
		splice_vm_record_log(&sess->record, start, end);
	return ret;
}

#endif
