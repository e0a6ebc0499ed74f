// SPDX-License-Identifier: GPL-2.0
/*
 * splice() and sendfile(): pages of the target into a pipe by reference. Runs
 * under the pipe's mutex, which is not killable: nothing is faulted in here. The buffers
 * get the core kernel's operations, so a pipe may outlive the session and the module.
 */
#include <linux/mm.h>
#include <linux/pipe_fs_i.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "session.h"
#include "splice.h"
#include "gup.h"

#define SPLICE_VM_SPLICE_PAGES	512

static void splice_vm_spd_release(struct splice_pipe_desc *spd, unsigned int i)
{
	put_page(spd->pages[i]);
}

/* References of @pages go to the pipe, or are put. */
static ssize_t splice_vm_fill_pipe(struct pipe_inode_info *pipe,
				   struct page **pages, unsigned int nr)
{
	struct splice_pipe_desc spd = {
		.pages = pages,
		.nr_pages = nr,
		.nr_pages_max = nr,
		.ops = &nosteal_pipe_buf_ops,
		.spd_release = splice_vm_spd_release,
	};
	unsigned int i;
	ssize_t ret;

	spd.partial = kcalloc(nr, sizeof(*spd.partial), GFP_KERNEL);
	if (!spd.partial) {
		release_pages(pages, nr);
		return -ENOMEM;
	}
	for (i = 0; i < nr; i++)
		spd.partial[i].len = PAGE_SIZE;
	ret = splice_to_pipe(pipe, &spd);
	kfree(spd.partial);
	return ret;
}

static int splice_vm_gup_for_pipe(struct splice_vm_session *sess,
				  unsigned long addr, unsigned long nr,
				  struct page **pages)
{
	struct mm_struct *mm = splice_vm_target_get(sess);
	enum splice_vm_gup_result taken;
	unsigned long count = 0;

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	if (mmap_read_lock_killable(mm)) {
		splice_vm_target_put(mm);
		return -EINTR;
	}
	taken = splice_vm_gup(sess, mm, addr, nr, pages, &count);
	mmap_read_unlock(mm);
	splice_vm_target_put(mm);
	if (taken == SPLICE_VM_GUP_DONE)
		return count;
	return taken == SPLICE_VM_GUP_GONE ? -EFAULT : -ENODATA;
}

/**
 * splice_vm_splice_read() - pages of the target into a pipe
 * @in: a session's file
 * @ppos: address, page aligned; advanced
 * @pipe: locked by the caller, with room
 * @len: bytes, a multiple of the page size
 * @flags: SPLICE_F_*; nothing here depends on them
 *
 * Return: bytes, short at the first page that cannot go by reference, or
 * -errno: see uapi/linux/splice_vm.h
 */
ssize_t splice_vm_splice_read(struct file *in, loff_t *ppos,
			      struct pipe_inode_info *pipe, size_t len,
			      unsigned int flags)
{
	struct splice_vm_session *sess = in->private_data;
	unsigned long addr = *ppos, nr = len >> PAGE_SHIFT;
	struct page **pages;
	ssize_t ret;
	int got;

	if (!nr || !PAGE_ALIGNED(addr) || !PAGE_ALIGNED(len))
		return -EINVAL;
	if (addr >= TASK_SIZE_MAX)
		return -EFAULT;
	nr = min3(nr, SPLICE_VM_SPLICE_PAGES,
		  (TASK_SIZE_MAX - addr) >> PAGE_SHIFT);
	pages = kmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	got = splice_vm_gup_for_pipe(sess, addr, nr, pages);
	ret = got;
	if (got > 0) {
		ret = splice_vm_fill_pipe(pipe, pages, got);
		atomic64_sub(got, &sess->inflight);
	}
	if (ret > 0) {
		*ppos += ret;
		atomic64_add(ret >> PAGE_SHIFT, &sess->pages_sent);
		atomic64_add(ret, &sess->bytes_sent);
	}
	kfree(pages);
	return ret;
}
