// SPDX-License-Identifier: GPL-2.0
/*
 * read() and pread(): pages by copy. The only path that faults pages of the target
 * in, with no lock held but its mmap_lock, killable, and never where a
 * userfaultfd of the target could hold us.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/userfaultfd_k.h>

#include "copy.h"
#include "session.h"
#include "gup.h"
#include "walk.h"

#define SPLICE_VM_COPY_PAGES	16
#define SPLICE_VM_COPY_TRIES	4

/* Copies from @pages, whose references are put. Return: bytes copied */
static size_t splice_vm_copy_pages(struct splice_vm_session *sess,
				   struct page **pages, unsigned long nr,
				   size_t offset, struct iov_iter *to)
{
	size_t done = 0, len, copied;
	unsigned long i;

	for (i = 0; i < nr && iov_iter_count(to); i++) {
		len = min(iov_iter_count(to), PAGE_SIZE - offset);
		copied = copy_page_to_iter(pages[i], offset, len, to);
		done += copied;
		if (copied < len)
			break;
		offset = 0;
	}
	splice_vm_gup_put(sess, pages, nr);
	atomic64_add(i, &sess->pages_copied);
	atomic64_add(done, &sess->bytes_copied);
	return done;
}

/*
 * Faults one page in and takes it. Return: 1; 0 for zeros; -EBUSY where a
 * userfaultfd could stall us; -EFAULT where nothing can be read; -ENOMEM; -EINTR
 */
static int splice_vm_fault_in(struct splice_vm_session *sess,
			      struct mm_struct *mm, unsigned long addr,
			      struct page **page)
{
	struct vm_area_struct *vma;
	int locked = 1;
	bool hole_ok;
	long got;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, addr);
	if (!vma || vma->vm_start > addr || splice_vm_vma_is_io(vma)) {
		mmap_read_unlock(mm);
		return -EFAULT;
	}
	/* Write-protection, our own tracker's for one, holds no reader. */
	if (userfaultfd_missing(vma) || userfaultfd_minor(vma)) {
		mmap_read_unlock(mm);
		return -EBUSY;
	}
	/* FOLL_DUMP says EFAULT to a hole of hugetlb rather than fill it. */
	hole_ok = is_vm_hugetlb_page(vma) &&
		  (sess->ptrace_capable || (vma->vm_flags & VM_READ));
	got = get_user_pages_remote(mm, addr, 1, FOLL_DUMP | FOLL_HWPOISON |
				    splice_vm_gup_force(sess), page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (got == 1 && !splice_vm_mm_is_reaped(mm)) {
		atomic64_inc(&sess->inflight);
		return 1;
	}
	if (got == 1) {
		put_page(*page);
		return -EFAULT;
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	/* There is a page: a caller that takes EFAULT for a hole would lose the page. */
	if (got == -ENOMEM)
		return -ENOMEM;
	return hole_ok && got == -EFAULT ? 0 : -EFAULT;
}

/* Return: pages taken into @pages; 0 when @count pages read as zeros; -errno */
static int splice_vm_copy_take(struct splice_vm_session *sess,
			       struct mm_struct *mm, unsigned long addr,
			       struct page **pages, unsigned long *count)
{
	unsigned long nr = *count;
	enum splice_vm_gup_result taken;
	int ret = -EFAULT, i;

	/* A swapped page may be a hole by the time it is faulted in: look again. */
	for (i = 0; i < SPLICE_VM_COPY_TRIES; i++) {
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		*count = nr;
		taken = splice_vm_gup(sess, mm, addr, nr, pages, count);
		mmap_read_unlock(mm);
		if (taken == SPLICE_VM_GUP_GONE)
			return -EFAULT;
		if (taken == SPLICE_VM_GUP_ZERO)
			return 0;
		if (taken == SPLICE_VM_GUP_DONE)
			return *count;
		*count = 1;
		ret = splice_vm_fault_in(sess, mm, addr, pages);
		if (ret != -EFAULT)
			break;
	}
	return ret;
}

/* One step. Return: bytes, more than 0, or -errno */
static ssize_t splice_vm_copy_step(struct splice_vm_session *sess,
				   unsigned long pos, struct iov_iter *to)
{
	struct mm_struct *mm = splice_vm_target_get(sess);
	struct page *pages[SPLICE_VM_COPY_PAGES];
	unsigned long addr = pos & PAGE_MASK, count;
	size_t offset = pos - addr, len;
	int ret;

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	count = DIV_ROUND_UP(offset + min_t(size_t, iov_iter_count(to),
					    PAGE_SIZE * SPLICE_VM_COPY_PAGES),
			     PAGE_SIZE);
	count = min_t(unsigned long, count, SPLICE_VM_COPY_PAGES);
	ret = splice_vm_copy_take(sess, mm, addr, pages, &count);
	/* Not over the copy: the caller's memory may keep us waiting. */
	splice_vm_target_put(mm);
	if (ret < 0)
		return ret;

	len = min(iov_iter_count(to), count * PAGE_SIZE - offset);
	if (ret)
		len = splice_vm_copy_pages(sess, pages, count, offset, to);
	else
		len = iov_iter_zero(len, to);
	return len ?: -EFAULT;
}

/**
 * splice_vm_read_iter() - copy memory of the target; the position is the address
 * @iocb: of a session's file
 * @to: where to
 *
 * Sleeps, for the target's pages to be brought in too; killable.
 * Return: bytes, short where memory ends, or -errno: see uapi/linux/splice_vm.h
 */
ssize_t splice_vm_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct splice_vm_session *sess = iocb->ki_filp->private_data;
	ssize_t done = 0, ret = 0;

	while (iov_iter_count(to)) {
		unsigned long pos = iocb->ki_pos;

		if (pos >= TASK_SIZE_MAX) {
			ret = -EFAULT;
			break;
		}
		ret = splice_vm_copy_step(sess, pos, to);
		if (ret < 0)
			break;
		iocb->ki_pos += ret;
		done += ret;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done ?: ret;
}
