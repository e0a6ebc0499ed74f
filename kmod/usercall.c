// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd and pagemap can be driven by their ioctls only, and these take their
 * arguments from user memory. So a few pages are mapped into the caller for as long as one of our
 * ioctls lasts (as KVM does for memory of its own). Other threads of the caller may write
 * there meanwhile, and so choose what the call does. That gives them no more than the
 * descriptor of /proc/PID/mem, writable, does: to do with that target as they like. What
 * comes back is checked like any other input.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "usercall.h"

/**
 * splice_vm_usercall_begin() - have memory in the caller's address space
 * @call: filled
 * @size: bytes, whole pages
 *
 * Sleeps; takes the caller's mmap lock. Return: 0 or -errno
 */
int splice_vm_usercall_begin(struct splice_vm_usercall *call,
			     unsigned long size)
{
	unsigned long addr;

	addr = vm_mmap(NULL, 0, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	/* EAGAIN: more than the caller may lock. It means something else to SCAN. */
	if (IS_ERR_VALUE(addr))
		return addr == -EAGAIN ? -ENOMEM : addr;
	call->addr = addr;
	call->size = size;
	return 0;
}

void splice_vm_usercall_end(struct splice_vm_usercall *call)
{
	vm_munmap(call->addr, call->size);
}

/**
 * splice_vm_usercall_ioctl() - an ioctl of another file
 * @call: its memory
 * @file: the file
 * @cmd: the ioctl
 * @arg: its argument, a kernel copy; written back whatever it returns
 * @size: bytes of @arg, at most a page: what is behind that is the ioctl's to fill
 */
long splice_vm_usercall_ioctl(struct splice_vm_usercall *call,
			      struct file *file, unsigned int cmd, void *arg,
			      size_t size)
{
	void __user *uarg = (void __user *)call->addr;
	long ret;

	if (!file->f_op->unlocked_ioctl)
		return -ENOTTY;
	if (copy_to_user(uarg, arg, size))
		return -EFAULT;
	ret = file->f_op->unlocked_ioctl(file, cmd, call->addr);
	if (copy_from_user(arg, uarg, size))
		return -EFAULT;
	return ret;
}
