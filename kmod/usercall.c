// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd and pagemap can be driven by their ioctls only, and these take their
 * arguments from user memory. So it must be had for as long as one of our ioctls lasts: memory
 * that the caller gave us to fill, or a few pages that are mapped (as KVM does for memory
 * of its own). Other threads of the caller may write there meanwhile, and so choose what the
 * call does. That gives them no more than the descriptor of /proc/PID/mem, writable, does: to
 * do with that target as they like; so only who gave that to ATTACH may make these calls
 * (splice_vm_protect_may). Other processes may not be able to, so the caller's own must
 * be private and anonymous; what a device writes there, or somebody to whom the caller gave a
 * way of its own (a registered buffer), is the caller's to keep away, as the header says. What
 * comes back is checked like any other input.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>

#include "usercall.h"

#define SPLICE_VM_USERCALL_MAP	(16 * PAGE_SIZE)

/*
 * Whether no other process can write to [@addr, @addr + @size), nor make us wait there while we
 * hold the target's memory. Takes the mmap lock.
 */
static bool splice_vm_usercall_private(unsigned long addr, unsigned long size)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool private;

	if (mmap_read_lock_killable(mm))
		return false;
	vma = find_vma(mm, addr);
	private = vma && vma->vm_start <= addr && size <= vma->vm_end - addr &&
		  vma_is_anonymous(vma) && !(vma->vm_flags & VM_SHARED) &&
		  !userfaultfd_armed(vma) &&
		  (vma->vm_flags & VM_WRITE);
	mmap_read_unlock(mm);
	return private;
}

/**
 * splice_vm_usercall_map() - map memory into the caller's address space
 * @call: filled
 *
 * Sleeps; takes the caller's mmap lock. Return: 0 or -errno
 */
int splice_vm_usercall_map(struct splice_vm_usercall *call)
{
	unsigned long addr;

	addr = vm_mmap(NULL, 0, SPLICE_VM_USERCALL_MAP, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	/* EAGAIN: more than the caller may lock. It means something else to SCAN. */
	if (IS_ERR_VALUE(addr))
		return addr == -EAGAIN ? -ENOMEM : addr;
	call->addr = addr;
	call->size = SPLICE_VM_USERCALL_MAP;
	call->mapped = true;
	return 0;
}

/**
 * splice_vm_usercall_begin() - have memory in the caller's address space
 * @call: filled
 * @addr: the caller's, which will be filled with something else at the end
 * @size: bytes of it
 *
 * The caller's is taken where it will do: a mapping of our own costs as much as PAGEMAP_SCAN of
 * some 60 MiB of 4 KiB pages (measured in emulation). Sleeps; takes the caller's mmap lock.
 * Return: 0 or -errno
 */
int splice_vm_usercall_begin(struct splice_vm_usercall *call,
			     unsigned long addr, unsigned long size)
{
	if (size < PAGE_SIZE || !IS_ALIGNED(addr, sizeof(u64)) ||
	    !splice_vm_usercall_private(addr, size))
		return splice_vm_usercall_map(call);
	call->addr = addr;
	call->size = size;
	call->mapped = false;
	return 0;
}

void splice_vm_usercall_end(struct splice_vm_usercall *call)
{
	if (call->mapped)
		vm_munmap(call->addr, call->size);
}

/**
 * splice_vm_usercall_ioctl() - an ioctl of another file
 * @call: its memory
 * @file: the file
 * @cmd: the ioctl
 * @arg: its argument, a kernel copy; written back whatever it returns
 * @size: bytes of @arg, at most SPLICE_VM_USERCALL_ARG
 */
long splice_vm_usercall_ioctl(struct splice_vm_usercall *call,
			      struct file *file, unsigned int cmd, void *arg,
			      size_t size)
{
	void __user *uarg = (void __user *)call->addr;
	long ret;

	if (WARN_ON_ONCE(size > SPLICE_VM_USERCALL_ARG))
		return -EINVAL;
	if (!file->f_op->unlocked_ioctl)
		return -ENOTTY;
	if (copy_to_user(uarg, arg, size))
		return -EFAULT;
	ret = file->f_op->unlocked_ioctl(file, cmd, call->addr);
	if (copy_from_user(arg, uarg, size))
		return -EFAULT;
	return ret;
}
